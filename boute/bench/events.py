"""Server-sent events out of the pieces that a connection delivers.

What the WHATWG standard asks of a client, as far as OpenAI-compatible servers use it: the data of
events. Names, ids, retries and comments are read over.
"""

from __future__ import annotations

__all__ = ["EventReader"]


class EventReader:
    """Takes bytes as they come and gives the data of each event that they complete.

    >>> reader = EventReader()
    >>> reader.feed(b'data: {"a"')
    []
    >>> reader.feed(b': 1}\\r\\n\\r\\ndata: [DONE]\\n\\n')
    [b'{"a": 1}', b'[DONE]']
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> list[bytes]:
        """Data of the events that this piece completes, in order."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        events = []
        for line in lines:
            text = line.removesuffix(b"\r")
            if not text and self._data:
                events.append(b"\n".join(self._data))
                self._data = []
            elif text.startswith(b"data:"):
                self._data.append(text[5:].removeprefix(b" "))
        return events
