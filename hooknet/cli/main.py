"""``hooknet <step>``: one command per step of the pipeline, in its order."""

from __future__ import annotations

import errno
import importlib
import logging
import os
import sys
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup, TyperOption

from hooknet import __version__
from hooknet.cli.skipping import skippable
from hooknet.errors import HookNetError

# In the order of the pipeline; those from `predict` on are for people.
COMMANDS = (
    "make_demo_slide",
    "check_slide",
    "read_annotations",
    "rasterise",
    "detect_tissue",
    "index_centres",
    "make_splits",
    "train_trial",
    "rank_views",
    "promote_trials",
    "decide_views",
    "train",
    "card",
    "infer",
    "join_bands",
    "infer_bundle",
    "unbundle",
    "fit_clusters",
    "train_classifier",
    "classify_patches",
    "train_refiner",
    "refine",
    "paint_tissue",
    "export",
    "evaluate",
    "measure_boundaries",
    "measure_volume",
    "measure_calibration",
    "quantify",
    "overview",
    "detect_objects",
    "match_objects",
    "compare",
    "report",
    "verdict",
    "predict",
    "view",
    "check",
    "check_encoder",
    "describe",
    "preview_batch",
    "time_stages",
    "make_demo_volumes",
    "import_volumes",
    "import_keras",
    "export_onnx",
)

# Torch's threads spin for milliseconds when they wait, which costs more than it gains wherever anything else wants
# the cores: readers of patches, other jobs.  Torch looks when it is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Characters of an error message.
LONGEST = 2000
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _Commands(TyperGroup):
    """The commands; to start one imports neither pydantic nor rich, which takes longer than all else here."""

    def get_help_option(self, ctx: Any) -> TyperOption | None:
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False  # where it is None, Typer has pydantic make a truth of it
        return option


app = typer.Typer(
    name="hooknet",
    cls=_Commands,
    help="From whole-slide images with sparse annotations to evaluated segmentation maps.\n\n"
    "Every command is one step of the pipeline and one rule of its Snakemake workflow, in this order; "
    "those from `predict` on are for people.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
for _command in COMMANDS:
    _module = importlib.import_module(f"hooknet.cli.{_command}")
    app.command(_command.replace("_", "-"), help=_module.__doc__)(skippable(_command, _module.run))


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"hooknet {__version__}")
        raise typer.Exit


@app.callback()
def _setup(
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Say only what needs attention."),
    version: bool = typer.Option(
        False, "--version", callback=_tell_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    logging.basicConfig(
        level=logging.WARNING if quiet else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%H:%M:%S",
        stream=sys.stderr,
    )
    # These tell of their own business at INFO.
    for name in ("rasterio", "matplotlib", "fontTools", "lightning", "PIL"):
        logging.getLogger(name).setLevel(logging.WARNING)


def main() -> None:
    """Run a command; what the user can put right becomes one line and exit status 2."""
    try:
        app()
    except HookNetError as error:
        _stop(str(error))
    except BrokenPipeError:
        # Whoever read our output has seen enough (`hooknet check | head`); keep Python from flushing into it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except Exception as error:
        # A full disk, a read-only folder: not ours to mend either.  Outputs were written beside their place.
        trouble = _disk_trouble(error)
        if trouble is None and type(error).__name__ == "OutOfMemoryError":  # torch's; not imported for this
            _stop(
                "out of memory on the device; lower train.batch, infer.tile or network.filters of the experiment"
            )
        if trouble is None:
            raise
        place = f"{trouble.filename}: " if trouble.filename else ""
        remedy = "free space" if trouble.errno in NO_SPACE else "correct the path or its permissions"
        _stop(f"{place}{os.strerror(trouble.errno or 0)}; {remedy}, then run again")


def _disk_trouble(error: BaseException) -> OSError | None:
    """The system's own error; a full disk also where a library put an error of its own over it."""
    if isinstance(error, OSError):
        return error if error.errno is not None else None
    below = error.__context__
    while below is not None:
        if isinstance(below, OSError) and below.errno in NO_SPACE:
            return below
        below = below.__context__
    return None


def _stop(message: str) -> NoReturn:
    print(f"hooknet: {_one_line(message)}", file=sys.stderr)
    raise SystemExit(2) from None


def _one_line(message: str) -> str:
    """Without what a terminal would obey, and not longer than can be read: who wrote a file may put in anything."""
    line = " ".join(message.split())
    line = "".join(one if one.isprintable() else repr(one)[1:-1] for one in line)
    if len(line) <= LONGEST:
        return line
    return f"{line[: LONGEST // 2]} … {line[-LONGEST // 2 :]}"


if __name__ == "__main__":
    main()
