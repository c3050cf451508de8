from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from boute.bench.events import EventReader

STREAM = (
    b': ping\r\n\r\nevent: x\ndata: {"a": 1}\n\ndata:two\r\ndata: lines\r\n\r\ndata: [DONE]\n\n'
)
EVENTS = [b'{"a": 1}', b"two\nlines", b"[DONE]"]


@given(st.lists(st.integers(0, len(STREAM))))
def test_however_the_bytes_are_cut_the_events_are_the_same(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    reader = EventReader()
    pieces = [STREAM[a:b] for a, b in itertools.pairwise(edges)]
    assert [event for piece in pieces for event in reader.feed(piece)] == EVENTS


def test_an_event_counts_only_when_it_is_whole() -> None:
    reader = EventReader()
    assert reader.feed(b"data: half") == []
    assert reader.feed(b"\n") == []
    assert reader.feed(b"\n") == [b"half"]
