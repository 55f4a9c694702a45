"""What a training that ends by no fault of its own says."""

from __future__ import annotations

from hooknet.errors import HookNetError

#: What gloo and NCCL say where another process is gone.
LOST = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "remote process exited")
#: What torch says, at first, where a process that reads for it is gone.
READER_LOST = "DataLoader worker"


def as_one_line(error: HookNetError) -> HookNetError:
    """The error itself; torch wraps that of a worker process in the worker's traceback, which ends with it."""
    last = str(error).rstrip().splitlines()[-1]
    return type(error)(last.removeprefix(f"{type(error).__module__}.{type(error).__name__}: "))


def lost(error: RuntimeError | ConnectionError, processes: int) -> HookNetError | None:
    """What to say of the end of another process, of this training's ``processes`` or of its readers; None for a bug."""
    told = str(error)
    if processes > 1 and any(one in told for one in LOST):
        who, remedy = "another process of this training", "see what it said"
    elif told.startswith(READER_LOST) or isinstance(error, ConnectionError):
        who = "a process that reads patches"
        remedy = "where memory ran out, give the job more or lower train.workers or train.cache_mb"
    else:
        return None
    return HookNetError(
        f"{who} has ended; {remedy}, and start again: the training goes on after its last epoch "
        f"({told.splitlines()[0][:200]})"
    )
