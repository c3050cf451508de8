import io
import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from boute.errors import DataError
from boute.routing.router import Router
from boute.routing.table import QualityTable
from boute.routing.training import fit_router

TEXTS = ["integral of a tree", "simple road", ""]


@pytest.fixture
def router(text_table: Callable[..., QualityTable]) -> Router:
    return fit_router(text_table(), [0, 1])


def parts(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def test_saved_and_loaded_it_scores_the_same(router: Router, tmp_path: Path) -> None:
    digest = router.save(tmp_path / "router.npz")
    loaded = Router.load(tmp_path / "router.npz", expected_hash=digest)
    assert loaded.score(TEXTS).tobytes() == router.score(TEXTS).tobytes()
    assert (loaded.kind, loaded.models, loaded.data_hash) == (
        "text",
        ("small", "big"),
        router.data_hash,
    )


def test_the_same_fit_is_the_same_file(
    text_table: Callable[..., QualityTable], router: Router, tmp_path: Path
) -> None:
    first = router.save(tmp_path / "a.npz")
    second = fit_router(text_table(), [0, 1]).save(tmp_path / "b.npz")
    assert first == second
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_a_query_scores_the_same_alone_and_in_a_batch(router: Router) -> None:
    assert [router.score([text])[0] for text in TEXTS] == router.score(TEXTS).tolist()


def test_a_text_unlike_any_other_still_gets_a_score(router: Router) -> None:
    score = router.score(["π" * 100_000, "\x00", "?" * 5000])
    assert ((score > 0) & (score < 1)).all()


def test_another_file_than_the_plan_recorded(router: Router, tmp_path: Path) -> None:
    router.save(tmp_path / "router.npz")
    with pytest.raises(DataError, match="is not the router that the plan was made with"):
        Router.load(tmp_path / "router.npz", expected_hash="0" * 64)


def test_no_objects_are_loaded(router: Router, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    router.save(tmp_path / "router.npz")
    arrays = parts(tmp_path / "router.npz")
    arrays["weights"] = np.array([Trap()], dtype=object)
    np.savez(tmp_path / "router.npz", **arrays)
    with pytest.raises(DataError, match="is not a whole router file"):
        Router.load(tmp_path / "router.npz")
    (tmp_path / "router.npz").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DataError, match="is not a whole router file"):
        Router.load(tmp_path / "router.npz")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 1}, "schema version 1; this boute reads 2"),
        ({"kind": "neural"}, "kind"),
        ({"models": 3}, "models"),
        ({"more": 1}, "unknown key more"),
        ({"feature_names": ["other"]}, "is not a whole router file"),
        ({"kind": "given"}, "is not a whole router file"),
    ],
)
def test_a_header_of_another_kind(
    router: Router, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    path = tmp_path / "router.npz"
    router.save(path)
    arrays = parts(path)
    arrays["header"] = np.array(json.dumps(json.loads(str(arrays["header"])) | change))
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=message):
        Router.load(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weights", np.zeros(3)),
        ("weights", np.array("text")),
        ("mean", np.full(13, np.nan)),
        ("scale", np.zeros(13)),
        ("intercept", np.zeros(2)),
        ("header", np.array("[1]")),
        ("header", np.array("{")),
    ],
)
def test_arrays_of_the_wrong_shape(
    router: Router, tmp_path: Path, name: str, value: np.ndarray
) -> None:
    path = tmp_path / "router.npz"
    router.save(path)
    np.savez(path, **(parts(path) | {name: value}))
    with pytest.raises(DataError, match="is not a whole router file"):
        Router.load(path)


def test_an_archive_that_unpacks_to_too_much(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "router.npz", weights=np.zeros(10_000_000))
    with pytest.raises(DataError, match="is not a whole router file"):
        Router.load(tmp_path / "router.npz")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_an_error_or_no_change(
    router: Router, tmp_path: Path, data: st.DataObject
) -> None:
    path = tmp_path / "router.npz"
    router.save(path)
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    cut = data.draw(st.booleans())
    path.write_bytes(
        whole[:at] if cut else whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
    )
    try:
        loaded = Router.load(path)
    except DataError:
        return
    assert loaded.weights.tobytes() == router.weights.tobytes()


def test_features_and_given_scores_are_saved_too(
    text_table: Callable[..., QualityTable], tmp_path: Path
) -> None:
    features = np.random.default_rng(0).random((200, 2))
    for table, query in (
        (replace(text_table(), features=features, feature_names=("a", "b")), features[:3]),
        (replace(text_table(), score=features[:, 0]), features[:3, 0]),
    ):
        router = fit_router(table, [0, 1])
        router.save(tmp_path / "router.npz")
        loaded = Router.load(tmp_path / "router.npz")
        assert loaded.score(query).tolist() == router.score(query).tolist()
        assert loaded.feature_names == router.feature_names
    buffer = io.BytesIO((tmp_path / "router.npz").read_bytes())
    with np.load(buffer, allow_pickle=False) as file:
        assert file["weights"].shape == (1,)
