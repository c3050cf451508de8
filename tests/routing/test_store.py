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
from boute.files import sha256_of
from boute.routing.router import KINDS, Router
from boute.routing.store import ARRAYS, HEADER, router_files
from boute.routing.table import QualityTable
from boute.routing.training import Recipe, fit_router

TEXTS = ["integral of a tree", "simple road", ""]
Make = Callable[..., QualityTable]


@pytest.fixture(scope="module")
def router(made: Make) -> Router:
    return fit_router(made(), [0, 1])


@pytest.fixture(scope="module")
def made() -> Make:
    def make() -> QualityTable:
        hard = np.arange(120) % 3 == 0
        text = tuple(f"{'integral' if h else 'simple'} {i}" for i, h in enumerate(hard))
        quality = np.stack([np.where(hard, 0.0, 1.0), np.ones(120)], axis=1)
        return QualityTable("made", ("small", "big"), quality, np.full((120, 2), 9.0), text=text)

    return make


def repack(folder: Path, **changes: np.ndarray | None) -> None:
    """Change arrays of a saved router, and its header's hash of them."""
    with np.load(folder / ARRAYS) as file:
        arrays = {name: file[name] for name in file.files}
    arrays.update({name: value for name, value in changes.items() if value is not None})
    kept = {name: value for name, value in arrays.items() if changes.get(name, value) is not None}
    np.savez(folder / ARRAYS, **kept)
    rehash(folder)


def rehash(folder: Path, **header: object) -> None:
    import hashlib

    plain = json.loads((folder / HEADER).read_text())
    plain["files"][ARRAYS] = hashlib.sha256((folder / ARRAYS).read_bytes()).hexdigest()
    (folder / HEADER).write_text(json.dumps(plain | header))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "embedding"])
def test_saved_and_loaded_it_predicts_the_same(made: Make, tmp_path: Path, kind: str) -> None:
    router = fit_router(made(), [0, 1], Recipe(kind))
    digest = router.save(tmp_path)
    loaded = Router.load(tmp_path, expected_hash=digest)
    assert loaded.score(TEXTS).tobytes() == router.score(TEXTS).tobytes()
    before, after = router.predict(TEXTS), loaded.predict(TEXTS)
    assert before.quality.tobytes() == after.quality.tobytes()
    assert before.output_high.tobytes() == after.output_high.tobytes()
    assert (loaded.kind, loaded.models, loaded.data_hash) == (
        kind,
        ("small", "big"),
        router.data_hash,
    )


def test_the_same_fit_is_the_same_folder(made: Make, router: Router, tmp_path: Path) -> None:
    first = router.save(tmp_path / "a")
    assert first == fit_router(made(), [0, 1]).save(tmp_path / "b")
    for name in (HEADER, ARRAYS):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    with zipfile.ZipFile(tmp_path / "a" / ARRAYS) as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_another_router_than_the_plan_recorded(router: Router, tmp_path: Path) -> None:
    router.save(tmp_path)
    with pytest.raises(DataError, match="is not the router that the plan was made with"):
        Router.load(tmp_path, expected_hash="0" * 64)
    (tmp_path / ARRAYS).write_bytes(b"")
    with pytest.raises(DataError, match="is not the file that router"):
        Router.load(tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        Router.load(tmp_path / "none")


def test_no_objects_are_loaded(router: Router, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    router.save(tmp_path)
    repack(tmp_path, **{"heads.weights": np.array([Trap()], dtype=object)})
    with pytest.raises(DataError, match="is not a whole router"):
        Router.load(tmp_path)
    (tmp_path / ARRAYS).write_bytes(pickle.dumps(Trap()))
    rehash(tmp_path)
    with pytest.raises(DataError, match="is not a whole router"):
        Router.load(tmp_path)
    (tmp_path / HEADER).write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DataError, match="is not a whole router"):
        Router.load(tmp_path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 3}, "schema version 3; this boute reads 4"),
        ({"kind": "neural"}, "kind"),
        ({"kind": "boosted"}, "is not a whole router"),
        ({"encoder": "os.system"}, "encoder"),
        ({"encoder": "topics"}, "is not a whole router"),
        ({"encoder": "embedding"}, "is not a whole router"),
        ({"models": 3}, "models"),
        ({"models": ["a", "b", "c"]}, "is not a whole router"),
        ({"more": 1}, "unknown key more"),
        ({"feature_names": ["other"]}, "is not a whole router"),
        ({"files": {"../arrays.npz": "0" * 64}}, "is not a whole router"),
        ({"files": {}}, "is not a whole router"),
    ],
)
def test_a_header_of_another_kind(
    router: Router, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    router.save(tmp_path)
    rehash(tmp_path, **change)
    with pytest.raises(DataError, match=message):
        Router.load(tmp_path)


@pytest.mark.parametrize("text", ["[1]", "{", "", "[" * 100_000, "null"])
def test_a_header_that_is_none(router: Router, tmp_path: Path, text: str) -> None:
    router.save(tmp_path)
    (tmp_path / HEADER).write_text(text)
    with pytest.raises(DataError, match="is not a whole router"):
        Router.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("heads.weights", np.zeros((3, 2), dtype=np.float32)),
        ("heads.weights", np.zeros((8205, 2))),
        ("heads.weights", np.array("text")),
        ("heads.intercepts", np.array([np.nan, 0.0])),
        ("heads.intercepts", None),
        ("heads.more", np.zeros(2, dtype=np.float32)),
        ("encoder.mean", np.full(13, np.nan)),
        ("encoder.scale", np.zeros(13)),
        ("spread.low", np.full(2, 1e9)),
        ("other", np.zeros(2, dtype=np.float32)),
    ],
)
def test_arrays_of_the_wrong_shape(
    router: Router, tmp_path: Path, name: str, value: np.ndarray | None
) -> None:
    router.save(tmp_path)
    repack(tmp_path, **{name: value})
    with pytest.raises(DataError, match="is not a whole router"):
        Router.load(tmp_path)


def test_trees_that_ask_for_what_is_not_there(made: Make, tmp_path: Path) -> None:
    router = fit_router(made(), [0, 1], Recipe("boosted"))
    router.save(tmp_path)
    figure = np.full(router.heads.arrays()["figure"].shape, 9999, dtype=np.int16)
    repack(tmp_path, **{"heads.figure": figure})
    with pytest.raises(DataError, match="is not a whole router"):
        Router.load(tmp_path)


def test_an_archive_that_unpacks_to_too_much(router: Router, tmp_path: Path) -> None:
    router.save(tmp_path)
    np.savez_compressed(tmp_path / ARRAYS, weights=np.zeros(40_000_000))
    rehash(tmp_path)
    with pytest.raises(DataError, match="is not a whole router"):
        Router.load(tmp_path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_an_error(router: Router, tmp_path: Path, data: st.DataObject) -> None:
    digest = router.save(tmp_path)
    path = tmp_path / data.draw(st.sampled_from([HEADER, ARRAYS]))
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    cut = data.draw(st.booleans())
    path.write_bytes(
        whole[:at] if cut else whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
    )
    with pytest.raises(DataError):
        Router.load(tmp_path, expected_hash=digest)


def test_features_and_given_scores_are_saved_too(made: Make, tmp_path: Path) -> None:
    features = np.random.default_rng(0).random((120, 2))
    for table, query in (
        (replace(made(), features=features, feature_names=("a", "b")), features[:3]),
        (replace(made(), score=features[:, 0]), features[:3, 0]),
    ):
        router = fit_router(table, [0, 1])
        router.save(tmp_path)
        loaded = Router.load(tmp_path)
        assert loaded.score(query).tolist() == router.score(query).tolist()
        assert loaded.feature_names == router.feature_names
        assert loaded.predict(query).quality.shape == (3, 2)


def test_files_are_those_that_were_checked(router: Router, tmp_path: Path) -> None:
    digest = router.save(tmp_path)
    files = router_files(tmp_path, expected_hash=digest)
    assert set(files) == {HEADER, ARRAYS}
    assert sha256_of(files[ARRAYS]) == sha256_of((tmp_path / ARRAYS).read_bytes())
