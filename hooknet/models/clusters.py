"""Clusters of patches: k-means over principal components of a network's features (H2G-Net)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from hooknet.errors import ConfigError
from hooknet.models.gpus import in_fp32

# Starts of k-means, of which the best is kept.
STARTS: Final = 10


class ClusterModel(nn.Module):
    """Tells the cluster of a patch from its features; frozen, and defined by its buffers alone.

    Standardise, project on principal components, take the nearest centroid.  Source: the released code.
    """

    mean: Tensor
    scale: Tensor
    components: Tensor
    centroids: Tensor

    def __init__(self, features: int, components: int, clusters: int) -> None:
        """Sizes only; :func:`fit_clusters` or a checkpoint fill it."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.register_buffer("components", torch.zeros(components, features))
        self.register_buffer("centroids", torch.zeros(clusters, components))

    @property
    def sizes(self) -> dict[str, int]:
        """The arguments that build it again, to be kept beside its buffers."""
        (components, features), clusters = self.components.shape, len(self.centroids)
        return {"features": features, "components": components, "clusters": clusters}

    @torch.no_grad()
    def forward(self, features: Tensor) -> Tensor:
        """(B, features) -> number (B,) of the cluster of each, in the precision of the buffers."""
        # In less than single precision near centroids would be mixed up.
        with in_fp32(features.device):
            standard = (features.to(self.mean.dtype) - self.mean) / self.scale
            projected = standard @ self.components.T
            differences = projected[:, None] - self.centroids
            return differences.square().sum(dim=-1).argmin(dim=1)


def fit_clusters(
    features: NDArray[np.float32], clusters: int = 10, components: int = 128, seed: int = 1
) -> ClusterModel:
    """The clusters of patches whose ``features`` are (n, F), at most ``components`` principal components used.

    At most n or F components are there.  A feature that never changes keeps the scale 1.  Fewer different rows
    than clusters leave some clusters empty (scikit-learn warns).  ConfigError for fewer rows than clusters.
    """
    if len(features) < clusters:
        raise ConfigError(
            f"clusters.k: found {clusters} clusters for {len(features)} patches, wanted no more clusters than "
            "patches; set a smaller k or annotate more"
        )
    precise = features.astype(np.float64)
    scaler = StandardScaler().fit(precise)
    standard = scaler.transform(precise)
    # The full decomposition: the quicker ones draw random numbers or lose digits.
    pca = PCA(min(components, *features.shape), svd_solver="full").fit(standard)
    kmeans = KMeans(clusters, n_init=STARTS, random_state=seed).fit(pca.transform(standard))
    model = ClusterModel(features.shape[1], len(pca.components_), clusters)
    # PCA subtracts a mean of its own, but of standardised features that is 0.
    _fill(model.mean, scaler.mean_)
    _fill(model.scale, scaler.scale_)
    _fill(model.components, pca.components_)
    _fill(model.centroids, kmeans.cluster_centers_)
    return model


def calibrate(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Measure the batch statistics of a network's batch normalisations anew: the mean over ``batches``.

    ``batches``: what ``network`` takes, on its device.  A network that was initialised at random has statistics
    that fit no data, and features that fade or grow from layer to layer in eval mode.  Weights, momentum and
    train or eval mode stay as they are; dropout is off meanwhile.  ValueError without a batch.
    """
    modes = [(module, module.training) for module in network.modules()]
    norms = [one for one in network.modules() if isinstance(one, (nn.BatchNorm1d, nn.BatchNorm2d))]
    momenta = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.train()
        norm.momentum = None  # the cumulative average
    try:
        if not _passes(network, batches):
            raise ValueError("no batch to measure statistics over")
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, mode in modes:
            module.training = mode


@torch.no_grad()
def _passes(network: nn.Module, batches: Iterable[Tensor]) -> int:
    """Pass all batches through the network; their number."""
    number = 0
    for batch in batches:
        network(batch)
        number += 1
    return number


def _fill(buffer: Tensor, values: NDArray[np.float64]) -> None:
    buffer.copy_(torch.from_numpy(values))
