"""Cards are found by name or path, the user's before the shipped ones, and written whole."""

from pathlib import Path

import pytest

from boute.documents import dump_yaml
from boute.errors import OutputError, ProfileError
from boute.profiles.catalog import (
    gpu_names,
    load_gpu,
    load_model,
    model_names,
    save_gpu_card,
    save_model_card,
)


def test_every_shipped_card_loads_under_its_name() -> None:
    assert [load_gpu(name, Path()).name for name in gpu_names()] == gpu_names()
    assert [load_model(name, Path()).name for name in model_names()] == model_names()


def test_a_user_card_overrides_the_shipped_one(cards: Path) -> None:
    shipped = load_gpu("l4", Path())
    path = save_gpu_card(shipped.model_copy(update={"node_gpus": 2}))
    assert path == cards / "gpus" / "l4.yaml"
    assert load_gpu("l4", Path()).node_gpus == 2
    assert gpu_names().count("l4") == 1


def test_a_path_beats_names_and_is_relative_to_the_spec(tmp_path: Path) -> None:
    card = load_model("llama-3.1-8b", Path()).model_copy(update={"name": "mine"})
    (tmp_path / "cards").mkdir(exist_ok=True)
    (tmp_path / "cards" / "big.yaml").write_text(dump_yaml(card.model_dump()), "utf-8")
    assert load_model("cards/big.yaml", tmp_path) == card


def test_a_saved_card_reads_back_the_same() -> None:
    for name in ("h100-pcie", "t4"):
        card = load_gpu(name, Path())
        save_gpu_card(card)
        assert load_gpu(name, Path()) == card
    for name in ("gemma-2-9b", "deepseek-v3"):
        model = load_model(name, Path())
        save_model_card(model)
        assert load_model(name, Path()) == model


def test_a_user_card_is_replaced_only_when_asked() -> None:
    card = load_gpu("l4", Path())
    save_gpu_card(card)
    with pytest.raises(OutputError, match="--force"):
        save_gpu_card(card)
    save_gpu_card(card, force=True)


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(ProfileError, match=r"no GPU card 'H100-SMX'; did you mean h100-sxm"):
        load_gpu("H100-SMX", Path())
    with pytest.raises(ProfileError, match=r"did you mean .*llama-3\.1-8b"):
        load_model("llama3.1-8b", Path())
    with pytest.raises(ProfileError, match=r"known GPU cards: .*mi300x"):
        load_gpu("?", Path())


def test_a_broken_user_card_names_file_and_line(cards: Path) -> None:
    text = dump_yaml(load_gpu("l4", Path()).model_dump(mode="json"))
    (cards / "gpus").mkdir(parents=True)
    path = cards / "gpus" / "l4.yaml"
    path.write_text(text.replace("node_gpus: 8", "node_gpus: -8"), "utf-8")
    with pytest.raises(ProfileError, match=r"l4\.yaml:\d+: node_gpus: .*it is -8"):
        load_gpu("l4", Path())
    path.write_text(text.replace("name: l4", "name: l5"), "utf-8")
    with pytest.raises(ProfileError, match="make them the same"):
        load_gpu("l4", Path())


def test_a_missing_path_is_a_profile_error(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"none\.yaml: cannot be read"):
        load_gpu("none.yaml", tmp_path)
