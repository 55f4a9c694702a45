"""What is told of a slide while it is predicted, and of its map when it is done."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from hooknet.io.damage import Damage

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def progress(slide: str, unit: str, doing: str = "predict") -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, a line for every tenth elsewhere; told (done, all) of ``unit``, such as tiles."""
    if sys.stderr.isatty():
        with Progress() as bars:
            task = bars.add_task(f"{doing} {slide}", total=None)
            yield lambda done, total: bars.update(task, completed=done, total=total)
    else:
        told = 0

        def tell(done: int, total: int) -> None:
            nonlocal told
            if done * 10 // total > told:
                told = done * 10 // total
                logger.info("%s: %d of %d %s", slide, done, total, unit)

        yield tell


def tell_damage(slide: str, damage: Damage | None) -> None:
    """A warning where a slide could not be read everywhere."""
    if damage is not None and damage.share > 0:
        logger.warning(
            "%s: %.3g %% of the slide cannot be read, first at (%d, %d), and nothing is predicted there; "
            "copy or scan the file again",
            slide,
            100 * damage.share,
            *damage.first,
        )


def tell_classes(slide: str, names: tuple[str, ...], seen: NDArray[np.int64], unit: str = "px") -> None:
    """A line on what the map holds, and a warning where it looks like a failure.

    ``seen``: how many of ``unit`` have value 0 (nothing was predicted), 1, 2, ...
    """
    predicted = int(seen[1:].sum())
    if predicted == 0:
        logger.warning("%s: nothing was to be predicted, the map is empty; look at the tissue mask", slide)
        return
    shares = ", ".join(
        f"{name} {number / predicted:.1%}" for name, number in zip(names, seen[1:], strict=True)
    )
    logger.info("%s: predicted %d %s: %s", slide, predicted, unit, shares)
    if np.count_nonzero(seen[1:]) == 1 and len(names) > 1:
        logger.warning(
            "%s: the whole map is one class; check the spacing, the stain and the training curves", slide
        )
