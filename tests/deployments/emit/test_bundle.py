from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boute.deployments.emit.bundle import Bundle, make_bundle
from boute.deployments.fleet import load_fleet
from boute.deployments.keys import hash_key
from boute.errors import DataError, InputError
from boute.plan.model import PlannedModel


def bundle_of(plan: Path, options: Path | None = None) -> Bundle:
    def weights(model: PlannedModel, folder: Path) -> str:
        assert folder.is_absolute()
        return f"/models/{model.name}"

    return make_bundle(plan, options, weights=weights)


def unpack(bundle: Bundle, folder: Path) -> str:
    folder.mkdir()
    for name, data in bundle.files.items():
        (folder / name).write_bytes(data)
    return str(folder)


def test_the_files_need_nothing_but_each_other(
    plan_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards = tmp_path / "cards" / "gpus"
    cards.mkdir(parents=True)
    monkeypatch.setenv("BOUTE_CARDS", str(cards.parent))
    from boute.profiles.catalog import SHIPPED

    mine = (SHIPPED / "gpus" / "l4.yaml").read_text().replace("name: l4", "name: my-l4")
    (cards / "my-l4.yaml").write_text(mine)
    options = tmp_path / "serve.yaml"
    (tmp_path / "keys.yaml").write_text(f"keys:\n- name: a\n  sha256: {hash_key('a')}\n")
    options.write_text("port: 9000\nkeys_file: keys.yaml\n")

    def change(data: dict[str, Any]) -> None:
        data["spec"]["gpus"]["my-l4"] = {"count": 8}
        data["pools"][0]["gpu"] = "my-l4"
        data["models"][2]["served_by"] = {"engine": "vllm", "folder": "../weights/large"}

    bundle = bundle_of(plan_file(change), options)
    folder = unpack(bundle, tmp_path / "elsewhere")
    monkeypatch.delenv("BOUTE_CARDS")
    shutil.rmtree(tmp_path / "plans")
    shutil.rmtree(tmp_path / "cards")
    shutil.rmtree(tmp_path / "given")
    for name in ("keys.yaml", "serve.yaml"):
        (tmp_path / name).unlink()
    fleet = load_fleet(bundle.arguments(folder))
    assert fleet.options.port == 9000
    assert fleet.live == bundle.live_in(folder)
    assert set(fleet.live.keys or {}) == {hash_key("a")}
    assert fleet.engine_of("llama-3.1-70b").folder == "/models/llama-3.1-70b"


def test_keys_of_the_environment_are_not_written_down(
    plan_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOUTE_API_KEYS", "somebody's")
    assert bundle_of(plan_file()).live.keys is None


@pytest.mark.parametrize(
    ("path", "value", "same"),
    [
        (("routing", "thresholds"), [0.3, 0.9], True),
        (("pools", 1, "weight"), None, True),
        (("pools", 0, "replicas"), 2, False),
        (("models", 0, "kv_cache"), "fp8", False),
    ],
)
def test_the_identity_changes_with_what_needs_a_redeployment(
    plan_file: Callable[..., Path], path: tuple[Any, ...], value: Any, same: bool
) -> None:
    def change(data: dict[str, Any]) -> None:
        if path[-1] == "weight":
            data["pools"][1]["weight"], data["pools"][2]["weight"] = 0.5, 0.5
            return
        *parents, last = path
        for parent in parents:
            data = data[parent]
        data[last] = value

    before, after = bundle_of(plan_file()), bundle_of(plan_file(change))
    assert before.live != after.live
    assert (before.identity == after.identity) is same


def test_a_change_of_options_is_another_fleet(
    plan_file: Callable[..., Path], tmp_path: Path
) -> None:
    options = tmp_path / "serve.yaml"
    options.write_text("max_ongoing_requests: 8\n")
    assert bundle_of(plan_file()).identity != bundle_of(plan_file(), options).identity


def test_another_router_than_the_plan_s_is_refused(
    plan_file: Callable[..., Path], tmp_path: Path
) -> None:
    plan = plan_file()
    (tmp_path / "given" / "router.json").write_bytes(b"")
    with pytest.raises(DataError, match="not the router that the plan was made with"):
        bundle_of(plan)


def test_weights_that_are_nowhere_are_said(plan_file: Callable[..., Path]) -> None:
    def change(data: dict[str, Any]) -> None:
        del data["models"][0]["huggingface_id"]

    with pytest.raises(InputError, match="nothing says where the weights"):
        bundle_of(plan_file(change))
