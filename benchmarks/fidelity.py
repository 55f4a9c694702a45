"""How far our networks are from the official Keras code, given its weights and inputs.

``python -m benchmarks.fidelity`` prints a table with a row a reference file; the tests hold the same figures to
their gates.  The files lie beside the repository (``../shared/oracle``), for they are not ours to give on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hooknet.models.checkpoint import restore
from hooknet.models.hooknet import HookNet
from hooknet.models.keras_names import from_keras, to_keras
from hooknet.shapes.hooknet import HookNetSettings
from hooknet.training.losses import all_pixels_cross_entropy, branches_loss, weight_decay

ORACLE = Path(__file__).resolve().parents[1].parent / "shared" / "oracle"
BRANCHES = ("target", "context")
L2 = 1e-3

Arrays = Mapping[str, np.ndarray]

# Keras's moving variance in float64 is the biased one, torch's the unbiased.
GATES = {
    "probabilities": 1e-5,
    "logits": 1e-4,
    "loss": 1e-6,
    "gradients": 1e-4,
    "moving means": 1e-6,
    "moving variances": 3e-4,
}


def cases() -> list[str]:
    """The reference files, those of a training step after the others."""
    names = sorted(path.stem for path in ORACLE.glob("*.npz"))
    return sorted(names, key=lambda name: name.startswith("train64"))


def load(case: str) -> dict[str, np.ndarray]:
    """The arrays of a reference file."""
    with np.load(ORACLE / f"{case}.npz") as file:
        return {name: file[name] for name in file.files}


def network_of(arrays: Arrays, dtype: torch.dtype = torch.float32) -> HookNet:
    """Our network with the weights of a reference file."""
    meta = json.loads(str(arrays["meta"]))
    spacings: tuple[float, ...] = (0.5,)
    if "hook_indices" in meta:
        source, target = meta["hook_indices"]
        spacings = (0.5, 0.5 * 2 ** (target - source))
    settings = HookNetSettings(
        spacings=spacings,
        classes=meta["n_classes"],
        filters=meta["n_filters"],
        depth=meta["depth"],
        convolutions=meta["n_convs"],
        batch_norm=meta["batch_norm"],
        activation=meta["activation"].partition("(")[0],
        merge=meta.get("merge_type", "concat"),
        loss_weights=tuple(meta["loss_weights"]) if "loss_weights" in meta else None,
        patch_size=meta["M"],
    )
    network = HookNet(settings).to(dtype)
    weights = from_keras({name[2:]: array for name, array in arrays.items() if name.startswith("w/")})
    restore(network, weights, meta["case"])
    return network


def patches_of(arrays: Arrays, network: HookNet, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    """The inputs, target first."""
    names = BRANCHES[: len(network.settings.spacings)]
    return [torch.from_numpy(arrays[f"x/{name}"]).permute(0, 3, 1, 2).to(dtype) / 255 for name in names]


def inference(arrays: Arrays) -> dict[str, float]:
    """Greatest differences of probabilities, and of logits where the file has them, in float32."""
    network = network_of(arrays).eval()
    with torch.no_grad():
        logits = network(patches_of(arrays, network))
    if len(logits) != sum(f"y/{name}" in arrays for name in BRANCHES):
        raise AssertionError("another number of outputs")
    found: dict[str, float] = {}
    for branch, one in zip(network.output_branches, logits, strict=True):
        name = BRANCHES[branch]
        pairs = {"probabilities": (one.softmax(1), f"y/{name}"), "logits": (one, f"logits/{name}")}
        for figure, (ours, theirs) in pairs.items():
            if theirs in arrays:
                apart = np.abs(ours.permute(0, 2, 3, 1).numpy() - arrays[theirs]).max()
                found[figure] = max(found.get(figure, 0.0), float(apart))
    return found


def training(arrays: Arrays) -> dict[str, float]:
    """Differences of one step in float64.

    Loss, its parts and gradients relative (gradients to the greatest of their tensor), the others absolute.
    """
    network = network_of(arrays, torch.float64).train()
    logits = network(patches_of(arrays, network, torch.float64))
    names = [BRANCHES[branch] for branch in network.output_branches]
    labels = [torch.from_numpy(arrays[f"train/labels_{name}"]) for name in names]
    weights = [weight for weight in network.settings.all_loss_weights if weight > 0]
    decay = weight_decay(network.regularised_kernels(), L2)
    loss = branches_loss(logits, labels, weights, all_pixels_cross_entropy) + decay
    loss.backward()  # type: ignore[no-untyped-call]
    parts = [(loss, arrays["train/loss"]), (decay, arrays["train/l2_reg"])]
    parts += [
        (all_pixels_cross_entropy(one, truth), wanted)
        for one, truth, wanted in zip(logits, labels, arrays["train/ce"], strict=True)
    ]
    shares = logits[0].softmax(1).permute(0, 2, 3, 1).detach().numpy()
    gradients = to_keras({name: p.grad for name, p in network.named_parameters() if p.grad is not None})
    after = to_keras(network.state_dict())
    return {
        "probabilities": float(np.abs(shares - arrays["train/probs_target"]).max()),
        "loss": max(abs(ours.item() - float(theirs)) / float(theirs) for ours, theirs in parts),
        "gradients": _furthest(gradients, _under(arrays, "train/grad/"), relative=True),
        "moving means": _furthest(after, _under(arrays, "train/after/", "moving_mean")),
        "moving variances": _furthest(after, _under(arrays, "train/after/", "moving_variance")),
    }


def figures(case: str) -> dict[str, float]:
    """What the gates of a reference file are about."""
    return training(load(case)) if case.startswith("train64") else inference(load(case))


def main() -> None:
    """Print the table."""
    if not cases():
        print(f"{ORACLE}: no reference files; they are not part of the repository")
        return
    print("| reference | " + " | ".join(GATES) + " |")
    print("|---|" + "--:|" * len(GATES))
    for case in cases():
        found = figures(case)
        cells = [f"{found[figure]:.1e}" if figure in found else "" for figure in GATES]
        print(f"| {case} | " + " | ".join(cells) + " |")
    print("| **gate** | " + " | ".join(f"{gate:.0e}" for gate in GATES.values()) + " |")


def _under(arrays: Arrays, prefix: str, ending: str = "") -> dict[str, Any]:
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix) and name.endswith(ending)
    }


def _furthest(
    ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray], relative: bool = False
) -> float:
    """Greatest difference of any tensor."""
    if not theirs:
        raise AssertionError("nothing to compare with")
    return max(
        float(np.abs(ours[name] - array).max() / (np.abs(array).max() if relative else 1.0))
        for name, array in theirs.items()
    )


if __name__ == "__main__":
    main()
