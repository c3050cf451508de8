"""A router as a folder: `router.json`, `arrays.npz`, and the files of an embedding model if any.

`router.json` holds the SHA-256 of the other files, so its own hash stands for the whole. Nothing
in a folder can run code: arrays are loaded without pickle, kinds are names from a fixed list, and
file names are ours.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from boute.documents import Document, check_document
from boute.errors import DataError
from boute.files import read_bytes, write_bytes
from boute.routing.encoders.embedding import MOST_BYTES, NETWORKS, TOKENIZER, EmbeddingModel
from boute.routing.encoders.encoder import Encoder, EncoderKind
from boute.routing.heads.boosted import Boosted
from boute.routing.heads.factorisation import Factorisation
from boute.routing.heads.linear import Linear
from boute.routing.heads.neighbours import Neighbours
from boute.routing.reference import Reference
from boute.routing.router import Kind, Router
from boute.routing.spread import Spread

__all__ = ["ARRAYS", "HEADER", "SCHEMA_VERSION", "load_router", "router_files", "save_router"]

SCHEMA_VERSION: Final = 4
HEADER: Final = "router.json"
ARRAYS: Final = "arrays.npz"
MOST_HEADER_BYTES: Final = 2**20
MOST_ARRAY_BYTES: Final = 256 * 2**20
_MOST_ARRAYS: Final = 32

_HEADS: Final[Mapping[Kind, type[Linear | Boosted | Neighbours | Factorisation]]] = {
    "lexical": Linear,
    "embedding": Linear,
    "boosted": Boosted,
    "neighbours": Neighbours,
    "factorisation": Factorisation,
}

Array = NDArray[Any]


class _Header(Document):
    schema_version: Literal[4] = SCHEMA_VERSION
    kind: Kind
    encoder: EncoderKind
    models: list[str]
    feature_names: list[str]
    attention_heads: int | None = None
    data_hash: str
    files: dict[str, str]


def save_router(router: Router, folder: Path) -> str:
    """Write the files, the same bytes each time; return the SHA-256 of router.json."""
    model = router.encoder.model
    files = {ARRAYS: _packed(router)} | ({} if model is None else model.files)
    header = _Header(
        kind=router.kind,
        encoder=router.encoder.kind,
        models=list(router.models),
        feature_names=list(router.feature_names),
        attention_heads=None if model is None else model.network.heads,
        data_hash=router.data_hash,
        files={name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    )
    text = json.dumps(header.model_dump(exclude_none=True), indent=1) + "\n"
    for name, data in files.items():
        write_bytes(folder / name, data)
    # Last: a folder that was being written when the power went is seen to be damaged.
    write_bytes(folder / HEADER, text.encode())
    return hashlib.sha256(text.encode()).hexdigest()


def load_router(folder: Path, *, expected_hash: str | None = None) -> Router:
    """Read a router; raise DataError when it is damaged, of another version or another router."""
    return _router(*_read(folder, expected_hash), folder)


def router_files(folder: Path, *, expected_hash: str | None = None) -> dict[str, bytes]:
    """The files of a router by name, checked as `load_router` checks them."""
    header, files, text = _read(folder, expected_hash)
    _router(header, files, text, folder)
    return {HEADER: text, **files}


def _read(folder: Path, expected_hash: str | None) -> tuple[_Header, dict[str, bytes], bytes]:
    where = str(folder / HEADER)
    text = _bounded(folder / HEADER, MOST_HEADER_BYTES)
    if expected_hash is not None and hashlib.sha256(text).hexdigest() != expected_hash:
        raise DataError(
            "is not the router that the plan was made with",
            where=where,
            mend="restore the folder, or optimize again",
        )
    try:
        plain = json.loads(text)
        version = plain.get("schema_version")
    except (ValueError, AttributeError, RecursionError):
        raise _damaged(where) from None
    if version != SCHEMA_VERSION:
        raise DataError(
            f"is a router of schema version {version}; this boute reads {SCHEMA_VERSION}",
            where=where,
            mend="fit it again",
        )
    header = check_document(plain, _Header, where=where, error=DataError)
    sets = [{ARRAYS}]
    if header.encoder == "embedding":
        sets = [{ARRAYS, TOKENIZER, network} for network in NETWORKS]
    if set(header.files) not in sets:
        raise _damaged(where)
    files = {name: _bounded(folder / name, MOST_BYTES) for name in sorted(header.files)}
    for name, data in files.items():
        if hashlib.sha256(data).hexdigest() != header.files[name]:
            raise DataError(
                "is not the file that router.json was written with",
                where=str(folder / name),
                mend="copy the folder again",
            )
    return header, files, text


def _router(header: _Header, files: dict[str, bytes], text: bytes, folder: Path) -> Router:
    where = str(folder)
    arrays = _unpacked(files[ARRAYS], where)
    model = None
    if header.encoder == "embedding":
        model = EmbeddingModel.of(files, header.attention_heads, where)
    try:
        encoder = _part(arrays, "encoder")
        router = Router(
            kind=header.kind,
            models=tuple(header.models),
            encoder=Encoder(header.encoder, tuple(header.feature_names), **encoder, model=model),
            heads=_HEADS[header.kind](**_part(arrays, "heads")),
            lengths=Linear(**_part(arrays, "lengths")),
            spread=Spread(**_part(arrays, "spread")),
            calibration=_part(arrays, "calibration")["lines"],
            reference=Reference(**_part(arrays, "reference")),
            data_hash=header.data_hash,
        )
        if _arrays_of(router).keys() != arrays.keys():
            raise ValueError
    except (ValueError, TypeError, LookupError, AttributeError):
        raise _damaged(where) from None
    return router


def _arrays_of(router: Router) -> dict[str, Array]:
    parts: dict[str, Mapping[str, Array]] = {
        "encoder": router.encoder.arrays(),
        "heads": router.heads.arrays(),
        "lengths": router.lengths.arrays(),
        "spread": router.spread.arrays(),
        "calibration": {"lines": router.calibration},
        "reference": router.reference.arrays(),
    }
    return {
        f"{part}.{name}": array for part, named in parts.items() for name, array in named.items()
    }


def _packed(router: Router) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **_arrays_of(router))
    return buffer.getvalue()


def _part(arrays: Mapping[str, Array], part: str) -> dict[str, Array]:
    found = {}
    for name, array in arrays.items():
        head, _, rest = name.partition(".")
        if head == part:
            found[rest] = array
    return found


def _unpacked(data: bytes, where: str) -> dict[str, Array]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
        if sum(member.file_size for member in members) > MOST_ARRAY_BYTES:
            raise _damaged(where)
        if len(members) > _MOST_ARRAYS:
            raise _damaged(where)
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {name: np.asarray(file[name]) for name in file.files}
    except Exception:
        # A hostile archive can fail in zipfile, zlib and numpy in a dozen ways; all mean the same.
        raise _damaged(where) from None
    if not all(_plain(name, array) for name, array in arrays.items()):
        raise _damaged(where)
    return arrays


_WIDE: Final = {
    "mean",
    "scale",
    "intercepts",
    "levels",
    "start",
    "floor",
    "slope",
    "low",
    "high",
} | {
    "lines",
    "scores",
}


def _plain(name: str, array: Array) -> bool:
    """Whether an array is finite and of the type that its name has."""
    last = name.rpartition(".")[2]
    if last == "figure":
        return array.dtype == np.int16
    if last == "texts":
        return array.dtype == np.uint64
    wanted = np.float64 if last in _WIDE else np.float32
    return array.dtype == wanted and bool(np.isfinite(array).all())


def _bounded(path: Path, most: int) -> bytes:
    if path.is_file() and path.stat().st_size > most:
        raise DataError(
            f"is larger than the {most >> 20} MiB of any router",
            where=str(path),
            mend="fit it again",
        )
    return read_bytes(path, error=DataError)


def _damaged(where: str) -> DataError:
    return DataError("is not a whole router", where=where, mend="fit it again")
