"""A checkpoint as ONNX, for programs without torch; checked against torch before it is written.

Inputs ``target``, ``context`` ... : concentric RGB patches (B, 3, M, M) of 0..1, any B, one M.  Output
``probabilities``: (B, K, m, m), softmax over the classes; channel i is class value i + 1.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor, nn

import hooknet
from hooknet.config.dense import DenseSettings
from hooknet.config.experiments import kind_of
from hooknet.errors import CheckpointError
from hooknet.io.atomic import atomic
from hooknet.models.checkpoint import Checkpoint, check_fit, load_checkpoint, restore
from hooknet.models.network import Network
from hooknet.models.table import build_model
from hooknet.shapes.hooks import branch_name

logger = logging.getLogger(__name__)

#: The largest difference of a probability from torch's that is let through.
TOLERANCE: Final = 1e-4
PACKAGES: Final = ("onnx", "onnxscript", "onnxruntime")
INSTALL: Final = "pip install -c constraints.txt -e '.[onnx]'"
OUTPUT: Final = "probabilities"
_SEED: Final = 20210407


class TargetProbabilities(nn.Module):
    """The class probabilities of the target branch, from one argument per branch."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, *patches: Tensor) -> Tensor:
        """Concentric patches (B, 3, M, M) of 0..1, target first -> (B, K, m, m)."""
        logits: Tensor = self.network(patches)[0]
        return logits.softmax(1)


def export_onnx(path: Path, output: Path, size: int | None = None, encoder: str | None = None) -> float:
    """Write the network of a checkpoint; the largest difference from torch's probabilities comes back.

    ``size``: side M of the patches in px, that of training by default; the file takes no other.  ``encoder``: the
    code of an own encoder that may be run, as :func:`network_of`.  ShapeError for an illegal size, CheckpointError
    for weights that cannot be used, or a file that computes other numbers.
    """
    _check_packages(path)
    checkpoint = load_checkpoint(path)
    network = network_of(checkpoint, path, encoder)
    size = network.settings.patch_size if size is None else size
    network.shape.output_size(size)  # raises for a size that a pooling or a crop would misalign
    model = TargetProbabilities(network).eval()
    with atomic(output) as partial:
        try:
            program = _export(model, _patches(network, size, 2))
            program.model.metadata_props.update(_metadata(checkpoint, network, size))
            program.save(partial, external_data=False)
            difference = max(_difference(partial, model, _patches(network, size, batch)) for batch in (1, 2))
        except (
            RuntimeError,
            ValueError,
            TypeError,
            AttributeError,
        ) as error:  # what exporter and runtime raise
            reason = " ".join(str(error).split())[:150]
            raise CheckpointError(
                f"{path}: could not be exported ({reason}); install the versions of constraints.txt"
            ) from error
        if not difference <= TOLERANCE:
            raise CheckpointError(
                f"{path}: its ONNX differs from torch by {difference:.1g} in a probability, wanted {TOLERANCE:g} at "
                "most; nothing was written, install the versions of constraints.txt"
            )
    logger.info("%s: largest difference from torch %.1g", output, difference)
    return difference


def network_of(checkpoint: Checkpoint, path: Path, encoder: str | None = None) -> Network:
    """The network of a checkpoint, from what stands in it alone; on the CPU, in eval mode.

    Code of an own encoder that a checkpoint names is run only where ``encoder`` names the same; CheckpointError else.
    """
    try:
        section = checkpoint.spec["settings"]
        settings = kind_of(section).model_validate(section)
        classes = len(checkpoint.spec["classes"])
    except (ValidationError, KeyError) as error:
        raise CheckpointError(
            f"{path}: its settings are not those of hooknet {hooknet.__version__} ({type(error).__name__}), written by "
            f"{checkpoint.version}; export with that version"
        ) from None
    if not isinstance(settings, DenseSettings):
        raise CheckpointError(
            f"{path}: found model {settings.model}, only networks that predict a class per pixel are exported; "
            "give the weights of one"
        )
    named = settings.own_encoder
    if named is not None and named != encoder:
        raise CheckpointError(
            f"{path}: its network has the encoder {named!r}, whose code would be run; give --encoder {named} if you "
            "trust it"
        )
    try:
        of = settings.network_settings(classes, checkpoint.spec.get("channels", 3))
        # The settings of a file may ask for any size: first without memory.
        with torch.device("meta"):
            empty = build_model(settings.model, of)
    except (RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0][:100]
        raise CheckpointError(
            f"{path}: its settings make no network ({reason}); use those it was trained with"
        ) from None
    check_fit(empty, checkpoint.state_dict, path)
    network = build_model(settings.model, of)
    restore(network, checkpoint.state_dict, path)
    return network.eval()


def _check_packages(path: Path) -> None:
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise CheckpointError(
            f"{path}: exporting to ONNX needs {', '.join(missing)}, not installed; {INSTALL}"
        )


def _patches(network: Network, size: int, batch: int) -> tuple[Tensor, ...]:
    """Noise with the range and the number of patches."""
    generator = torch.Generator().manual_seed(_SEED)
    return tuple(
        torch.rand(batch, network.settings.channels, size, size, generator=generator)
        for _ in network.settings.spacings
    )


def _input_names(network: Network) -> list[str]:
    return [branch_name(branch) for branch in range(len(network.settings.spacings))]


def _export(model: TargetProbabilities, patches: tuple[Tensor, ...]) -> Any:
    """The ONNX program for any batch of such patches."""
    batch = {0: torch.export.Dim("batch", min=1)}
    with _quiet():
        program = torch.onnx.export(
            model,
            patches,
            dynamo=True,
            verbose=False,
            input_names=_input_names(model.network),
            output_names=[OUTPUT],
            dynamic_shapes=(tuple(batch for _ in patches),),
        )
    return program


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Leave out the exporter's remarks on its own code and on packages that we do not need."""
    # That torchvision is not installed, and each step of making the graph smaller.
    levels = {
        "torch.onnx._internal.exporter._registration": logging.ERROR,
        "onnxscript": logging.WARNING,
        "onnx_ir": logging.WARNING,
    }
    before = {name: logging.getLogger(name).level for name in levels}
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    try:
        with warnings.catch_warnings():
            # torch 2.13 calls what it is about to drop.
            warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated", FutureWarning)
            # All inputs share their batch.
            warnings.filterwarnings("ignore", ".*The axis name: batch will not be used")
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


def _difference(path: Path, model: TargetProbabilities, patches: tuple[Tensor, ...]) -> float:
    """The largest difference between the probabilities of onnxruntime and of torch; nan where one is."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = _input_names(model.network)
    found = session.run([OUTPUT], {name: patch.numpy() for name, patch in zip(names, patches, strict=True)})[
        0
    ]
    with torch.inference_mode():
        wanted = model(*patches).numpy()
    return float(np.abs(found - wanted).max())


def _metadata(checkpoint: Checkpoint, network: Network, size: int) -> dict[str, str]:
    """What a program needs to use the file; values that are not text as JSON."""
    of, spec = network.settings, checkpoint.spec
    told = {
        "hooknet_version": hooknet.__version__,
        "trained_with_version": checkpoint.version,
        "model": spec["settings"]["model"],
        "run": spec.get("run"),
        "spacings_um_per_px": list(of.spacings),
        "classes": [{"value": place + 1, **one} for place, one in enumerate(spec["classes"])],
        "patch_size": size,
        "output_size": network.shape.output_size(size),
        "rim": network.shape.rim,  # px of the output at each side that padding may show in
        # Tiles apart by multiples of it leave no seams, where a network has such.
        **({"stride_unit": network.shape.unit} if network.shape.is_seamless else {}),
        "input": f"concentric patches, target first, 0..1 (8-bit values / 255), batch x {of.channels} x side x side",
        "output": "softmax probabilities of the target, batch x class x side x side; channel i is class value i + 1",
    }
    return {
        f"hooknet.{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in told.items()
    }
