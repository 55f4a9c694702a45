"""YAML read strictly: no key twice, no unknown key, every complaint one line with file, key, found, possible."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Hashable
from functools import partial
from pathlib import Path
from typing import Any, Final, Self, TypeVar, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from hooknet.errors import ConfigError

SAFE_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
COLOUR: Final = r"^#[0-9a-fA-F]{6}$"
#: What a pattern asks for, in words.
PATTERNS: Final = {
    SAFE_NAME: "letters, digits, '_', '.' or '-', the first a letter or a digit",
    COLOUR: "a colour like '#c1121f' (in quotes)",
}

#: How many values a file may hold, aliases written out.
MOST_VALUES: Final = 1_000_000
#: How many possible names a message lists.
MOST_NAMES: Final = 20
MAPPING: Final = "a mapping of keys to settings"
#: What pydantic's kinds of error ask for.
WANTED: Final = {
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), MAPPING),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), "a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("tuple_type", "list_type"), "a list"),
    "string_type": "text (in quotes where it looks like a number)",
    "no_yes": "a value that is not true or false (yes, no, on, off)",
}

Location = tuple[int | str, ...]
Locate = Callable[[Location], str]


class Settings(BaseModel):
    """A frozen section of a YAML file in which every key is known."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_yes_for_one(cls, value: Any, info: ValidationInfo) -> Any:
        """YAML reads yes, on and true as truth, and Python takes that for the number 1."""
        found = value if isinstance(value, (list, tuple)) else (value,)
        field = cls.model_fields[str(info.field_name)]
        if field.annotation is not bool and any(isinstance(one, bool) for one in found):
            raise PydanticCustomError("no_yes", "true or false")
        return value

    def __copy__(self) -> Self:
        """Without what was worked out from the fields and kept: ``model_copy`` may change them."""
        copied = super().__copy__()
        for name in set(copied.__dict__) - set(type(self).model_fields):
            del copied.__dict__[name]
        return copied


SettingsT = TypeVar("SettingsT", bound=Settings)


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice (plain YAML silently keeps the last) and keys that are no text."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except ConfigError:
            raise
        except (ValueError, ArithmeticError, LookupError, AttributeError, TypeError) as error:
            # 2001-13-45 looks like a day, and 0b_ like a number.
            found = _short(node.value)
            raise ConfigError(
                f"line {node.start_mark.line + 1}: found {found}, which YAML cannot read ({_one_line(str(error))}): "
                "put it in quotes"
            ) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = (
                key_node.value
                if key_node.tag.endswith(":merge")
                else self.construct_object(key_node, deep=True)
            )
            line = key_node.start_mark.line + 1
            if not isinstance(key, str):
                raise ConfigError(f"line {line}: found key {key!r}, wanted text: put it in quotes")
            if key in seen:
                raise ConfigError(f"line {line}: key {key!r} stands twice; keep one of the two")
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def read_document(path: Path) -> dict[str, Any]:
    """The mapping a YAML file holds; ConfigError when it is missing, not YAML or not a mapping."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; name an existing YAML file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text ({error})") from None
    try:
        document = _loaded(text)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{path}: {_yaml_trouble(error)}") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: found {_short(document)}, wanted {MAPPING}")
    return document


def _loaded(text: str) -> Any:
    """What the text says; ConfigError before anchors that refer to each other fill the memory."""
    loader = _StrictLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        size = _expanded(node, {})
        if size > MOST_VALUES:
            raise ConfigError(
                f"anchors and aliases make {size} values of it, wanted at most {MOST_VALUES}; write them out"
            )
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _expanded(node: yaml.Node, sizes: dict[int, int | None]) -> int:
    """How many values a node holds with every alias written out."""
    if id(node) in sizes:
        known = sizes[id(node)]
        if known is None:
            raise ConfigError(f"line {node.start_mark.line + 1}: an anchor contains itself; write it out")
        return known
    sizes[id(node)] = None
    children: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        children = [one for pair in node.value for one in pair]
    elif isinstance(node, yaml.SequenceNode):
        children = node.value
    size = sizes[id(node)] = 1 + sum(_expanded(one, sizes) for one in children)
    return size


def _yaml_trouble(error: Exception) -> str:
    """Line and problem without the excerpt of the file that PyYAML adds."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return f"not YAML: {_one_line(str(error))}"
    problem = error.problem or ""
    if "'\\t'" in problem:
        problem = "found a tab, wanted spaces to indent"
    return f"line {error.problem_mark.line + 1}: not YAML: {_one_line(problem)}"


def build(
    model: type[SettingsT], section: Any, path: Path, key: str, locate: Locate | None = None
) -> SettingsT:
    """The section as ``model``, or a ConfigError about the first thing wrong with it.

    ``locate``: where a user finds what stands at a location of the section, if not at ``path: key.location``.
    """
    try:
        return model.model_validate(section)
    except ValidationError as error:
        raise ConfigError(explain(error, model, locate or partial(place, path, key))) from None


def place(path: Path | str, key: str, location: Location) -> str:
    """``file: key.of.the.location``, or the file alone where there is no key."""
    parts = [str(part) for part in location if part != "[key]"]
    dotted = _one_line(".".join([key, *parts] if key else parts))
    return f"{path}: {dotted}" if dotted else str(path)


def explain(error: ValidationError, model: type[BaseModel], locate: Locate) -> str:
    """One line about the first complaint of pydantic: file, key, what was found, what is possible."""
    every = error.errors(include_url=False)
    # A list of one wrong item is also called too short.
    errors = [one for one in every if one["type"] != "too_short" or not one["input"]] or every
    # A misspelt key goes before the complaint that the right one is missing.
    first = min(errors, key=lambda one: one["type"] != "extra_forbidden")
    # What stands once in `defaults` is wrong in every experiment.
    others = len({(locate(one["loc"]), one["msg"]) for one in errors}) - 1
    more = f" (and {others} more)" if others else ""
    where = locate(first["loc"])
    if first["type"] == "extra_forbidden":
        known = _known_keys(model, first["loc"][:-1])
        return f"{where}: unknown key; {nearest(str(first['loc'][-1]), known)}{more}"
    if first["type"] == "missing":
        return f"{where}: is missing and has no default{more}"
    if first["type"] == "value_error":
        return f"{where}: {_one_line(first['msg'].removeprefix('Value error, '))}{more}"
    return f"{where}: found {_short(first['input'])}, {_wanted(first)}{more}"


def _wanted(error: ErrorDetails) -> str:
    """What is possible, in the words of people who write YAML."""
    kind = error["type"]
    if kind == "string_pattern_mismatch":
        return f"wanted {PATTERNS[error['ctx']['pattern']]}"
    if kind == "too_short":
        return f"wanted {error['ctx']['min_length']} or more"
    if kind in WANTED:
        return f"wanted {WANTED[kind]}"
    text = _one_line(error["msg"])
    for start in ("Input should be ", "String should have ", "Tuple should have "):
        text = f"wanted {text.removeprefix(start)}" if text.startswith(start) else text
    return text


def nearest(name: str, possible: list[str]) -> str:
    """``did you mean 'x'?`` when something is near, then what is possible."""
    near = difflib.get_close_matches(name, possible, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    more = f", ... ({len(possible) - MOST_NAMES} more)" if len(possible) > MOST_NAMES else ""
    return f"{hint}possible: {', '.join(possible[:MOST_NAMES]) or 'none'}{more}"


def _known_keys(model: type[BaseModel], location: Location) -> list[str]:
    """The keys of the section of ``model`` that ``location`` leads to."""
    in_container = False
    for part in location:
        if in_container:  # the key of a mapping or the index of a list: the model is known already
            in_container = False
            continue
        field = model.model_fields.get(str(part))
        inner = None if field is None else _inner_model(field.annotation)
        if field is not None and inner is not None:
            model, in_container = inner, get_origin(field.annotation) in (dict, tuple)
    return list(model.model_fields)


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        inner = _inner_model(argument)
        if inner is not None:
            return inner
    return None


def _short(value: Any, limit: int = 60) -> str:
    text = "nothing" if value is None else _one_line(repr(value))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _one_line(text: str) -> str:
    return " ".join(text.split())
