"""What a process that reads slides does with the memory it frees."""

from __future__ import annotations

import ctypes

# glibc's numbers of the two settings (malloc.h).
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
# Arrays up to this come from the heap: the most that glibc takes.
_LARGEST = 32 << 20
# So much freed memory is kept at most, in each of glibc's arenas.
_KEPT = 128 << 20


def keep_freed_memory() -> bool:
    """Let this process keep some of the memory it frees; whether the C library could be told so.

    A patch goes through arrays of a megabyte.  By default each comes fresh from the system and goes back, and
    having it filled with zeros, page by page, takes longer than the reading proper.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no glibc
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST)) and bool(mallopt(_M_TRIM_THRESHOLD, _KEPT))
