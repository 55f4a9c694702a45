"""``config/experiments.yaml``: what to do with the datasets. Systems and their settings."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from hooknet.config.document import Settings
from hooknet.config.types import Name, PositiveFloat, Seed
from hooknet.shapes.hooknet import HookNetSettings
from hooknet.shapes.hooks import Hook
from hooknet.shapes.mrn import MRNSettings
from hooknet.shapes.unet import UNetSettings

Share = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


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


class AugmentOptions(Settings):
    """Strengths of augmentation; 0 switches one off."""

    flips: bool = True
    elastic_um: NotNegative = 3.0
    elastic_scale_um: PositiveFloat = 60.0
    elastic_share: Share = 0.5
    brightness: NotNegative = 0.1
    contrast: NotNegative = 0.1
    saturation: NotNegative = 0.1
    noise: NotNegative = 0.02
    stain: NotNegative = 0.03


class InferOptions(Settings):
    """Whole-slide inference."""

    over: Literal["tissue", "everything", "mask"] = "tissue"
    engine: Literal["auto", "torch", "openvino"] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    tile: Count | None = None
    rim: Annotated[int, Field(ge=0)] | None = None
    probabilities: bool = False
    exports: tuple[Literal["geojson", "asap", "ome-tiff", "colours"], ...] = ()

    @field_validator("exports")
    @classmethod
    def _each_once(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(formats)) != len(formats):
            raise ValueError(f"{list(formats)} names one twice")
        return formats


class ExperimentSettings(Settings):
    """One system on one dataset."""

    dataset: str
    model: Literal["unet", "hooknet", "mrn"]
    spacings: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)]
    patch_size: Count = 284
    loss_weights: tuple[NotNegative, ...] | None = None
    shuffle_context: bool = False
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (1,)
    folds: Annotated[tuple[int, ...], Field(min_length=1)] | None = None
    checkpoint: str | None = None
    network: NetworkOptions = NetworkOptions()
    train: TrainOptions = TrainOptions()
    augment: AugmentOptions = AugmentOptions()
    infer: InferOptions = InferOptions()

    @field_validator("seeds", "folds")
    @classmethod
    def _distinct(cls, values: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if values is not None and len(set(values)) != len(values):
            raise ValueError(f"{list(values)} names one twice")
        return values

    @model_validator(mode="after")
    def _branches(self) -> ExperimentSettings:
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
    def _only_its_own(self) -> ExperimentSettings:
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


class ExperimentsFile(Settings):
    """The whole file; ``defaults`` are settings that every experiment starts from."""

    defaults: dict[str, Any] = Field(default_factory=dict)
    experiments: dict[Name, ExperimentSettings]

    @model_validator(mode="before")
    @classmethod
    def _apply_defaults(cls, document: Any) -> Any:
        if not isinstance(document, dict) or not isinstance(document.get("experiments"), dict):
            return document
        defaults = document.get("defaults") or {}
        experiments = {
            name: _merged(defaults, own) if isinstance(own, dict) and isinstance(defaults, dict) else own
            for name, own in document["experiments"].items()
        }
        return {**document, "experiments": experiments}


def _merged(defaults: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """``own`` over ``defaults``, section by section."""
    merged = dict(defaults)
    for key, value in own.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
