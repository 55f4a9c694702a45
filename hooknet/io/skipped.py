"""What stands in the place of the files of a slide that could not be used, where ``on_error`` is "skip".

It is one line of text that says why, which no raster, table or record can be taken for.
"""

from __future__ import annotations

import os
from pathlib import Path

from hooknet.errors import HookNetError
from hooknet.io.atomic import write_text

# Said by environment to the commands of a run: how errors are met changes no file of a slide that has none.
VARIABLE = "HOOKNET_ON_ERROR"
START = "hooknet skipped this slide: "


def skipping() -> bool:
    """Whether a slide that cannot be used is skipped, rather than the end of its command."""
    return os.environ.get(VARIABLE) == "skip"


def write_reason(path: Path, reason: str) -> None:
    """Say in the place of a file why there is none."""
    write_text(path, f"{START}{reason}\n")


def refuse_skipped(path: Path, reason: str | None) -> None:
    """HookNetError where a file's ``reason`` says that there is none."""
    if reason is not None:
        raise HookNetError(
            f"{path}: found that its slide was skipped ({reason}); correct it, then make it again"
        )


def reason_in(path: Path) -> str | None:
    """Why there is no such file, as :func:`write_reason` said it; None where that is not what stands there."""
    try:
        with path.open("rb") as file:
            if file.read(len(START)) != START.encode():
                return None
            return file.read().decode("utf-8", errors="replace").strip()
    except OSError:
        return None
