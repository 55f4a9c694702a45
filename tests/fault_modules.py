"""All that commands load, loaded once by the server that their processes are forked from."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import warnings

import hooknet

#: Loaded by commands when they need it.
ALSO = (
    "lightning",
    "torch.utils.data",
    "torch.export",
    "matplotlib.pyplot",
    "statsmodels.stats.multitest",
    "sklearn.cluster",
    "sklearn.decomposition",
    "openvino",
    "openvino.frontend.pytorch.fx_decoder",
    "scipy.ndimage",
    "scipy.stats",
)

for _one in pkgutil.walk_packages(hooknet.__path__, "hooknet."):
    if not _one.name.endswith("__main__"):
        importlib.import_module(_one.name)
for _name in ALSO:
    with contextlib.suppress(ImportError):
        importlib.import_module(_name)

# A library may have started something of its own, which the server then finds ended.
warnings.filterwarnings("ignore", "forkserver: waitpid")
