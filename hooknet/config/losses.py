"""What a training makes small."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from hooknet.config.document import Settings
from hooknet.config.experiment import NotNegative

#: The terms of a loss over all annotated px.
TERMS = ("cross_entropy", "dice", "focal", "frequency", "boundary")


class LossOptions(Settings):
    """The weight of each term of the loss; 0 leaves one out."""

    cross_entropy: NotNegative = 1.0
    dice: NotNegative = 0.0
    focal: NotNegative = 0.0
    frequency: NotNegative = 0.0
    boundary: NotNegative = 0.0
    boundary_warmup: Annotated[int, Field(ge=0)] = 10

    @property
    def point_weight(self) -> float:
        """The weight of a loss at single points, for networks that predict them."""
        return 0.0

    @property
    def terms(self) -> dict[str, float]:
        """Term -> weight, of those that count."""
        return {name: weight for name in TERMS if (weight := float(getattr(self, name))) > 0}

    @model_validator(mode="after")
    def _something(self) -> LossOptions:
        if not self.terms:
            raise ValueError(f"every weight of the loss is 0; give one of {', '.join(TERMS)} more")
        if set(self.terms) == {"boundary"} and self.boundary_warmup > 0:
            raise ValueError(
                f"boundary alone with boundary_warmup {self.boundary_warmup}: nothing would be learnt at first; set it "
                "to 0 or add cross_entropy"
            )
        return self
