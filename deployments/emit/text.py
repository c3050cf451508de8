"""YAML and JSON as the files of other tools have them: long texts as blocks, documents in a row."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import yaml

__all__ = ["to_json", "to_yaml"]


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as a block, and a value again where it occurs again."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def to_yaml(documents: Iterable[Any]) -> str:
    """Documents with `---` between them, keys in the order given."""
    texts = [
        str(yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100))
        for document in documents
    ]
    return "---\n".join(texts)


def to_json(data: Any) -> str:
    """JSON with a line a value, keys in the order given."""
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
