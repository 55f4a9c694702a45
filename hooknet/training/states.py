"""What a training keeps until it is done, to go on from: whose it is, whether there is more to do, and its end."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import EarlyStopping

import hooknet
from hooknet.config.project import digest
from hooknet.config.run import Run
from hooknet.data.index import SlideFiles
from hooknet.errors import HookNetError
from hooknet.io.atomic import atomic, write_text
from hooknet.models.checkpoint import check_sums
from hooknet.training.callbacks import BEST, DRAWS, LAST, METRICS

logger = logging.getLogger(__name__)

IDENTITY = "identity"
#: Seconds that processes wait for the first of them.
OPENED_WITHIN = 600
STATE = "state"


@dataclass(frozen=True)
class TrainFiles:
    """Where results go; ``state`` lives until the training is done, or is ``kept`` for a longer one.

    ``draws``: how often what was drawn, where the sampler tells it.
    """

    best: Path
    last: Path | None
    metrics: Path
    state: Path
    draws: Path | None = None
    kept: Path | None = None


def go_on(state: Path, epochs: int) -> bool:
    """Whether there is more to do after a state, which was saved at the end of an epoch."""
    saved = _saved(state)
    done = _done(saved)
    # Lightning would train an epoch more before it looks at its patience again.
    stopped = any(
        one["wait_count"] >= one["patience"]
        for name, one in saved["callbacks"].items()
        if name.startswith(EarlyStopping.__name__)
    )
    logger.info("going on after epoch %d of %d%s", done, epochs, ", which was the last" * stopped)
    return done < epochs and not stopped


def identity_of(run: Run, weights: Sequence[Path], *splits: Sequence[SlideFiles]) -> str:
    """A fingerprint of settings and data, split by split; ``weights``: files that it starts from or leans on."""
    seen = [[_seen(one) for one in slides] for slides in splits]
    started = [hashlib.sha256(path.read_bytes()).hexdigest() for path in weights]
    return digest(run.training_settings(), seen, started, hooknet.__version__)


def _seen(one: SlideFiles) -> list[Any]:
    return [one.id, stamps(one.slide, one.labels), hashlib.sha256(one.centres.read_bytes()).hexdigest()]


def stamps(*paths: Path) -> list[tuple[int, int]]:
    """Size and time of files too large to be summed."""
    return [(path.stat().st_size, path.stat().st_mtime_ns) for path in paths]


def open_state(folder: Path, identity: str, epochs: int) -> Path | None:
    """The state to go on from: a whole one of the same identity and no more epochs; else None and an empty folder."""
    state = folder / f"{STATE}.ckpt"
    if _is_of(folder, identity):
        if not state.is_file():
            return None
        done = _done_in(folder)
        if done is not None and done <= epochs:
            return state
        # Of a rung that was longer, weights have seen more than those that they would be compared with.
        why = "damaged" if done is None else f"left by a training of {done} epochs, not {epochs}"
        logger.warning("%s: %s; starting afresh", folder, why)
    elif folder.exists():
        logger.info("%s: left by a training of other settings or data; starting afresh", folder)
    if folder.exists():
        shutil.rmtree(folder)
    write_text(folder / IDENTITY, identity)
    return None


def state_of_the_first(folder: Path, identity: str, epochs: int) -> Path | None:
    """The state that the first process goes on from, once it has opened it."""
    state = folder / f"{STATE}.ckpt"
    until = time.monotonic() + OPENED_WITHIN
    while not _is_of(folder, identity) or (state.is_file() and not _is_usable(folder, epochs)):
        if time.monotonic() > until:
            raise HookNetError(
                f"{folder}: the first process of this training has not opened it within {OPENED_WITHIN} s; "
                "see its log, and whether all see the same disk"
            )
        time.sleep(0.1)
    return state if state.is_file() else None


def _is_of(folder: Path, identity: str) -> bool:
    marker = folder / IDENTITY
    return marker.is_file() and marker.read_bytes() == identity.encode()


def _is_usable(folder: Path, epochs: int) -> bool:
    done = _done_in(folder)
    return done is not None and done <= epochs


def _done_in(folder: Path) -> int | None:
    """Epochs that a folder's state has trained; None where that, or the best weights beside it, are not whole."""
    try:
        for name in (f"{STATE}.ckpt", BEST):
            check_sums(folder / name)
        return _done(_saved(folder / f"{STATE}.ckpt"))
    except FileNotFoundError:
        return None
    except (OSError, MemoryError):
        raise  # it may be whole, and be read another time: nothing is thrown away
    except Exception:  # what torch makes of bytes that are no state is any kind of error
        return None


def _saved(state: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(state, map_location="cpu", weights_only=True)
    return found


def _done(saved: dict[str, Any]) -> int:
    """Epochs that were trained when it was saved."""
    return int(saved["epoch"]) + 1


def move_results(files: TrainFiles) -> None:
    """Put the results in their place and drop the state."""
    places = ((BEST, files.best), (LAST, files.last), (METRICS, files.metrics), (DRAWS, files.draws))
    for name, place in places:
        if place is None:
            continue
        with atomic(place) as partial:
            shutil.copyfile(files.state / name, partial)
    if files.kept is not None:
        shutil.rmtree(files.kept, ignore_errors=True)
        os.replace(files.state, files.kept)
        return
    # First, so that a kill in between leaves no state without its results.
    (files.state / f"{STATE}.ckpt").unlink()
    shutil.rmtree(files.state)
