"""Embedding models, made on the spot: a BERT of random weights, and vectors of tokens."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from boute.errors import DataError
from boute.routing.encoders.embedding import load_embedding_model
from boute.routing.router import Router
from boute.routing.table import QualityTable
from boute.routing.training import Recipe, fit_router

pytest.importorskip("tokenizers")

Saves = Callable[[Path], None]
# Its header tells of more data than there are.
LYING = (68).to_bytes(8, "little") + (
    b'{"embeddings":{"dtype":"F32","shape":[9,9],"data_offsets":[0,324]}} '
)
TEXTS = ["integral tree", "simple cat road seven", "cat", ""]


def save_tensors(path: Path, tensors: dict[str, np.ndarray]) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "np"}}
    body = b""
    for name, tensor in tensors.items():
        data = tensor.astype("<f4").tobytes()
        offsets = [len(body), len(body) + len(data)]
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": offsets}
        body += data
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)


@pytest.fixture
def static(tmp_path: Path, save_tokenizer: Saves) -> Path:
    folder = tmp_path / "static"
    save_tokenizer(folder)
    vectors = np.random.default_rng(0).standard_normal((12, 6))
    save_tensors(folder / "model.safetensors", {"embeddings": vectors})
    return folder


def test_static_embeddings_are_means_of_vectors(static: Path) -> None:
    model = load_embedding_model(static)
    vectors = np.random.default_rng(0).standard_normal((12, 6))
    expected = vectors[[4, 9]].mean(axis=0)
    found = model.embed(TEXTS)
    assert found[0] == pytest.approx(expected / np.linalg.norm(expected), abs=1e-6)
    assert not found[3].any()
    assert model.width == 6


def bert_tensors(layers: list[Any], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Tensors of a BERT by their usual names, its layers those of PyTorch."""
    width = layers[0].linear1.in_features
    tensors = {
        "embeddings.word_embeddings.weight": rng.standard_normal((12, width)),
        "embeddings.position_embeddings.weight": rng.standard_normal((300, width)),
        "embeddings.token_type_embeddings.weight": rng.standard_normal((2, width)),
        "embeddings.LayerNorm.weight": rng.standard_normal(width),
        "embeddings.LayerNorm.bias": rng.standard_normal(width),
    }
    for number, layer in enumerate(layers):
        attention = layer.self_attn
        parts = {
            "attention.output.dense": attention.out_proj,
            "attention.output.LayerNorm": layer.norm1,
            "intermediate.dense": layer.linear1,
            "output.dense": layer.linear2,
            "output.LayerNorm": layer.norm2,
        }
        for name, part in parts.items():
            for kind in ("weight", "bias"):
                tensors[f"encoder.layer.{number}.{name}.{kind}"] = getattr(part, kind)
        for index, name in enumerate(("query", "key", "value")):
            rows = slice(index * width, (index + 1) * width)
            at = f"encoder.layer.{number}.attention.self.{name}"
            tensors[f"{at}.weight"] = attention.in_proj_weight[rows]
            tensors[f"{at}.bias"] = attention.in_proj_bias[rows]
    return {name: np.asarray(getattr(t, "data", t)) for name, t in tensors.items()}


def test_a_transformer_is_that_of_pytorch(tmp_path: Path, save_tokenizer: Saves) -> None:
    torch.manual_seed(0)
    layers = [
        torch.nn.TransformerEncoderLayer(
            32, 4, 64, activation="gelu", batch_first=True, layer_norm_eps=1e-12, dropout=0.0
        )
        for _ in range(2)
    ]
    tensors = bert_tensors(layers, np.random.default_rng(0))
    save_tokenizer(tmp_path / "bert")
    save_tensors(tmp_path / "bert" / "model.safetensors", tensors)
    (tmp_path / "bert" / "config.json").write_text('{"num_attention_heads": 4}')
    model = load_embedding_model(tmp_path / "bert")
    ids = [2, 4, 9, 3]  # [CLS] integral tree [SEP]
    part = "embeddings."
    inputs = tensors[f"{part}word_embeddings.weight"][ids]
    inputs = inputs + tensors[f"{part}position_embeddings.weight"][:4]
    inputs = inputs + tensors[f"{part}token_type_embeddings.weight"][0]
    states = torch.nn.functional.layer_norm(
        torch.tensor(inputs, dtype=torch.float32),
        (32,),
        torch.tensor(tensors[f"{part}LayerNorm.weight"], dtype=torch.float32),
        torch.tensor(tensors[f"{part}LayerNorm.bias"], dtype=torch.float32),
        eps=1e-12,
    )[None]
    with torch.no_grad():
        for layer in layers:
            states = layer(states)
    expected = states[0].numpy().mean(axis=0)
    found = model.embed(["integral tree"])[0]
    assert found == pytest.approx(expected / np.linalg.norm(expected), abs=1e-4)
    tensors["embeddings.position_embeddings.weight"] = np.zeros((5, 32))
    save_tensors(tmp_path / "bert" / "model.safetensors", tensors)
    assert np.isfinite(load_embedding_model(tmp_path / "bert").embed(["tree " * 50])).all()
    (tmp_path / "bert" / "config.json").write_text('{"num_attention_heads": "x"}')
    with pytest.raises(DataError, match="tells no number of attention heads"):
        load_embedding_model(tmp_path / "bert")


def test_long_and_broken_texts_are_embedded(static: Path) -> None:
    found = load_embedding_model(static).embed(["tree " * 50_000, "\udcff tree", "\x00"])
    assert np.isfinite(found).all()


@pytest.mark.parametrize("kind", ["embedding", "boosted", "neighbours", "factorisation"])
def test_a_router_takes_its_model_along(
    text_table: Callable[..., QualityTable], static: Path, tmp_path: Path, kind: Any
) -> None:
    router = fit_router(text_table(), [0, 1], Recipe(kind, static))
    hard, easy = router.score(["integral tree cat", "simple tree cat"])
    assert hard > easy
    digest = router.save(tmp_path / "router")
    for name in ("model.safetensors", "tokenizer.json"):
        (static / name).unlink()
    loaded = Router.load(tmp_path / "router", expected_hash=digest)
    assert loaded.score(TEXTS).tobytes() == router.score(TEXTS).tobytes()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is not a whole safetensors file"),
        (b"\xff" * 100, "is not a whole safetensors file"),
        ((2).to_bytes(8, "little") + b"[]", "is not a whole safetensors file"),
        ((2).to_bytes(8, "little") + b"{}", "neither static embeddings nor those of a BERT"),
        (LYING, "is not a whole safetensors file"),
    ],
)
def test_weights_that_are_none(static: Path, data: bytes, message: str) -> None:
    (static / "model.safetensors").write_bytes(data)
    with pytest.raises(DataError, match=message):
        load_embedding_model(static)


def test_a_model_that_lacks_a_part(static: Path) -> None:
    save_tensors(
        static / "model.safetensors", {"embeddings.word_embeddings.weight": np.ones((12, 4))}
    )
    with pytest.raises(DataError, match="is not a whole BERT"):
        load_embedding_model(static)
    save_tensors(static / "model.safetensors", {"embeddings": np.full((12, 4), np.nan)})
    with pytest.raises(DataError, match="numbers that are not finite"):
        load_embedding_model(static)
    save_tensors(static / "model.safetensors", {"embeddings": np.ones((3, 4))})
    with pytest.raises(DataError, match="knows fewer tokens than the tokenizer"):
        load_embedding_model(static)
    (static / "tokenizer.json").write_text("{}")
    with pytest.raises(DataError, match="is not a tokenizer"):
        load_embedding_model(static)
    (static / "tokenizer.json").unlink()
    with pytest.raises(DataError, match="cannot be read"):
        load_embedding_model(static)


def test_halves_are_read_as_floats(static: Path) -> None:
    model = load_embedding_model(static)
    data = model.network.data
    size = int.from_bytes(data[:8], "little")
    values = np.frombuffer(data[8 + size :], dtype="<f4")
    header = json.loads(data[8 : 8 + size])
    header["embeddings"] |= {"dtype": "BF16", "data_offsets": [0, 2 * values.size]}
    text = json.dumps(header).encode()
    halves = (values.view("<u4") >> 16).astype("<u2").tobytes()
    whole = len(text).to_bytes(8, "little") + text + halves
    (static / "model.safetensors").write_bytes(whole)
    other = load_embedding_model(static)
    assert other.embed(TEXTS) == pytest.approx(model.embed(TEXTS), abs=0.01)
