"""The commands, options and settings there are, and those that a page names."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path

import typer.main
from made_workflow import ROOT

from hooknet.cli.main import app

KEY = re.compile(r"[a-z_]+(\.[a-z_]+)*")
# Sections by the name that a page gives them: `train.epochs`.
SECTIONS = (
    "train",
    "infer",
    "network",
    "augment",
    "centres",
    "tissue",
    "splits",
    "files",
    "report",
    "phantom",
)


@cache
def options() -> dict[str, set[str]]:
    """Command -> its options."""
    group = typer.main.get_command(app)
    context = group.make_context("hooknet", ["--help"], resilient_parsing=True)
    return {
        name: {
            one
            for parameter in group.get_command(context, name).params
            for one in (*parameter.opts, *parameter.secondary_opts)
            if one.startswith("-")
        }
        | {"--help", "-h"}
        for name in group.list_commands(context)
    }


def wrong(command: str) -> list[str]:
    """What of a line such as ``hooknet check --no-files`` there is not; [] where the line is of another program."""
    words = [word for word in shlex.split(command) if word not in ("|", "&&")]
    if not words or words[0] != "hooknet" or len(words) == 1 or words[1] in ("--help", "<step>"):
        return []
    if words[1] not in options():
        return [words[1]]
    said = {word.split("=")[0] for word in words[2:] if word.startswith("--")}
    return sorted(said - options()[words[1]])


@cache
def keys() -> set[str]:
    """Every key of config/README.md, alone and behind its section, as in ``epochs`` and ``train.epochs``."""
    text = (ROOT / "config" / "README.md").read_text(encoding="utf-8")
    parts = re.split(r"^### `([^`]+)`$", text, flags=re.MULTILINE)
    found = {"on_error", "search"}
    for heading, table in zip(parts[1::2], parts[2::2], strict=True):
        for key in re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE):
            found |= {key, ".".join((*(part for part in heading.split(".") if part.islower()), key))}
            found |= {f"{heading.split('.')[-1]}.{key}", *_below_datasets(heading, key)}
    return found


def _below_datasets(heading: str, key: str) -> set[str]:
    """``train.losses.dice`` of ``experiments.NAME.train.losses``."""
    return {".".join((*heading.split(".")[2:], key))}


def spans(page: Path) -> list[str]:
    """What stands between backticks in a page, outside of fenced blocks."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`\n]+)`", text)


def named_keys(page: Path) -> set[str]:
    """Settings that a page names: those with a value (``seeds: [1]``), and those of a section (``infer.over``)."""
    found = set()
    for span in spans(page):
        key, colon, _ = span.partition(":")
        if (
            KEY.fullmatch(key)
            and Path(key).suffix not in (".tif", ".csv", ".ckpt")
            and (colon or (key.split(".")[0] in SECTIONS and "." in key))
        ):
            found.add(key)
    return found
