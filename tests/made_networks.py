"""Networks whose weights are set by hand, so that their map is known without training."""

from __future__ import annotations

import torch

from hooknet.models.hooknet import HookNet
from hooknet.models.mrn import MRN
from hooknet.models.network import Network
from hooknet.shapes.hooknet import HookNetSettings
from hooknet.shapes.hooks import branch_name
from hooknet.shapes.mrn import MRNSettings

#: Of each kind what :func:`random_network` takes: spacings, depth, patch size, more settings.
KINDS = [
    ((0.5,), 2, 34, {}),
    ((0.5, 4.0), 3, 78, {"convolutions": 1}),
    ((0.5, 1.0, 4.0), 2, 38, {"merge": "add"}),
    ((0.5, 1.0), 2, 38, {"merge": "attention", "window": 3}),
    ((0.5, 2.0), 2, 32, {"model": "mrn"}),
]


def looking_at(branch: int, spacings: tuple[float, ...], depth: int, patch_size: int) -> HookNet:
    """Class 2 where the red of one branch is above a half, else class 1; its pixel under each map pixel.

    Every convolution passes one channel on through its middle tap.  For the target that is the skip of full
    resolution; for the context it is the hook, doubled ``depth`` times.
    """
    settings = HookNetSettings(
        spacings=spacings,
        classes=2,
        filters=1,
        depth=depth,
        convolutions=1,
        batch_norm=False,
        patch_size=patch_size,
    )
    network = HookNet(settings)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        _pass_on(network[branch_name(branch)])
        if branch:
            _lift_hook(network["target"], depth)
        _tell_red(network["target"]["out"])
    return network.eval()


def mrn_looking_at(branch: int, spacings: tuple[float, ...], depth: int, patch_size: int) -> MRN:
    """As :func:`looking_at`; a context comes resampled linearly to the target's pixels, at full resolution."""
    settings = MRNSettings(
        spacings=spacings,
        classes=2,
        filters=1,
        depth=depth,
        convolutions=1,
        batch_norm=False,
        patch_size=patch_size,
    )
    network = MRN(settings)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network[branch_name(branch)]["enc0"]["conv0"].weight[0, 0, 1, 1] = 1.0
        target = network["target"]
        target["dec0"]["conv0"].weight[0, branch, 1, 1] = 1.0  # one channel a branch, target first
        _tell_red(target["out"])
    return network.eval()


def layers_of(network):
    """Name -> (channels in, channels out, kernel, height, width) of each convolution, and the logits, by running it."""
    seen = {}
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(
                lambda module, _, out, name=name: seen.update(
                    {name: (module.in_channels, module.out_channels, module.kernel_size[0], *out.shape[2:])}
                )
            )
    size = network.patch_spec.size
    logits = network([torch.empty(2, 3, size, size, device="meta") for _ in network.patch_spec.spacings])
    return seen, logits


def _tell_red(out):
    """Class 2 above a half of the first channel."""
    out.weight[0, 0], out.weight[1, 0] = -1.0, 1.0
    out.bias[0], out.bias[1] = 0.5, -0.5


def _pass_on(branch):
    """Red through the first block of the encoder, over the skip, to the decoder's first channel."""
    branch["enc0"]["conv0"].weight[0, 0, 1, 1] = 1.0
    branch["dec0"]["conv0"].weight[0, 0, 1, 1] = 1.0  # the skip's channels come first


def _lift_hook(target, depth):
    """The hook's first channel, which comes first at the bottleneck, up to full resolution."""
    for level in reversed(range(depth)):
        target[f"dec{level}"]["up"].weight[0, 0, 1, 1] = 1.0
        skip = target[f"enc{level}"]["conv0"].weight.shape[0]
        target[f"dec{level}"]["conv0"].weight[0, skip, 1, 1] = 1.0


def random_network(spacings, depth, patch_size, seed=0, model="hooknet", **more) -> Network:
    torch.manual_seed(seed)
    kind = MRNSettings if model == "mrn" else HookNetSettings
    settings = kind(
        spacings=spacings,
        depth=depth,
        patch_size=patch_size,
        **{"classes": 3, "convolutions": 1, "filters": 3, **more},
    )
    network = (MRN if model == "mrn" else HookNet)(settings).eval()
    with torch.no_grad():
        for name, buffer in network.named_buffers():  # statistics of a network that has seen something
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
            elif name.endswith("running_mean"):
                buffer.normal_(0, 0.1)
    return network
