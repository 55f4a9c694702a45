"""Speed, measured as ratios within one run: `make bench`."""

import os

# As `hooknet` does for itself: threads that wait do not spin.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
