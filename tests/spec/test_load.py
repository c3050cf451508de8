from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

import pytest
from typer.testing import CliRunner

from boute.documents import dump_yaml
from boute.errors import ProfileError, SpecError
from boute.profiles.catalog import load_gpu, load_model
from boute.spec.load import load_spec, rebase_spec, resolve, spec_hash
from boute.spec.model import Spec

ROOT = Path(__file__).resolve().parents[2]
TEXT = """\
models:
- llama-3.1-8b
- {name: big, card: cards/big.yaml, weights: fp8}
gpus:
  l40s: {count: 4}
  mine: {count: 2, card: cards/mine.yaml, price_per_hour: 1.5}
workload: {trace: trace.csv, rate_scale: 2}
quality: {table: data/quality.csv, lengths: lengths.csv, texts: texts.csv, key: [id]}
search: {seed: 1}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a spec and small stand-ins for all the files that it names."""
    folder = tmp_path / "here"
    (folder / "data").mkdir(parents=True)
    (folder / "cards").mkdir()
    (folder / "boute.yaml").write_text(TEXT, "utf-8")
    for name in ("trace.csv", "data/quality.csv", "lengths.csv", "texts.csv"):
        (folder / name).write_text(f"{name}\n", "utf-8")
    big = load_model("llama-3.1-70b", folder).model_dump(exclude_none=True)
    (folder / "cards/big.yaml").write_text(dump_yaml(big), "utf-8")
    mine = load_gpu("l4", folder).model_dump(exclude_none=True)
    (folder / "cards/mine.yaml").write_text(dump_yaml(mine), "utf-8")
    return folder


def hash_of(folder: Path) -> str:
    return spec_hash(load_spec(folder / "boute.yaml"), folder)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_a_wrong_spec_names_file_line_and_key(folder: Path) -> None:
    edit(folder / "boute.yaml", "count: 4", "count: -4")
    with pytest.raises(SpecError) as caught:
        load_spec(folder / "boute.yaml")
    path = folder / "boute.yaml"
    assert str(caught.value) == f"{path}:5: gpus.l40s.count: should be at least 0 (it is -4)"


def test_a_missing_spec_is_a_spec_error(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"boute\.yaml: cannot be read: no such file"):
        load_spec(tmp_path / "boute.yaml")


@pytest.mark.parametrize("at", range(0, TEXT.index("key: [id]}"), 7))
def test_a_spec_cut_short_is_one_clear_error(tmp_path: Path, at: int) -> None:
    path = tmp_path / "boute.yaml"
    path.write_text(TEXT[:at], "utf-8")
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    assert str(caught.value).startswith(str(path))


def test_files_are_relative_to_the_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve("a/b.csv", Path("x")) == Path("x/a/b.csv")
    assert resolve("/a/b.csv", Path("x")) == Path("/a/b.csv")
    assert resolve("~/b.csv", Path("x")) == tmp_path / "b.csv"
    assert resolve("~nobody-of-that-name/b.csv", Path("x")) == Path("x/~nobody-of-that-name/b.csv")


def test_init_writes_the_template_and_the_template_is_a_spec(tmp_path: Path) -> None:
    from boute.cli.main import app

    done = CliRunner().invoke(app, ["init", str(tmp_path / "new")])
    assert done.exit_code == 0, done.output
    written = (tmp_path / "new" / "boute.yaml").read_text("utf-8")
    assert written == resources.files("boute.spec").joinpath("template.yaml").read_text("utf-8")
    spec = load_spec(tmp_path / "new" / "boute.yaml")
    assert spec.objectives == ["quality", "e2e_p95_s", "cost_per_hour"]
    for choice in spec.models:
        load_model(choice.card or choice.name, tmp_path)
    for name, gpu in spec.gpus.items():
        load_gpu(gpu.card or name, tmp_path)


def test_what_the_template_leaves_as_comments_loads_too(tmp_path: Path) -> None:
    text = resources.files("boute.spec").joinpath("template.yaml").read_text("utf-8")
    for key in ("search", "engine"):
        assert f"\n# {key}: {{" in text
        text = text.replace(f"\n# {key}: {{", f"\n{key}: {{")
    (tmp_path / "boute.yaml").write_text(text, "utf-8")
    spec = load_spec(tmp_path / "boute.yaml")
    assert {"search", "engine"} <= spec.model_fields_set


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*/boute.yaml")), ids=str)
def test_the_specs_of_the_examples_load(path: Path) -> None:
    spec = load_spec(path)
    assert 2 <= len(spec.objectives) <= 4


def test_the_hash_is_that_of_the_same_question(folder: Path) -> None:
    before = hash_of(folder)
    assert len(before) == 64
    edit(folder / "boute.yaml", "search: {seed: 1}", "search: {seed: 2, sampler: sobol}")
    assert hash_of(folder) == before
    edit(folder / "boute.yaml", "- llama-3.1-8b", "# the same\n- {name: llama-3.1-8b}")
    assert hash_of(folder) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("rate_scale: 2", "rate_scale: 3"),
        ("count: 4", "count: 5"),
        ("price_per_hour: 1.5", "price_per_hour: 1.25"),
        ("weights: fp8", "weights: bf16"),
        ("search:", "targets: {quality_min: 0.5}\nsearch:"),
        ("search:", "objectives: [quality, cost_per_hour]\nsearch:"),
        ("search:", "engine: {max_num_seqs: 128}\nsearch:"),
    ],
)
def test_the_hash_changes_with_the_question(folder: Path, old: str, new: str) -> None:
    before = hash_of(folder)
    edit(folder / "boute.yaml", old, new)
    assert hash_of(folder) != before


@pytest.mark.parametrize(
    "name",
    [
        "trace.csv",
        "data/quality.csv",
        "lengths.csv",
        "texts.csv",
        "cards/big.yaml",
        "cards/mine.yaml",
    ],
)
def test_the_hash_changes_with_the_data(folder: Path, name: str) -> None:
    before = hash_of(folder)
    with (folder / name).open("a", encoding="utf-8") as file:
        file.write("# more\n")
    assert hash_of(folder) != before


def test_the_hash_changes_when_a_user_overrides_a_shipped_card(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = hash_of(folder)
    (tmp_path / "gpus").mkdir()
    card = load_gpu("l40s", folder).model_copy(update={"bandwidth_gb_s": 1.0})
    text = dump_yaml(card.model_dump(exclude_none=True))
    (tmp_path / "gpus" / "l40s.yaml").write_text(text, "utf-8")
    monkeypatch.setenv("BOUTE_CARDS", str(tmp_path))
    assert hash_of(folder) != before


def test_the_hash_does_not_depend_on_where_the_files_are(folder: Path) -> None:
    before = hash_of(folder)
    os.rename(folder / "trace.csv", folder / "data" / "monday.csv")
    edit(folder / "boute.yaml", "trace: trace.csv", "trace: data/monday.csv")
    assert hash_of(folder) == before


def test_a_card_that_is_not_there_is_an_error_of_the_hash(folder: Path) -> None:
    edit(folder / "boute.yaml", "- llama-3.1-8b", "- llama-9")
    with pytest.raises(ProfileError, match="no model card"):
        hash_of(folder)


def test_a_rebased_spec_asks_the_same_from_another_folder(folder: Path) -> None:
    spec = load_spec(folder / "boute.yaml")
    target = folder / "out" / "plans"
    target.mkdir(parents=True)
    rebased = rebase_spec(spec, folder, target)
    assert rebased.workload.trace == "../../trace.csv"
    assert rebased.quality.table == "../../data/quality.csv"
    assert rebased.quality.lengths == "../../lengths.csv"
    assert rebased.quality.texts == "../../texts.csv"
    assert [choice.card for choice in rebased.models] == [None, "../../cards/big.yaml"]
    assert rebased.gpus["mine"].card == "../../cards/mine.yaml"
    assert rebased.gpus["l40s"].card is None
    assert spec_hash(rebased, target) == spec_hash(spec, folder)
    assert rebase_spec(rebased, target, folder) == spec


def test_a_rebased_spec_is_right_behind_a_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "scratch" / "deep").mkdir(parents=True)
    (folder / "out").symlink_to(tmp_path / "scratch" / "deep")
    spec = load_spec(folder / "boute.yaml")
    rebased = rebase_spec(spec, folder, folder / "out")
    assert spec_hash(rebased, folder / "out") == spec_hash(spec, folder)


def test_rebasing_leaves_presets_names_and_missing_files_alone(folder: Path) -> None:
    data = {
        "models": [{"name": "small", "card": "llama-3.1-8b"}, {"name": "gemma-2-2b", "card": None}],
        "gpus": {"l40s": {"count": 1}},
        "workload": {"trace": "azure-conversation"},
        "quality": {"table": "x" * 255},
    }
    spec = Spec.model_validate(data)
    assert rebase_spec(spec, folder, folder / "out") == spec


def test_a_file_named_as_a_card_does_not_stand_for_it(folder: Path) -> None:
    (folder / "llama-3.1-70b").write_text("", "utf-8")
    data = {
        "models": [{"name": "m", "card": "llama-3.1-70b"}],
        "gpus": {"l40s": {"count": 1}},
        "workload": {"trace": "t"},
        "quality": {"table": "q"},
    }
    spec = Spec.model_validate(data)
    assert rebase_spec(spec, folder, folder / "out").models[0].card == "llama-3.1-70b"


def test_generators_need_no_file(folder: Path) -> None:
    lengths = {"median": 100}
    generator = {"rate_per_s": 1, "input_tokens": lengths, "output_tokens": lengths}
    spec = Spec.model_validate(
        {
            "models": ["llama-3.1-8b"],
            "gpus": {"l40s": {"count": 1}},
            "workload": {"generator": generator},
            "quality": {"table": "llama-3.1"},
        }
    )
    assert rebase_spec(spec, folder, folder / "out") == spec
    assert len(spec_hash(spec, folder)) == 64
