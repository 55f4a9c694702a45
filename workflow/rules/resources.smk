"""Functions that name what jobs ask for: memory (MB), time (min).  The figures are those of hooknet.config.resources.

Each attempt asks for more.  How often a job is tried again is a profile's `retries`, not a rule's: only so does a
scheduler give the next attempt what it asks for.  What is asked for never makes a job run again.
"""

from functools import cache
from math import ceil

from hooknet.config.resources import Needs, longer, more


@cache
def needs(run):
    return Needs(EVERY_RUN[run])


def memory(mb):
    """Of steps whose memory hardly grows with what they read (docs/performance.md)."""

    def asked(wildcards, attempt):
        return more(mb, attempt)

    return asked


def minutes(start, per_gb=0):
    """Of steps; ``per_gb``: more for each GB of their files, of which most tell size by what there is to do."""

    def whatever_the_size(wildcards, attempt):
        return longer(start, attempt)

    def by_size(wildcards, input, attempt):
        return longer(start + per_gb * input.size_mb / 1000, attempt)

    return by_size if per_gb else whatever_the_size


def train_gpus(wildcards):
    """One for each process; of several machines SLURM is told otherwise (machines.smk)."""
    asked = needs(wildcards.run)
    return asked.train_devices if asked.train_nodes == 1 else None


def train_memory(wildcards, attempt):
    return more(needs(wildcards.run).train_mb, attempt)


def train_minutes(wildcards, attempt):
    return longer(needs(wildcards.run).train_minutes, attempt)


def trial_minutes(wildcards, attempt):
    """Of a whole training's the share up to the end of the rung, as where what the rung before kept is gone."""
    whole = EVERY_RUN[wildcards.run].settings.train.epochs
    share = trial_epochs(wildcards) / whole
    return longer(max(20, ceil(share * needs(wildcards.run).train_minutes)), attempt)


def infer_memory(wildcards, attempt):
    return more(needs(wildcards.run).infer_mb, attempt)


def infer_minutes(wildcards, input, attempt):
    return longer(needs(wildcards.run).infer_minutes(input.size_mb), attempt)


def attempt_number(wildcards, attempt):
    """Inference plans its tiles with the memory of a first attempt: what later ones ask for besides is to spare."""
    return attempt
