"""Experiments of networks that predict a class per pixel: U-Net, HookNet, MRN."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from hooknet.config.document import Settings
from hooknet.config.experiment import AugmentOptions, Count, EngineOptions, ExperimentSettings, NotNegative
from hooknet.config.types import PositiveFloat
from hooknet.shapes.hooknet import HookNetSettings
from hooknet.shapes.hooks import Hook
from hooknet.shapes.mrn import MRNSettings
from hooknet.shapes.unet import UNetSettings


class HookSettings(Settings):
    """One hook: from a decoder depth of a coarser branch into a depth of a finer one (0 = full resolution)."""

    source: Annotated[int, Field(ge=1)]
    source_depth: Annotated[int, Field(ge=0)]
    target: Annotated[int, Field(ge=0)]
    target_depth: Annotated[int, Field(ge=0)]


class NetworkOptions(Settings):
    """The network's own settings."""

    filters: Count = 64
    depth: Annotated[int, Field(ge=1, le=8)] = 4
    convolutions: Annotated[int, Field(ge=1, le=8)] = 2
    batch_norm: bool = True
    batch_norm_momentum: Annotated[float, Field(ge=0, lt=1)] = 0.99
    activation: Literal["relu", "leaky_relu"] = "relu"
    merge: Literal["concat", "add", "subtract", "multiply"] = "concat"
    hooks: tuple[HookSettings, ...] | None = None


class TrainOptions(Settings):
    """The training loop."""

    epochs: Count = 200
    steps: Count = 1000
    batch: Count = 12
    learning_rate: PositiveFloat = 5e-6
    l2: NotNegative = 1e-3
    normalise: Literal["annotated", "all_pixels"] = "annotated"
    sampler: Literal["balanced", "official"] = "balanced"
    validation_patches: Count = 1000
    stop_after: Count | None = None
    threads: Count = 2
    workers: Annotated[int, Field(ge=0)] = 1
    cache_mb: Annotated[int, Field(ge=0)] = 512
    compile: bool = False
    init_from: str | None = None


class InferOptions(EngineOptions):
    """Whole-slide inference."""

    over: Literal["tissue", "everything", "mask"] = "tissue"
    tile: Count | None = None
    rim: Annotated[int, Field(ge=0)] | None = None
    probabilities: bool = False


class DenseSettings(ExperimentSettings):
    """A network that predicts a class per pixel, from patches at one spacing or several."""

    model: Literal["unet", "hooknet", "mrn"]
    spacings: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)]
    patch_size: Count = 284
    loss_weights: tuple[NotNegative, ...] | None = None
    shuffle_context: bool = False
    network: NetworkOptions = NetworkOptions()
    train: TrainOptions = TrainOptions()
    augment: AugmentOptions = AugmentOptions()
    infer: InferOptions = InferOptions()

    @property
    def kind(self) -> str:
        """The model."""
        return self.model

    @property
    def exports(self) -> tuple[str, ...]:
        """The formats that maps are written in besides."""
        return self.infer.exports

    @property
    def starts_from(self) -> str | None:
        """The checkpoint whose weights a training starts from."""
        return self.train.init_from

    def named_files(self) -> dict[str, str]:
        """Also the weights that training starts from."""
        start = self.train.init_from
        return {**({} if start is None else {"train.init_from": start}), **super().named_files()}

    @property
    def keeps_probabilities(self) -> bool:
        """Whether ``probabilities/SLIDE.tif`` is written beside the map."""
        return self.infer.probabilities

    @property
    def read_spacings(self) -> tuple[float, ...]:
        """One for each branch."""
        return self.spacings

    @property
    def label_spacing_wanted(self) -> float | None:
        """That of the target."""
        return self.spacings[0]

    @property
    def predicts_over(self) -> str | None:
        """What the settings of inference say."""
        return self.infer.over

    def read_as(self) -> dict[str, Any]:
        """The settings that weights are used with."""
        kinds = {"model", "spacings", "patch_size", "network", "shuffle_context"}
        return self.model_dump(mode="json", include=kinds)

    def check_classes(self, names: tuple[str, ...]) -> None:
        """ShapeError where sizes or spacings would misalign."""
        self.network_settings(len(names))

    @model_validator(mode="after")
    def _branches(self) -> DenseSettings:
        if self.model == "unet" and len(self.spacings) != 1:
            raise ValueError(
                f"a unet has one spacing, found {list(self.spacings)}; models hooknet and mrn take several"
            )
        if self.model != "unet" and len(self.spacings) < 2:
            raise ValueError(
                f"a {self.model} has two spacings or more, found {list(self.spacings)}; model unet takes one"
            )
        self._check_shuffle_context()
        self._check_loss_weights()
        return self

    def _check_shuffle_context(self) -> None:
        if not self.shuffle_context:
            return
        if len(self.spacings) < 2:
            raise ValueError("shuffle_context with one spacing; there is no context to shuffle")
        for key, patches in (
            ("batch", self.train.batch),
            ("validation_patches", self.train.validation_patches),
        ):
            if patches < 2:
                raise ValueError(
                    f"shuffle_context with train.{key} {patches}; patches swap contexts, so give 2 or more"
                )

    def _check_loss_weights(self) -> None:
        weights = self.loss_weights
        if weights is None:
            return
        if self.model == "mrn":
            raise ValueError("an mrn has no loss_weights: only its target predicts; leave the key out")
        if len(weights) != len(self.spacings):
            raise ValueError(f"{len(weights)} loss_weights for {len(self.spacings)} spacings; give one each")
        if weights[0] <= 0:
            raise ValueError(
                "the first loss weight is 0, so the target branch would learn nothing; set it above 0"
            )

    @model_validator(mode="after")
    def _only_its_own(self) -> DenseSettings:
        """Settings that a model does not have would be ignored in silence."""
        if self.model != "hooknet":
            for key, default in (("merge", "concat"), ("hooks", None)):
                if getattr(self.network, key) != default:
                    raise ValueError(
                        f"network.{key} is for hooknet, model {self.model} has no hooks; leave the key out"
                    )
        return self

    def network_settings(self, classes: int) -> UNetSettings:
        """What the network is built from; ShapeError when sizes or spacings would misalign."""
        options = self.network
        common: dict[str, Any] = {
            "spacings": self.spacings,
            "classes": classes,
            "patch_size": self.patch_size,
            **options.model_dump(exclude={"merge", "hooks"}),
        }
        if self.model == "mrn":
            return MRNSettings(**common)
        hooks = None if options.hooks is None else tuple(Hook(**hook.model_dump()) for hook in options.hooks)
        return HookNetSettings(**common, merge=options.merge, hooks=hooks, loss_weights=self.loss_weights)
