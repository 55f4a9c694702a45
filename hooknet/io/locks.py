"""A folder for one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from hooknet.errors import HookNetError

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def exclusive(path: str | Path) -> Iterator[None]:
    """Hold the lock file ``path`` while the block runs; HookNetError when another process does.

    The system lets go of it however the process ends, so a killed one leaves no lock behind, only an empty
    file.  On a disk that knows no locks it is not held, which the log says.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HookNetError(
                f"{path}: another process is at work in this folder; wait until it is done, or end it"
            ) from None
        except OSError as error:
            logger.warning(
                "%s: this disk knows no locks (%s); run one process at a time",
                path,
                os.strerror(error.errno or 0),
            )
        yield
