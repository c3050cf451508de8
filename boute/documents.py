"""YAML documents checked against pydantic models, with errors that name file, line and key.

Every file that a user writes goes through `load_document`: specs, plans and cards. PyYAML's safe
loader is used throughout, a key given twice is an error, and the first thing that is wrong becomes
one `InputError` such as `boute.yaml:7: gpus.l4.count: should be at least 0 (it is -1)`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from boute.errors import InputError, nearest
from boute.files import read_text

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["Document", "check_document", "dump_yaml", "load_document", "parse_yaml"]

Key = tuple[str | int, ...]
Lines = Mapping[Key, int]

SHOWN_CHARACTERS: Final = 60
"""How much of a wrong key or value a message repeats."""

# pydantic's words where they speak of Python rather than of the file.
_WORDS: Final = {
    "model_type": "should be a mapping of keys to values",
    "dict_type": "should be a mapping of keys to values",
    "list_type": "should be a list",
    "string_type": "should be text",
    "int_type": "should be a whole number",
    "int_parsing": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_type": "should be a number",
    "float_parsing": "should be a number",
    "bool_type": "should be true or false",
    "bool_parsing": "should be true or false",
    "greater_than_equal": "should be at least {ge}",
    "less_than_equal": "should be at most {le}",
    "too_short": "has {actual_length} entries and should have at least {min_length}",
    "too_long": "has {actual_length} entries and should have at most {max_length}",
    "string_too_short": "should have at least {min_length} characters",
    "string_too_long": "should have at most {max_length} characters",
    "string_pattern_mismatch": "should be a name of letters, digits, '.', '-' and '_'",
    "invalid_key": "should be text",
}


class Document(BaseModel):
    """Base of all that is read from YAML: frozen, no unknown keys, no NaN or infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        # YAML reads yes and on as true, and pydantic takes true for 1.
        if isinstance(value, bool) and info.field_name is not None:
            kind = cls.model_fields[info.field_name].annotation
            if kind is not bool and bool not in get_args(kind):
                raise ValueError("should not be true or false")
        return value


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
        raise error("should be a mapping of keys to values", where=where)
    try:
        return kind.model_validate(data)
    except ValidationError as problem:
        # A misspelt key is missing under its right name too: say what is there first.
        found = problem.errors(include_url=False)
        detail = min(found, key=lambda detail: detail["type"] == "missing")
        path = _path_in(data, detail)
        message, mend = _explain(detail, path, kind)
        raise error(message, where=f"{where}{_line_of(path, lines or {})}", mend=mend) from None


def parse_yaml(
    text: str, *, where: str, error: type[InputError] = InputError
) -> tuple[Any, dict[Key, int]]:
    """Parse YAML to plain data and a map from each key path to its line (from 1)."""
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                raise error("is empty", where=where, mend="was it cut short?")
            lines = dict(_lines(node, (), loader, where=where, error=error))
            return loader.construct_document(node), lines
        finally:
            loader.dispose()
    except yaml.YAMLError as problem:
        raise _not_yaml(problem, text, where=where, error=error) from None
    except RecursionError:
        raise error("is not valid YAML: it is nested too deeply", where=where) from None


def dump_yaml(data: object) -> str:
    """Plain data as YAML in the order given, the same text for the same data."""
    text = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return str(text)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, without what a file of settings has no use for.

    Tags; aliases, because a few lines of them can stand for gigabytes; numbers of YAML 1.1 that
    mean something else than they say (010 is 8, 1:30 is 90); and exceptions that carry no line.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        for kind, found in (
            ("aliases", isinstance(event, yaml.AliasEvent)),
            ("tags", getattr(event, "tag", None) is not None),
        ):
            if found:
                problem = f"{kind} are not supported"
                raise yaml.MarkedYAMLError(None, None, problem, event.start_mark)
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        if node.tag in _NUMBERS and not _PLAIN_NUMBER.fullmatch(node.value):
            problem = f"{node.value[:SHOWN_CHARACTERS]!r} is not a plain number"
            raise yaml.MarkedYAMLError(None, None, problem, node.start_mark)
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError) as problem:
            raise yaml.MarkedYAMLError(None, None, str(problem), node.start_mark) from None


_NUMBERS: Final = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_PLAIN_NUMBER: Final = re.compile(r"(?![-+]?0[\d_])[-+.\w]{1,60}")


# libyaml's is ten times as fast, and comes with every wheel of PyYAML.
_SafeDumper: type[yaml.SafeDumper] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_SafeDumper):  # type: ignore[misc, valid-type]
    """Writes a value again where it occurs again, because the loader knows no aliases."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _not_yaml(
    problem: yaml.YAMLError, text: str, *, where: str, error: type[InputError]
) -> InputError:
    at, reason, mend = 0, str(problem), ""
    if isinstance(problem, yaml.MarkedYAMLError) and problem.problem_mark is not None:
        at, reason = problem.problem_mark.index, problem.problem or reason
        if problem.context is not None and problem.context.startswith("expected"):
            reason = f"{problem.context} {reason}"
        if not text[at:].strip("\0 \n"):
            mend = "was it cut short?"
    elif isinstance(problem, yaml.reader.ReaderError):
        at, reason = problem.position, problem.reason
    line = text.count("\n", 0, at) + 1
    return error(f"is not valid YAML: {reason}", where=f"{where}:{line}", mend=mend)


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
        child = (*key, str(name))
        if name in seen:
            raise error(
                f"{_dotted(child)} is given twice", where=f"{where}:{line}", mend="keep one of them"
            )
        seen.add(name)
        for path, at in _lines(value, child, loader, where=where, error=error):
            yield path, line if path == child else at


def _path_in(data: object, detail: ErrorDetails) -> Key:
    """The part of pydantic's location that is in the data, with keys of mappings as text.

    pydantic mixes in names of its own (which member of a union it tried, `[key]` for a wrong key),
    and what a validator has put in, such as the name of a model given in its short form.
    """
    path: list[str | int] = []
    for part in detail["loc"]:
        if isinstance(data, Mapping) and part in data:
            path.append(str(part))
            data = data[part]
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            path.append(part)
            data = data[part]
        elif detail["type"] == "missing" and part == detail["loc"][-1]:
            path.append(part)
    return tuple(path)


def _line_of(path: Key, lines: Lines) -> str:
    """The line of the innermost part of a path that has one, as `:7`."""
    known = (lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in lines)
    return next((f":{line}" for line in known), "")


def _explain(detail: ErrorDetails, path: Key, kind: type[BaseModel]) -> tuple[str, str]:
    """What is wrong, in words of the file, and how to mend it."""
    key = _dotted(path)
    if detail["type"] == "extra_forbidden":
        return f"unknown key {key}", nearest(str(path[-1]), _fields_at(path[:-1], kind), "keys")
    if detail["type"] == "missing":
        return f"{key} is missing", "add it"
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if detail["type"] in _WORDS:
        message = _WORDS[detail["type"]].format(**detail.get("ctx", {}))
    return f"{key}: {message}{_shown(detail['input'])}".removeprefix(": "), ""


def _shown(value: object) -> str:
    if value is None:
        return " (it is empty)"
    if not isinstance(value, str | int | float | bool):
        return ""
    text = repr(value)
    return f" (it is {text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + '...'})"


def _dotted(path: Key) -> str:
    text = ""
    for part in path:
        name = str(part)[:SHOWN_CHARACTERS]
        text += f"[{name}]" if isinstance(part, int) else f".{name}" if text else name
    return text


def _fields_at(path: Key, kind: type[BaseModel]) -> list[str]:
    """Names that are allowed at a key path, following models nested in lists and mappings."""
    schema = kind.model_json_schema()
    here: dict[str, Any] = schema
    for part in path:
        choices = _resolve(here, schema)
        here = next((step for choice in choices if (step := _step(choice, part)) is not None), {})
    return [name for choice in _resolve(here, schema) for name in choice.get("properties", {})]


def _resolve(node: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in node:
        return _resolve(schema["$defs"][node["$ref"].rsplit("/", 1)[-1]], schema)
    if options := node.get("anyOf") or node.get("oneOf"):
        return [choice for option in options for choice in _resolve(option, schema)]
    return [node]


def _step(node: dict[str, Any], part: str | int) -> dict[str, Any] | None:
    if isinstance(part, int):
        return node.get("items")
    found = node.get("properties", {}).get(part)
    if found is not None:
        return dict(found)
    # Mappings whose keys are free: a schema of their values, or one for each pattern of keys.
    patterns = node.get("patternProperties", {})
    extra = next(iter(patterns.values()), node.get("additionalProperties"))
    return extra if isinstance(extra, dict) else None
