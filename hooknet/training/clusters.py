"""The clusters of a classifier's training patches: fitted once, frozen, looked up after a patch is drawn."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from hooknet.config.run import ClassifierRun
from hooknet.data.index import CentreIndex, SlideFiles
from hooknet.data.labelled_patches import LabelledPatches
from hooknet.errors import CheckpointError, ConfigError
from hooknet.io.atomic import remove_stale
from hooknet.models.checkpoint import load_checkpoint, restore, save_checkpoint
from hooknet.models.classifier import PatchClassifier
from hooknet.models.clusters import ClusterModel, calibrate, fit_clusters
from hooknet.models.gpus import in_fp32
from hooknet.training.batches import complete_index, hierarchical_draws
from hooknet.training.weights import checkpoint_spec, new_classifier

logger = logging.getLogger(__name__)

#: Patches put through the network at once.
AT_ONCE = 32


class Clusters:
    """Tells the cluster of patches: a frozen network's features, and a :class:`ClusterModel` over them."""

    def __init__(self, network: PatchClassifier, model: ClusterModel) -> None:
        self._network = network.eval()
        self._model = model.eval()
        self.count = len(model.centroids)

    @torch.no_grad()
    def of(self, patches: Tensor) -> Tensor:
        """Patches (B, 3, S, S) of 0..1 -> the number (B,) of the cluster of each, on their device."""
        self._network.to(patches.device)
        self._model.to(patches.device)
        # As they were fitted: in less than single precision some would land in another cluster.
        with in_fp32(patches.device):
            clusters: Tensor = self._model(self._network.features(patches))
        return clusters


def fit(run: ClassifierRun, training: Sequence[SlideFiles], output: Path) -> None:
    """Write the clusters of patches drawn as training draws them; ConfigError for fewer patches than clusters.

    The features are those of the weights that training starts from.  Where those are random, their batch
    normalisation is measured over the same patches first: else features fade from layer to layer.
    """
    options = run.settings.clusters
    if options is None:
        raise ConfigError(
            f"run {run.name}: has no `clusters` section; give it one, or do not ask for clusters"
        )
    torch.set_num_threads(run.settings.train.threads)
    index = complete_index(run, "training", training, run.patch_spec)
    network = new_classifier(run).eval()
    rows = _rows(run, index, options.patches)
    batches = list(_batches(run, index, rows))  # bytes: 5,000 patches of 256 px are 1 GB
    if run.settings.network.weights is None:
        calibrate(network.backbone, map(floats, batches))
    features = np.concatenate([_features(network, floats(one)) for one in batches])
    model = fit_clusters(features, options.k, options.components, run.seed)
    sizes = np.bincount(model(torch.from_numpy(features)).numpy(), minlength=options.k)
    logger.info("%d patches in clusters of %s", len(features), ", ".join(map(str, sizes)))
    spec = checkpoint_spec(run, training) | {"clusters": model.sizes}
    remove_stale(output)
    save_checkpoint(output, nn.ModuleDict({"network": network, "clusters": model}), spec)


def load_clusters(run: ClassifierRun, path: Path) -> Clusters:
    """The clusters that :func:`fit` wrote; CheckpointError unless they are of a run like this one."""
    found = load_checkpoint(path)
    wanted = run.settings.model_dump(mode="json")
    for key in ("model", "spacing", "patch_size", "network", "clusters"):
        given = found.spec.get("settings", {}).get(key)
        if given != wanted[key]:
            raise CheckpointError(
                f"{path}: clusters of {key} {given}, run {run.name} has {wanted[key]}; fit them again"
            )
    parts = nn.ModuleDict(
        {"network": PatchClassifier(run.shape), "clusters": ClusterModel(**found.spec["clusters"])}
    )
    restore(parts, found.state_dict, path)
    return Clusters(parts["network"], parts["clusters"])  # type: ignore[arg-type]


def _rows(run: ClassifierRun, index: CentreIndex, patches: int) -> list[int]:
    """Different rows of the index, at most ``patches``, each class's alike: drawn as training draws."""
    draws = hierarchical_draws(run, index, AT_ONCE)
    drawn = [row for _ in range(ceil(patches / AT_ONCE)) for _, row in draws.next_batch()]
    return list(dict.fromkeys(drawn[:patches]))


def _batches(run: ClassifierRun, index: CentreIndex, rows: Sequence[int]) -> Iterator[Tensor]:
    """The patches as (B, S, S, 3) uint8."""
    patches = LabelledPatches(index, run.patch_spec, None, run.seed, run.settings.train.cache_mb * 2**20)
    for first in range(0, len(rows), AT_ONCE):
        views = [patches[0, row][0][0] for row in rows[first : first + AT_ONCE]]
        yield torch.from_numpy(np.stack(views))


def floats(patches: Tensor) -> Tensor:
    """Patches (B, S, S, 3) uint8 -> (B, 3, S, S) of 0..1."""
    return patches.permute(0, 3, 1, 2).float().div_(255).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def _features(network: PatchClassifier, patches: Tensor) -> np.ndarray:
    found: np.ndarray = network.features(patches).numpy()
    return found
