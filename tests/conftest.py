from __future__ import annotations

import made_slides
import made_workflow
import pytest
from hypothesis import settings

# A machine that is busy elsewhere is no failure of ours.
settings.register_profile("hooknet", deadline=None)
settings.load_profile("hooknet")


@pytest.fixture
def noise_slide(tmp_path):
    """A single-level slide of pixels that are black or white by chance, and those pixels (0 or 1)."""
    bits = made_slides.random_bits(150, 211, seed=5)
    return made_slides.write_slide(tmp_path / "noise.tif", made_slides.grey(bits * 255), spacing=0.5), bits


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A complete run of the tiny configuration on this machine; not to be changed."""
    folder = tmp_path_factory.mktemp("run")
    made_workflow.write(folder)
    found = made_workflow.snakemake(folder)
    assert found.returncode == 0, found.stdout
    return folder
