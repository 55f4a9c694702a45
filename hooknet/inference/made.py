"""What a map was made of, as it stands in its file."""

from __future__ import annotations

from pathlib import Path

from hooknet.config.project import digest
from hooknet.config.run import DenseRun, Run
from hooknet.io.checksums import sha256_of


def made_of(run: Run, weights: Path | None) -> dict[str, str]:
    """The run, the digest of what settings of inference its maps depend on, and the SHA-256 of its weights.

    ``weights`` are those of an ensemble's first member; of the others it knows itself.
    """
    found = {"run": run.name, "settings": digest(run.inference_settings())}
    if weights is not None:
        others = run.members[1:] if isinstance(run, DenseRun) else ()
        found["weights"] = " ".join(sha256_of(one) for one in (weights, *others))
    return found
