"""What a patch classifier is, without being built: its backbone, its head, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hooknet.errors import ShapeError
from hooknet.shapes.backbones import FEATURES, SMALLEST, Filters, convolutions

Backbone = Literal["mobilenetv2", "inceptionv3"]
Layout = Literal["keras", "torchvision"]


@dataclass(frozen=True)
class ClassifierShape:
    """A backbone, global average pooling, a dense layer with dropout, and ``classes`` logits.

    ``layout`` says whose weights fit it: it sets padding, pooling and normalisation.  ``patch_size`` px at
    ``spacing`` µm/px.  ShapeError for a patch of which the backbone would leave nothing.
    """

    backbone: Backbone
    layout: Layout
    classes: int
    patch_size: int
    spacing: float
    dense: int = 100
    dropout: float = 0.5

    def __post_init__(self) -> None:
        if self.patch_size < SMALLEST[self.backbone]:
            raise ShapeError(
                f"a {self.patch_size} px patch is too small for {self.backbone}; use {SMALLEST[self.backbone]} px or "
                "more"
            )

    @property
    def features(self) -> int:
        """Channels of the features that are pooled."""
        return FEATURES[self.backbone]

    @property
    def parameter_count(self) -> int:
        """Trained numbers, running statistics not counted."""
        of_backbone = sum(
            one.weights + self._of_norm(one) for one, _ in convolutions(self.backbone, self.patch_size)
        )
        return of_backbone + self._head + self.dense + self.classes

    @property
    def multiply_accumulates(self) -> int:
        """Multiply-accumulate operations for one patch, of convolutions and head."""
        made = convolutions(self.backbone, self.patch_size)
        return sum(one.weights * size**2 for one, size in made) + self._head

    @property
    def _head(self) -> int:
        """Weights of the dense layers, biases not counted."""
        return self.features * self.dense + self.dense * self.classes

    def _of_norm(self, one: Filters) -> int:
        """Scale and shift; Keras's InceptionV3 normalises without a scale."""
        unscaled = self.backbone == "inceptionv3" and self.layout == "keras"
        return one.outgoing * (1 if unscaled else 2)
