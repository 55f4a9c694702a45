"""Slides that lie on a network disk, read from copies on a disk of this machine while a block runs.

Whether, and on which disk, is a fact of the machine and so in its environment, not in the settings: HOOKNET_STAGE is a
folder, HOOKNET_STAGE_GB what copies there may take in all.  Pixels, messages and results are the same with and without.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import openslide

from hooknet.coordinates import is_slice
from hooknet.errors import ConfigError
from hooknet.io.copies import Copy, NoCopy, Store

logger = logging.getLogger(__name__)

FOLDER, BOUND = "HOOKNET_STAGE", "HOOKNET_STAGE_GB"
# Of these OpenSlide reads one file; of MIRAX, DICOM, Hamamatsu's VMS and the like several, and of Trestle it may.
ONE_FILE = {"aperio", "generic-tiff", "leica", "philips", "sakura", "ventana", "zeiss"}

# Of this process and those it forks: slide -> where its copy is.
_copies: dict[Path, Path] = {}


def read_from(slide: Path) -> Path:
    """The copy of a slide where there is one, else the slide itself."""
    copy = _copies.get(slide)
    if copy is None or copy.is_file():
        return copy or slide
    logger.warning("%s: its copy %s is gone; reading it where it is", slide, copy)
    return slide


@contextlib.contextmanager
def staged(slides: Iterable[str | Path]) -> Iterator[None]:
    """Slides opened inside the block are read from copies on the disk that HOOKNET_STAGE names, where it is set.

    Copies that are there already are used, also by other processes at once, and stay for the next.  What cannot be
    copied is read where it is: too large, no room, several files.  ConfigError only for a HOOKNET_STAGE_GB that is
    no size.
    """
    wanted = [path for path in dict.fromkeys(map(Path, slides)) if path.is_file() and not is_slice(path)]
    with contextlib.ExitStack() as stack:
        borrow = _lender(stack) if wanted else None
        if borrow is not None:
            for slide, copy in _borrowed(borrow, wanted):
                _copies[slide] = copy
                stack.callback(_copies.pop, slide, None)
        yield


def _lender(stack: contextlib.ExitStack) -> Callable[[Path], Copy] | None:
    """What gives copies until the stack ends, if this machine is to have any."""
    named, bound = os.environ.get(FOLDER, ""), _bound()
    if not named:
        return None
    place = os.path.expandvars(named)
    try:
        if "$" in place:
            raise NoCopy("the variable is not set here")
        store = Store(Path(place).absolute() / f"hooknet-{os.getuid()}", bound)
        return stack.enter_context(store.borrowing())
    except (NoCopy, OSError) as error:
        logger.warning("%s=%s: %s; slides are read where they are", FOLDER, named, _told(error))
        return None


def _bound() -> int | None:
    """Bytes that all copies may take; None where nobody says."""
    text = os.environ.get(BOUND, "")
    if not text:
        return None
    try:
        gigabytes = float(text)
    except ValueError:
        gigabytes = 0.0
    if not 0 < gigabytes < 1e9:
        raise ConfigError(
            f"{BOUND}: found {text!r}, wanted how many GB copies of slides may take in all; set it so"
        )
    return int(gigabytes * 1e9)


def _borrowed(borrow: Callable[[Path], Copy], slides: list[Path]) -> Iterator[tuple[Path, Path]]:
    """Slides and their copies, and in the log what was copied, how fast, what was there, and what is left and why."""
    there, left = [], defaultdict(list)
    for slide in slides:
        if not _is_one_file(slide):
            left["is of several files, or of a format that is not known to be one"].append(slide)
            continue
        try:
            copy = borrow(slide)
        except (NoCopy, OSError) as error:
            left[_told(error)].append(slide)
            continue
        if copy.seconds:
            speed = copy.size / 1e6 / copy.seconds
            logger.info(
                "%s: copied to %s: %.3g GB in %.1f s (%.0f MB/s, with both checksums)",
                slide,
                copy.path.parent,
                copy.size / 1e9,
                copy.seconds,
                speed,
            )
        else:
            there.append(copy)
        yield slide, copy.path
    if there:
        logger.info(
            "%d slide(s) of %.3g GB read from copies that were in %s",
            len(there),
            sum(one.size for one in there) / 1e9,
            there[0].path.parent.parent,
        )
    for reason, some in left.items():
        more = f" (and {len(some) - 1} more slides)" if some[1:] else ""
        logger.warning("%s%s: not copied: %s; read where it is", some[0], more, reason)


def _is_one_file(slide: Path) -> bool:
    """Whether OpenSlide reads this file and no other."""
    try:
        vendor = openslide.OpenSlide.detect_format(slide)
    except openslide.OpenSlideError:
        vendor = None
    return vendor in ONE_FILE or (vendor == "hamamatsu" and slide.suffix.lower() == ".ndpi")


def _told(error: Exception) -> str:
    return (os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "") or str(error)
