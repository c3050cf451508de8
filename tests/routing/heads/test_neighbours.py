import numpy as np
import pytest

from boute.routing.encoders.encoder import Encoded
from boute.routing.heads import neighbours


def test_nearest_are_those_of_a_plain_search() -> None:
    rng = np.random.default_rng(0)
    dense = rng.standard_normal((300, 5))
    made = neighbours.fit_neighbours(Encoded(dense), rng.random((300, 2)), seed=0)
    queries = rng.standard_normal((4, 5))
    rows, similarity = made.nearest(Encoded(queries))
    for query, found, near in zip(queries, rows, similarity, strict=True):
        cosine = dense @ query / np.linalg.norm(dense, axis=1) / np.linalg.norm(query)
        assert found.tolist() == np.argsort(-cosine)[: neighbours.NEIGHBOURS].tolist()
        assert near == pytest.approx(np.sort(cosine)[::-1][: neighbours.NEIGHBOURS], abs=1e-5)


def test_a_query_is_answered_as_its_like_were() -> None:
    sides = np.repeat([[1.0, 0.0], [-1.0, 0.0]], 150, axis=0)
    labels = np.repeat([[1.0], [0.0]], 150, axis=0)
    made = neighbours.fit_neighbours(Encoded(sides), labels, seed=0)
    high, low, neither = made.quality(Encoded(np.array([[2.0, 0.0], [-3.0, 0.0], [0.0, 0.0]])))[
        :, 0
    ]
    assert high > 0.9 > 0.1 > low
    assert 0 <= neither <= 1


def test_of_many_rows_a_sample_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "MOST_ROWS", 50)
    dense = np.random.default_rng(0).random((200, 3))
    made = neighbours.fit_neighbours(Encoded(dense), np.ones((200, 1)), seed=0)
    assert made.vectors.shape == (50, 3)
