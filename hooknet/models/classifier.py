"""A patch classifier: a backbone, and a small head on its pooled features (H2G-Net, released code)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from hooknet.models.blocks import glorot_uniform_dense
from hooknet.models.inception import InceptionV3
from hooknet.models.mobilenet import MobileNetV2
from hooknet.shapes.classifier import ClassifierShape

BACKBONES = {"mobilenetv2": MobileNetV2, "inceptionv3": InceptionV3}


class PatchClassifier(nn.Module):
    """Patches in, a logit for each class out.

    Patches are RGB of 0..1 (8-bit values / 255), as published, also where the backbone starts from weights that were
    trained on another range: the first normalisations take it up.
    """

    def __init__(self, shape: ClassifierShape) -> None:
        super().__init__()
        self.shape = shape
        self.backbone = BACKBONES[shape.backbone](shape.layout)
        self.dense = glorot_uniform_dense(nn.Linear(shape.features, shape.dense))
        self.dropout = nn.Dropout(shape.dropout)
        self.out = glorot_uniform_dense(nn.Linear(shape.dense, shape.classes))

    def features(self, patches: Tensor) -> Tensor:
        """(B, 3, S, S) of 0..1 -> (B, features): the backbone's, averaged over all places."""
        maps: Tensor = self.backbone(patches)
        return maps.mean(dim=(2, 3))

    def forward(self, patches: Tensor) -> Tensor:
        """(B, 3, S, S) of 0..1 -> logits (B, K)."""
        hidden = functional.relu(self.dense(self.features(patches)))
        logits: Tensor = self.out(self.dropout(hidden))
        return logits
