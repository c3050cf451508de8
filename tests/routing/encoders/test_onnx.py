"""ONNX models, exported from PyTorch or made on the spot: good ones, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from boute.errors import DataError
from boute.routing.encoders.embedding import load_embedding_model
from boute.routing.encoders.onnx import _ELSEWHERE
from boute.routing.router import Router
from boute.routing.table import QualityTable
from boute.routing.training import Recipe, fit_router

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

TOKENS, WIDTH = 12, 6
TEXTS = ["integral tree", "simple cat road seven", "cat", "", "\udcff \x00", "tree " * 50_000]
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
Saves = Callable[[Path], None]


class Small(torch.nn.Module):
    """One layer of attention that minds the mask."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = torch.nn.Embedding(TOKENS, WIDTH)
        self.kinds = torch.nn.Embedding(2, WIDTH)
        self.out = torch.nn.Linear(WIDTH, WIDTH)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor
    ) -> torch.Tensor:
        """Last states [B, T, WIDTH]."""
        states = self.tokens(input_ids) + self.kinds(token_type_ids)
        similar = states @ states.transpose(1, 2)
        weights = similar.masked_fill(attention_mask[:, None, :] == 0, -1e9).softmax(-1)
        found: torch.Tensor = self.out(weights @ states)
        return found


def embedding(values: np.ndarray | None = None) -> Any:
    """The tensor of a table of vectors."""
    table = np.random.default_rng(0).standard_normal((TOKENS, WIDTH)) if values is None else values
    return onnx.numpy_helper.from_array(table.astype(np.float32), "table")


def graph(
    inputs: dict[str, tuple[int, int]], nodes: list[Any], rank: int, table: Any = None
) -> Any:
    """A model of inputs, name to type and rank, and nodes that give `states`."""
    value = onnx.helper.make_tensor_value_info
    given = [value(n, kind, [f"{n}{i}" for i in range(r)]) for n, (kind, r) in inputs.items()]
    states = value("states", onnx.TensorProto.FLOAT, [f"s{i}" for i in range(rank)])
    made = onnx.helper.make_graph(nodes, "made", given, [states], [table or embedding()])
    opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("own.domain", 1)]
    return onnx.helper.make_model(made, opset_imports=opsets, ir_version=9)


def node(operator: str, *inputs: str, output: str = "states", **options: Any) -> Any:
    return onnx.helper.make_node(operator, list(inputs), [output], **options)


INT64, INT32, FLOAT = 7, 6, 1  # of onnx.TensorProto
GATHER = ("Gather", "table", "input_ids")


@pytest.fixture
def folder(tmp_path: Path, save_tokenizer: Saves) -> Path:
    save_tokenizer(tmp_path / "model")
    return tmp_path / "model"


def write(folder: Path, model: Any) -> None:
    (folder / "model.onnx").write_bytes(model.SerializeToString())


@pytest.fixture
def gathered(folder: Path) -> Path:
    """A model whose states are the vectors of the tokens."""
    write(folder, graph({"input_ids": (INT64, 2)}, [node(*GATHER)], 3))
    return folder


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the exporter is PyTorch's old one
def test_embeddings_are_those_of_pytorch(folder: Path) -> None:
    """Against a padded batch there, pooled over its mask."""
    torch.manual_seed(0)
    module = Small().eval()
    ids = torch.tensor([[2, 4, 9, 3, 0, 0], [2, 5, 7, 10, 11, 3]])
    mask = (ids != 0).to(torch.int64)
    feed = (ids, mask, torch.zeros_like(ids))
    axes = {name: {0: "queries", 1: "tokens"} for name in (*INPUTS, "last_hidden_state")}
    torch.onnx.export(
        module,
        feed,
        str(folder / "model.onnx"),
        input_names=list(INPUTS),
        output_names=["last_hidden_state"],
        dynamic_axes=axes,
        dynamo=False,
    )
    with torch.no_grad():
        states = module(*feed)
    mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    expected = torch.nn.functional.normalize(mean, dim=1).numpy()
    model = load_embedding_model(folder)
    assert model.width == WIDTH
    assert model.embed(TEXTS[:2]) == pytest.approx(expected, abs=1e-4)


def test_int32_and_no_mask_are_enough(gathered: Path) -> None:
    first = load_embedding_model(gathered).embed(TEXTS)
    assert np.isfinite(first).all()
    assert np.linalg.norm(first, axis=1) == pytest.approx(1.0)
    write(gathered, graph({"input_ids": (INT32, 2)}, [node(*GATHER)], 3))
    assert load_embedding_model(gathered).embed(TEXTS).tobytes() == first.tobytes()


def test_a_router_takes_its_model_along(
    text_table: Callable[..., QualityTable], gathered: Path, tmp_path: Path
) -> None:
    router = fit_router(text_table(), [0, 1], Recipe("embedding", gathered))
    hard, easy = router.score(["integral tree cat", "simple tree cat"])
    assert hard > easy
    digest = router.save(tmp_path / "router")
    for name in ("model.onnx", "tokenizer.json"):
        (gathered / name).unlink()
    loaded = Router.load(tmp_path / "router", expected_hash=digest)
    assert loaded.score(TEXTS).tobytes() == router.score(TEXTS).tobytes()


@pytest.mark.parametrize(
    ("inputs", "nodes", "rank", "message"),
    [
        (
            {"input_ids": (INT64, 2), "position_ids": (INT64, 2)},
            [("Add", "input_ids", "position_ids", "both"), ("Gather", "table", "both")],
            3,
            "wants position_ids",
        ),
        ({"ids": (INT64, 2)}, [("Gather", "table", "ids")], 3, "wants ids"),
        ({"attention_mask": (INT64, 2)}, [("Gather", "table", "attention_mask")], 3, "has no inp"),
        ({"input_ids": (INT64, 1)}, [GATHER], 2, "takes input_ids as tensor.int64. of rank 1"),
        (
            {"input_ids": (FLOAT, 2)},
            [("Identity", "input_ids")],
            2,
            "takes input_ids as tensor.float. of rank 2",
        ),
        (
            {"input_ids": (INT64, 2)},
            [
                ("Gather", "table", "input_ids", "all"),
                ("ReduceMax", "all", "pooled"),
                ("Identity", "pooled"),
            ],
            3,
            "no finite vector for each token",
        ),
    ],
)
def test_another_kind_of_model(
    folder: Path,
    inputs: dict[str, tuple[int, int]],
    nodes: list[tuple[str, ...]],
    rank: int,
    message: str,
) -> None:
    """The last of several nodes gives the states; the others name their output last."""
    before = [node(*each[:-1], output=each[-1]) for each in nodes[:-1]]
    write(folder, graph(inputs, [*before, node(*nodes[-1])], rank))
    with pytest.raises(DataError, match=message):
        load_embedding_model(folder)


def test_pooled_outputs_and_own_operators_are_no_use(folder: Path) -> None:
    pooled = [node(*GATHER, output="all"), node("ReduceMax", "all", axes=[1], keepdims=0)]
    write(folder, graph({"input_ids": (INT64, 2)}, pooled, 2))
    with pytest.raises(DataError, match=r"has no output .* \(states of rank 2\)"):
        load_embedding_model(folder)
    own = node("Gather", "table", "input_ids", domain="own.domain")
    write(folder, graph({"input_ids": (INT64, 2)}, [own], 3))
    with pytest.raises(DataError, match=r"is no model that can be run .*own\.domain"):
        load_embedding_model(folder)


def test_numbers_that_are_not_finite_and_tokens_that_are_not_there(folder: Path) -> None:
    inputs = {"input_ids": (INT64, 2)}
    infinite = embedding(np.full((TOKENS, WIDTH), np.inf))
    write(folder, graph(inputs, [node(*GATHER)], 3, infinite))
    with pytest.raises(DataError, match="no finite vector for each token"):
        load_embedding_model(folder)
    write(folder, graph(inputs, [node(*GATHER)], 3, embedding(np.ones((TOKENS - 1, WIDTH)))))
    with pytest.raises(DataError, match=r"fails on 256 tokens .*out of data bounds"):
        load_embedding_model(folder)


@pytest.mark.parametrize("data", [b"", b"junk", b"\0\0\0\0ORTM" + b"\0" * 50, b"\x08\x09"])
def test_files_that_are_no_model(folder: Path, data: bytes) -> None:
    (folder / "model.onnx").write_bytes(data)
    with pytest.raises(DataError, match="is no model that can be run"):
        load_embedding_model(folder)


def test_a_folder_without_its_parts(gathered: Path) -> None:
    (gathered / "tokenizer.json").unlink()
    with pytest.raises(DataError, match=r"tokenizer\.json.*cannot be read"):
        load_embedding_model(gathered)
    (gathered / "model.onnx").unlink()
    with pytest.raises(DataError, match=r"has neither model\.onnx nor model\.safetensors"):
        load_embedding_model(gathered)


@pytest.mark.parametrize("location", ["weights.bin", "../outside.bin", "/etc/hostname"])
def test_tensors_in_other_files_are_refused(
    gathered: Path, monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    """In the model's folder or not, and though the file is there."""
    monkeypatch.chdir(gathered)
    model = onnx.load(str(gathered / "model.onnx"))
    tensor = model.graph.initializer[0]
    (gathered / "weights.bin").write_bytes(tensor.raw_data)
    onnx.external_data_helper.set_external_data(tensor, location)
    tensor.ClearField("raw_data")
    write(gathered, model)
    with pytest.raises(DataError, match="keeps tensors in other files"):
        load_embedding_model(gathered)


def test_no_spelling_of_another_file_is_missed() -> None:
    """Protobuf reads numbers that are longer than they have to be."""
    for tag in (b"\n", b"\x8a\x00", b"\x8a\x80\x80\x00"):
        for length in (b"\x08", b"\x88\x00", b"\x88\x80\x00"):
            data = tag + length + b"location"
            assert onnx.StringStringEntryProto.FromString(data).key == "location"
            assert _ELSEWHERE.search(data)


def test_a_saved_router_with_another_network_is_refused(
    text_table: Callable[..., QualityTable], gathered: Path, tmp_path: Path
) -> None:
    router = fit_router(text_table(), [0, 1], Recipe("embedding", gathered))
    digest = router.save(tmp_path / "router")
    saved = tmp_path / "router" / "model.onnx"
    saved.write_bytes(saved.read_bytes() + b"\x00")
    with pytest.raises(DataError, match=r"is not the file that router\.json was written with"):
        Router.load(tmp_path / "router", expected_hash=digest)
