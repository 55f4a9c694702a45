"""Networks with weights by chance, written as Keras 2 writes them."""

from __future__ import annotations

import h5py
import numpy as np
import torch

from hooknet.models.hooknet import HookNet
from hooknet.models.keras_names import keras_order, to_keras
from hooknet.shapes.hooknet import HookNetSettings

WITHOUT_WEIGHTS = ("input_1", "cropping2d", "max_pooling2d_3", "reshape_target", "top_level_model_weights")


def network_of(seed=0, **settings):
    """In eval mode, normalisation statistics by chance too."""
    torch.manual_seed(seed)
    network = HookNet(HookNetSettings(**settings)).eval()
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith(("running_var", "weight")) and tensor.ndim == 1:
                tensor.uniform_(0.5, 1.5)
            elif tensor.is_floating_point() and tensor.ndim == 1:
                tensor.uniform_(-0.2, 0.2)
    return network


def named(network, start=(0, 0)):
    """``conv2d_7/kernel`` -> array, numbers from ``start`` (convolutions, normalisations)."""
    numbers = {}
    kinds = ("conv2d", "batch_normalization")
    for kind, first, names in zip(kinds, start, keras_order(network.shape), strict=True):
        for place, name in enumerate(names, first):
            numbers[name] = f"{kind}_{place}" if place else kind
    found = {}
    for name, array in to_keras(network.state_dict()).items():
        layer, _, part = name.rpartition("/")
        found[f"{numbers[layer]}/{part}"] = array
    return found


def write_arrays(path, arrays, *, under="", scope="", rescaling=0, suffix=":0"):
    """``arrays`` as in :func:`named`; ``under``: a group for all layers; ``scope``: a group within each."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "2.9.0"
        root = file.create_group(under) if under else file
        for layer in WITHOUT_WEIGHTS:
            root.create_group(layer)
        for branch in range(rescaling):
            root.create_group(f"rescaling_{branch}" if branch else "rescaling")
        for name, array in arrays.items():
            layer, part = name.split("/")
            inner = f"{layer}/{scope}{layer}" if scope is not None else layer
            root[f"{inner}/{part}{suffix}"] = array
        # Keras lists layers by depth in the graph, branches interleaved: an order that means nothing to us.
        layers = sorted({name.split("/")[0] for name in arrays}, key=lambda name: name[::-1])
        root.attrs["layer_names"] = np.array(layers, dtype=h5py.string_dtype())
    return path


def write(path, network, start=(0, 0), **layout):
    return write_arrays(path, named(network, start), **layout)
