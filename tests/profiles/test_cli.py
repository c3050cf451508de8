"""`boute gpus` and `boute models` as a user runs them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from boute.cli import gpus, models
from boute.documents import dump_yaml
from boute.errors import OutputError, ProfileError
from boute.profiles.catalog import load_gpu, load_model

RUN = CliRunner().invoke

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "max_position_embeddings": 4096,
    "model_type": "llama",
    "num_attention_heads": 32,
    "num_hidden_layers": 16,
    "num_key_value_heads": 8,
    "tie_word_embeddings": True,
    "vocab_size": 128256,
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "My-Model" / "config.json"
    path.parent.mkdir()
    path.write_text(json.dumps(CONFIG), "utf-8")
    return path


@pytest.mark.parametrize("arguments", [[], ["list"]])
def test_lists_are_whole_and_plain(arguments: list[str]) -> None:
    text = RUN(gpus.app, arguments).stdout
    assert all(name in text for name in ("h100-sxm", "rtx-pro-6000", "infinity-fabric", "3.99"))
    assert "\x1b" not in text
    text = RUN(models.app, arguments).stdout
    assert all(part in text for part in ("671.03B", "37.55B", "meta-llama/Llama-3.1-8B-Instruct"))
    assert "…" not in text


def test_lists_as_json() -> None:
    cards = json.loads(RUN(gpus.app, ["list", "--json"]).stdout)
    assert {card["name"]: card["memory_gib"] for card in cards}["h200"] == 140.4
    sizes = json.loads(RUN(models.app, ["list", "--json"]).stdout)
    assert {card["name"]: card["parameters"] for card in sizes}["llama-3.1-8b"] == 8_029_995_008


def test_show_names_the_sources() -> None:
    text = RUN(gpus.app, ["show", "h100-pcie"]).stdout
    assert "data sheet" in text
    assert "beyond_pair_gb_s" in text
    text = RUN(models.app, ["show", "deepseek-v3"]).stdout
    assert "kv_lora_rank" in text
    assert "70,272" in text
    one = json.loads(RUN(gpus.app, ["show", "l4", "--json"]).stdout)
    assert one == load_gpu("l4", Path()).model_dump(mode="json")


def test_show_of_an_unknown_card() -> None:
    assert isinstance(RUN(gpus.app, ["show", "h100"]).exception, ProfileError)
    assert isinstance(RUN(models.app, ["show", "gpt-9"]).exception, ProfileError)


def test_add_a_gpu(tmp_path: Path) -> None:
    card = load_gpu("l4", Path()).model_copy(update={"name": "l4-half"})
    path = tmp_path / "half.yaml"
    path.write_text(dump_yaml(card.model_dump(mode="json")), "utf-8")
    assert RUN(gpus.app, ["add", str(path)]).exit_code == 0
    assert load_gpu("l4-half", Path()) == card
    path.write_text("name: l4-half\n", "utf-8")
    assert isinstance(RUN(gpus.app, ["add", str(path)]).exception, ProfileError)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ([], "my-model"),
        (["--name", "tiny"], "tiny"),
        (["--huggingface-id", "Org/Tiny-1B"], "tiny-1b"),
    ],
)
def test_add_a_model(config: Path, options: list[str], name: str) -> None:
    result = RUN(models.app, ["add", str(config), *options])
    assert result.exit_code == 0
    assert "1.24B" in result.stderr
    card = load_model(name, Path())
    assert card.parameters == load_model("llama-3.2-1b", Path()).parameters


def test_add_takes_the_folder_and_keeps_what_is_there(config: Path) -> None:
    assert RUN(models.app, ["add", str(config.parent)]).exit_code == 0
    assert isinstance(RUN(models.app, ["add", str(config)]).exception, OutputError)
    assert RUN(models.app, ["add", str(config), "--force"]).exit_code == 0


def test_a_bad_name_is_refused_and_nothing_is_written(config: Path, cards: Path) -> None:
    result = RUN(models.app, ["add", str(config), "--name", "../../evil"])
    assert isinstance(result.exception, ProfileError)
    assert not cards.exists()


def test_prices_renew_the_users_cards(tmp_path: Path) -> None:
    path = tmp_path / "vms.csv"
    path.write_text(
        "AcceleratorName,AcceleratorCount,Price,SpotPrice,Region\nL4,8,4.0,2.0,here\n", "utf-8"
    )
    assert RUN(gpus.app, ["prices", str(path), "--provider", "acme"]).exit_code == 0
    price = load_gpu("l4", Path()).price
    assert (price.on_demand_per_hour, price.spot_per_hour) == (0.5, 0.25)
    assert price.source == "acme vms.csv"


def test_importing_the_verbs_loads_nothing_heavy() -> None:
    code = (
        "import sys; from boute.cli import gpus, models; "
        "print(sys.modules.keys() & {'pydantic', 'yaml', 'numpy', 'rich.table'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
