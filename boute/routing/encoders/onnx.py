"""Networks in an ONNX file, run by onnxruntime on one core of the CPU.

An ONNX file is a graph of known operators and cannot bring code along: no library of custom
operators is ever loaded, and a file whose tensors lie in other files is refused, so that nothing
but this one file is read.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from boute.errors import DataError, InputError
from boute.routing.encoders.network import MOST_TOKENS

__all__ = ["ONNX", "OnnxNetwork"]

ONNX: Final = "model.onnx"
_IDS: Final = "input_ids"
_TYPES: Final = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
_FLOATS: Final = ("tensor(float)", "tensor(float16)", "tensor(double)")
# How a tensor names the file that it lies in: a text of field 1, `location` (onnx.proto,
# StringStringEntryProto). Protobuf lets a number be longer than it has to be, with bytes of 0x80.
_ELSEWHERE: Final = re.compile(rb"(?:\n|\x8a\x80*\x00)(?:\x08|\x88\x80*\x00)location")


@dataclass(frozen=True, eq=False)
class OnnxNetwork:
    """A `Network` with an output [queries, tokens, width], as transformers are exported.

    Its inputs are `input_ids`, and `attention_mask` and `token_type_ids` where it has them.
    """

    data: bytes
    where: str
    file: ClassVar[str] = ONNX
    contextual: ClassVar[bool] = True
    heads: ClassVar[None] = None
    most_tokens: ClassVar[int] = MOST_TOKENS

    def __post_init__(self) -> None:
        inputs = {each.name: each for each in self._session.get_inputs()}
        unknown = sorted(inputs.keys() - _filled(np.zeros(0, dtype=np.int64)).keys())
        if unknown or _IDS not in inputs:
            what = f"wants {', '.join(unknown)}" if unknown else f"has no input {_IDS}"
            self._fail(what, "export a text encoder: input_ids, attention_mask, token_type_ids")
        for each in inputs.values():
            if each.type not in _TYPES or len(each.shape) != 2:
                self._fail(
                    f"takes {each.name} as {each.type} of rank {len(each.shape)}",
                    "export it with inputs [queries, tokens] of int64",
                )
        self._output  # noqa: B018  # what there is none of shows here

    @property
    def width(self) -> int:
        """Numbers of a vector."""
        return int(self._probed.shape[1])

    def vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Vectors [T, width] of one text of T tokens; raise DataError where it fails on them."""
        values, inputs = _filled(ids), self._session.get_inputs()
        feed = {each.name: values[each.name].astype(_TYPES[each.type]) for each in inputs}
        try:
            found = self._session.run([self._output], feed)[0][0]
        except Exception as error:  # onnxruntime's errors have no common class
            self._fail(f"fails on {len(ids)} tokens ({_reason(error)})", "export it again")
        if found.ndim != 2 or len(found) != len(ids) or not np.isfinite(found).all():
            self._fail("gives no finite vector for each token", "export it again")
        return np.asarray(found, dtype=np.float32)

    def check_tokens(self, most: int) -> None:
        """Raise DataError unless it embeds MOST_TOKENS tokens of this number."""
        self.vectors(np.full(MOST_TOKENS, most))

    @functools.cached_property
    def _probed(self) -> NDArray[np.float32]:
        return self.vectors(np.zeros(1, dtype=np.int64))

    @functools.cached_property
    def _output(self) -> str:
        """The first output that has a vector a token."""
        for each in self._session.get_outputs():
            if len(each.shape) == 3 and each.type in _FLOATS:
                return str(each.name)
        ranks = ", ".join(
            f"{each.name} of rank {len(each.shape)}" for each in self._session.get_outputs()
        )
        self._fail(
            f"has no output [queries, tokens, width] ({ranks})",
            "export the last hidden state, not what is pooled",
        )

    @functools.cached_property
    def _session(self) -> Any:
        runtime = _runtime()
        # The plain search is ten times as fast, and finds nothing in most files.
        if b"location" in self.data and _ELSEWHERE.search(self.data):
            self._fail(
                "keeps tensors in other files",
                "write it whole: onnx.save_model(onnx.load(path), path)",
            )
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what fails is told by the error
        options.add_session_config_entry("session.load_model_format", "ONNX")
        try:
            return runtime.InferenceSession(self.data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors have no common class
            self._fail(f"is no model that can be run ({_reason(error)})", "export it again")

    def _fail(self, problem: str, mend: str) -> NoReturn:
        raise DataError(problem, where=self.where, mend=mend) from None


def _filled(ids: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """Inputs of one text [1, T] by name."""
    row = ids[None]
    return {
        _IDS: row,
        "attention_mask": np.ones_like(row),
        "token_type_ids": np.zeros_like(row),
    }


def _reason(error: Exception) -> str:
    """The last part of what onnxruntime says, on one line."""
    said = str(error).splitlines() or [type(error).__name__]
    return said[0].rpartition(" : ")[2][:200]


def _runtime() -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise InputError(
            "ONNX models need the package onnxruntime", mend="pip install 'boute[onnx]'"
        ) from None
    return onnxruntime
