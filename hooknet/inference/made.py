"""What a map was made of, as it stands in its file."""

from __future__ import annotations

from pathlib import Path

from hooknet.config.project import digest
from hooknet.config.run import Run
from hooknet.io.checksums import sha256_of


def made_of(run: Run, weights: Path | None) -> dict[str, str]:
    """The run, the digest of what settings of inference its maps depend on, and the SHA-256 of its weights."""
    found = {"run": run.name, "settings": digest(run.inference_settings())}
    if weights is not None:
        found["weights"] = sha256_of(weights)
    return found
