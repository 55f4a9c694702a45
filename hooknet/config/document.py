"""YAML read strictly: no key twice, no unknown key, every complaint one line with file, key, found, possible."""

from __future__ import annotations

import difflib
from collections.abc import Hashable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from hooknet.errors import ConfigError


class Settings(BaseModel):
    """A frozen section of a YAML file in which every key is known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


SettingsT = TypeVar("SettingsT", bound=Settings)


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice (plain YAML silently keeps the last)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        self.flatten_mapping(node)
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=deep)
            if isinstance(key, Hashable) and key in seen:
                line = key_node.start_mark.line + 1
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
        document = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader, stricter still
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{path}: not YAML ({_one_line(str(error))})") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: found {type(document).__name__}, wanted a mapping of keys to settings")
    return document


def build(model: type[SettingsT], section: Any, path: Path, key: str) -> SettingsT:
    """The section as ``model``, or a ConfigError about the first thing wrong with it."""
    try:
        return model.model_validate(section)
    except ValidationError as error:
        raise ConfigError(explain(error, model, path, key)) from None


def explain(error: ValidationError, model: type[BaseModel], path: Path, key: str) -> str:
    """One line about the first complaint of pydantic: file, key, what was found, what is possible."""
    first = error.errors(include_url=False)[0]
    place = ".".join([key, *(str(part) for part in first["loc"])]).strip(".")
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        known = _known_keys(model, first["loc"][:-1])
        near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return f"{path}: {place}: unknown key; {hint}possible: {', '.join(known)}{more}"
    if first["type"] == "missing":
        return f"{path}: {place}: is missing and has no default{more}"
    message = _one_line(first["msg"].removeprefix("Value error, "))
    found = "" if first["type"] == "value_error" else f"found {_short(first['input'])}: "
    return f"{path}: {place}: {found}{message}{more}"


def nearest(name: str, possible: list[str]) -> str:
    """``; did you mean 'x'?`` when something is near, then what is possible."""
    near = difflib.get_close_matches(name, possible, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}possible: {', '.join(possible) or 'none'}"


def _known_keys(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The keys of the section of ``model`` that ``location`` leads to."""
    for part in location:
        field = model.model_fields.get(str(part))
        if field is None:
            continue  # a key of a mapping or an index of a list
        inner = _inner_model(field.annotation)
        if inner is not None:
            model = inner
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
    text = _one_line(repr(value))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _one_line(text: str) -> str:
    return " ".join(text.split())
