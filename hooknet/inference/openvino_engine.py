"""OpenVINO on a processor: the same network, compiled for inputs of one size; the compiled model is kept on disk.

Nothing is told to anybody: the package's own converter reports its use, so the network goes in by the frontend.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import logging
import os
import platform
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

import hooknet
from hooknet.config.experiment import Precision
from hooknet.inference.engines import Engine, Predicted, TileNetwork, Views
from hooknet.inference.memory import noticing_out_of_memory
from hooknet.io.atomic import atomic
from hooknet.models.network import Network
from hooknet.shapes.tiles import Tile

logger = logging.getLogger(__name__)

INSTALL: Final = "pip install -c constraints.txt -e '.[openvino]'"
_HINTS: Final = {"fp32": "f32", "bf16": "bf16"}
#: Compiled models kept on disk; each is as large as the weights.
KEPT: Final = 16


def is_installed() -> bool:
    """Whether the package is there."""
    return importlib.util.find_spec("openvino") is not None


def has_bf16() -> bool:
    """Whether this processor computes in bf16; elsewhere OpenVINO takes fp32 in silence."""
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@dataclass(frozen=True)
class Wish:
    """How a module is to be compiled: on ``threads`` cores, which ``streams`` requests share."""

    precision: Precision
    threads: int
    streams: int = 1


class OpenVinoEngine(Engine):
    """The network, compiled for tiles of one size."""

    def __init__(
        self, network: Network, tile: Tile, shares: bool, precision: Precision, threads: int
    ) -> None:
        """``shares``: whether probabilities are wanted; ``threads``: processor cores to use."""
        super().__init__("OpenVINO", precision, tile)
        self._shares = shares
        views = [torch.zeros(size, size, network.settings.channels, dtype=torch.uint8) for size in tile.sizes]
        module, told = TileNetwork(network, tile, shares), (network.settings, tile, shares)
        with noticing_out_of_memory():
            self._request = compiled(module, views, told, Wish(precision, threads)).create_infer_request()

    def start(self, views: Views, logits: bool = False) -> Callable[[], Predicted]:
        """Compute a tile."""
        with noticing_out_of_memory():
            self._request.infer([np.ascontiguousarray(view) for view in views], share_inputs=True)

        def output(number: int) -> Any:
            return np.array(self._request.get_output_tensor(number).data)  # the next tile overwrites it

        found = Predicted(output(0), output(2) if self._shares else None, output(1) if logits else None)
        return lambda: found


def compiled(module: nn.Module, examples: Sequence[Tensor], told: tuple[object, ...], wish: Wish) -> Any:
    """A module compiled for inputs like the examples, from disk where it was compiled before.

    ``told``: what it computes besides its weights, as values whose text says all.
    """
    import openvino

    core = openvino.Core()
    how = {
        "INFERENCE_PRECISION_HINT": _HINTS[wish.precision],
        "INFERENCE_NUM_THREADS": wish.threads,
        "PERFORMANCE_HINT": "LATENCY" if wish.streams == 1 else "THROUGHPUT",
        **({} if wish.streams == 1 else {"NUM_STREAMS": wish.streams}),
    }
    path = _cache_folder() / f"{_key(module, examples, told, wish)}.blob"
    if path.is_file():
        try:
            loaded = core.import_model(path.read_bytes(), "CPU", how)
            with contextlib.suppress(OSError):  # another job may just have removed it
                os.utime(path)  # used last
            return loaded
        except (RuntimeError, OSError) as error:
            logger.warning("%s: cannot be used (%s); compiling anew", path, str(error).splitlines()[0][:100])
    found = core.compile_model(_graph(module, examples), "CPU", how)
    try:
        with atomic(path) as partial:
            partial.write_bytes(found.export_model().getvalue())
        _prune(path.parent)
    except OSError as error:
        logger.info("%s: not kept for the next slide (%s)", path, error)
    return found


def _graph(module: nn.Module, examples: Sequence[Tensor]) -> Any:
    """The module as OpenVINO's graph, for inputs like the examples."""
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder

    disabled = logging.root.manager.disable
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # both packages warn of their own code
        program = torch.export.export(module.eval(), tuple(examples))
        frontend = FrontEndManager().load_by_framework("pytorch")
        # It logs operations that this torch does not have, on the root logger.
        logging.disable(max(disabled, logging.WARNING))
        try:
            decoder = TorchFXPythonDecoder.from_exported_program(program)
        finally:
            logging.disable(disabled)
        return frontend.convert(frontend.load(decoder))


def _key(module: nn.Module, examples: Sequence[Tensor], told: tuple[object, ...], wish: Wish) -> str:
    """A name for all that a compiled model depends on."""
    weights = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        weights.update(name.encode())
        weights.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    versions = [metadata.version(name) for name in ("openvino", "torch")]
    shapes = [(tuple(one.shape), str(one.dtype)) for one in examples]
    all_told = [hooknet.__version__, *versions, _processor(), type(module).__name__, repr(told), shapes, wish]
    return hashlib.sha256(repr([weights.hexdigest(), all_told]).encode()).hexdigest()[:32]


def _processor() -> str:
    """Name and abilities: a model is compiled for them."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return "".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))


def _cache_folder() -> Path:
    """$HOOKNET_CACHE, else the user's cache folder."""
    own = os.environ.get("HOOKNET_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hooknet"


def _prune(folder: Path) -> None:
    """Remove the compiled models used least recently."""
    found = sorted(folder.glob("*.blob"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found[KEPT:]:
        path.unlink(missing_ok=True)
