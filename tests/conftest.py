from __future__ import annotations

import made_slides
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
