"""YAML documents checked against pydantic models, with errors that name file, line and key.

Every file that a user writes goes through `load_document`: specs, plans and cards. PyYAML's safe
loader is used throughout, a key given twice is an error, and the first thing that is wrong becomes
one `InputError` such as `boute.yaml:7: gpus.l4.count: should be greater than 0 (it is -1)`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from boute.errors import InputError
from boute.files import read_text

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["Document", "check_document", "dump_yaml", "load_document", "parse_yaml"]

Key = tuple[str | int, ...]
Lines = Mapping[Key, int]


class Document(BaseModel):
    """Base of all that is read from YAML: frozen, no unknown keys, no NaN or infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


D = TypeVar("D", bound=BaseModel)


def load_document(path: Path, kind: type[D], *, error: type[InputError] = InputError) -> D:
    """Read a YAML file as `kind`; raise `error` naming file, line and key."""
    data, lines = parse_yaml(read_text(path, error=error), where=str(path), error=error)
    return check_document(data, kind, where=str(path), lines=lines, error=error)


def check_document(
    data: object,
    kind: type[D],
    *,
    where: str,
    lines: Lines | None = None,
    error: type[InputError] = InputError,
) -> D:
    """Validate plain data as `kind`; raise `error` for the first thing that is wrong."""
    if not isinstance(data, Mapping):
        raise error("should be a mapping of keys to values", where=where, mend="see the docs")
    try:
        return kind.model_validate(data)
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        raise _explain(first, kind, where=where, lines=lines or {}, error=error) from None


def parse_yaml(
    text: str, *, where: str, error: type[InputError] = InputError
) -> tuple[Any, dict[Key, int]]:
    """Parse YAML to plain data and a map from each key path to its line (from 1)."""
    try:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                raise error("is empty", where=where, mend="was it cut short?")
            lines = dict(_lines(node, (), loader, where=where, error=error))
            return loader.construct_document(node), lines
        finally:
            loader.dispose()  # type: ignore[no-untyped-call]
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        mark = getattr(problem, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        reason = getattr(problem, "problem", None) or "cannot be parsed"
        raise error(
            f"is not valid YAML: {reason}", where=f"{where}{line}", mend="was it cut short?"
        ) from None


def dump_yaml(data: object) -> str:
    """Plain data as YAML in the order given, the same text for the same data."""
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)


def _lines(
    node: yaml.Node,
    key: Key,
    loader: yaml.SafeLoader,
    *,
    where: str,
    error: type[InputError],
) -> Iterator[tuple[Key, int]]:
    yield key, node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _lines(item, (*key, index), loader, where=where, error=error)
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[object] = set()
    for name_node, value in node.value:
        name = loader.construct_object(name_node, deep=True)
        line = name_node.start_mark.line + 1
        if not isinstance(name, str | int | float | bool):
            raise error("a key should be text", where=f"{where}:{line}")
        if name in seen:
            raise error(
                f"{_dotted((*key, str(name)))} is given twice",
                where=f"{where}:{line}",
                mend="keep one of them",
            )
        seen.add(name)
        child = (*key, name if isinstance(name, str) else str(name))
        for path, at in _lines(value, child, loader, where=where, error=error):
            yield path, line if path == child else at


def _explain(
    detail: ErrorDetails, kind: type[BaseModel], *, where: str, lines: Lines, error: type[InputError]
) -> InputError:
    path = tuple(part for part in detail["loc"] if not _is_type_tag(part))
    line = next((lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in lines), None)
    place = f"{where}:{line}" if line is not None else where
    key = _dotted(path)
    if detail["type"] == "extra_forbidden":
        return error(f"unknown key {key}", where=place, mend=_nearest(path, kind))
    if detail["type"] == "missing":
        return error(f"{key} is missing", where=place, mend="add it")
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
    given = detail["input"]
    shown = f" (it is {given!r})" if isinstance(given, str | int | float | bool) else ""
    return error(f"{key}: {message}{shown}" if key else f"{message}{shown}", where=place)


def _is_type_tag(part: str | int) -> bool:
    """Whether pydantic put the part there to say which member of a union it tried."""
    return isinstance(part, str) and (part[:1].isupper() or "[" in part or part in {"str", "int"})


def _dotted(path: Key) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _nearest(path: Key, kind: type[BaseModel]) -> str:
    names = _fields_at(path[:-1], kind)
    close = difflib.get_close_matches(str(path[-1]), names, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return f"known keys: {', '.join(names)}" if names else "remove it"


def _fields_at(path: Key, kind: type[BaseModel]) -> list[str]:
    """Names that are allowed at a key path, following models nested in lists and mappings."""
    schema = kind.model_json_schema()
    here: dict[str, Any] = schema
    for part in path:
        choices = _resolve(here, schema)
        here = next(
            (step for choice in choices if (step := _step(choice, part)) is not None), {}
        )
    return [name for choice in _resolve(here, schema) for name in choice.get("properties", {})]


def _resolve(node: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in node:
        return _resolve(schema["$defs"][node["$ref"].rsplit("/", 1)[-1]], schema)
    if "anyOf" in node:
        return [choice for option in node["anyOf"] for choice in _resolve(option, schema)]
    return [node]


def _step(node: dict[str, Any], part: str | int) -> dict[str, Any] | None:
    if isinstance(part, int):
        return node.get("items")
    found = node.get("properties", {}).get(part)
    if found is not None:
        return dict(found)
    extra = node.get("additionalProperties")
    return extra if isinstance(extra, dict) else None
