"""Experiments of HDC-HRNet."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from hooknet.config.dense import DenseSettings, TrainOptions
from hooknet.config.document import Settings
from hooknet.config.experiment import Count, NotNegative
from hooknet.config.losses import LossOptions
from hooknet.config.types import PositiveFloat
from hooknet.shapes.hdc import STAGE_BLOCKS, WIDTHS, HDCSettings, Stage, pyramid
from hooknet.shapes.hdc_heads import PointOptions

Block = Literal["basic", "convnext", "dcn", "inverted_residual", "swin", "fno", "wavelet", "rwkv"]
FourWeights = tuple[NotNegative, NotNegative, NotNegative, NotNegative]
#: Blocks whose convolution may be dilated.
DILATED: Final = ("dcn",)
#: Of a stream in a stage; so that no file of settings makes a network that is never done.
MOST_BLOCKS: Final = 100
#: What PointRend's mode ``repo`` does not have.
PAPER_ONLY: Final = ("oversample", "subdivisions", "inference_points")


class StageOptions(Settings):
    """The blocks of one stage; what is left out is as in the description."""

    block: Block | None = None
    blocks: Annotated[int, Field(ge=1, le=MOST_BLOCKS)] | None = None
    dilations: Annotated[tuple[Count, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _as_many(self) -> StageOptions:
        if self.blocks and self.dilations and self.blocks != len(self.dilations):
            raise ValueError(f"{len(self.dilations)} dilations for {self.blocks} blocks; give one each")
        return self


class PointRendOptions(Settings):
    """The points that PointRend looks at more closely."""

    mode: Literal["paper", "repo"] = "paper"
    points: Count = 2048
    oversample: Count = 3
    important: Annotated[float, Field(ge=0, le=1)] = 0.75
    hidden: Count = 256
    subdivisions: Count = 2
    inference_points: Count = 8192


class HDCNetworkOptions(Settings):
    """The network's own settings."""

    size: Literal["small", "base", "large"] = "base"
    width: Count | None = None
    stem: Literal["stride4", "full"] = "stride4"
    block: Block = "dcn"
    stages: tuple[StageOptions, StageOptions, StageOptions] | None = None
    version: Literal[2, 3] = 2
    cap_dilations: bool = False
    norm: Literal["group", "batch"] = "group"
    head: Literal["auto", "plain", "pointrend", "shearlet"] = "auto"
    points: PointRendOptions = PointRendOptions()

    @property
    def has_points(self) -> bool:
        """Whether PointRend is its head: of the sizes base and large, unless another head is named."""
        return self.head == "pointrend" or (self.head == "auto" and self.size != "small")

    @property
    def _given(self) -> tuple[StageOptions, ...]:
        return self.stages or (StageOptions(),) * len(STAGE_BLOCKS)

    def all_stages(self) -> tuple[Stage, ...]:
        """The stages with all spelled out."""
        return tuple(self._stage(*one) for one in zip(self._given, STAGE_BLOCKS, strict=True))

    def _stage(self, given: StageOptions, usual: int) -> Stage:
        block = given.block or self.block
        default = pyramid(given.blocks or usual) if block in DILATED else (1,) * (given.blocks or usual)
        return Stage(block, given.dilations or default)

    @model_validator(mode="after")
    def _dilations_count(self) -> HDCNetworkOptions:
        for number, given in enumerate(self._given):
            block = given.block or self.block
            if block not in DILATED and given.dilations and set(given.dilations) != {1}:
                raise ValueError(
                    f"stages.{number}.dilations: found {list(given.dilations)} for block {block!r}, which has none; "
                    f"leave the key out, or use {', '.join(DILATED)}"
                )
        return self


class HDCLossOptions(LossOptions):
    """The weights of the terms; ``points`` of PointRend's own."""

    dice: NotNegative = 1.0
    points: NotNegative = 1.0

    @property
    def point_weight(self) -> float:
        """That of PointRend's."""
        return self.points


class HDCTrainOptions(TrainOptions):
    """The training loop, in the description's numbers."""

    epochs: Count = 150
    batch: Count = 8
    learning_rate: PositiveFloat = 1e-4
    optimiser: Literal["adam", "adamw"] = "adamw"
    weight_decay: NotNegative = 1e-5
    schedule: Literal["constant", "cosine"] = "cosine"
    clip_gradient: PositiveFloat | None = 1.0
    l2: NotNegative = 0.0
    losses: HDCLossOptions = HDCLossOptions()


class HDCHRNetSettings(DenseSettings):
    """Streams of four resolutions at one spacing."""

    model: Literal["hdc_hrnet"]
    patch_size: Count = 256
    deep_weights: FourWeights | None = (0.4, 0.3, 0.2, 0.1)
    network: HDCNetworkOptions = HDCNetworkOptions()
    train: HDCTrainOptions = HDCTrainOptions()

    @property
    def kind(self) -> str:
        """The model and its size or width."""
        return f"{self.model} {self.network.size if self.network.width is None else self.network.width}"

    def network_settings(self, classes: int, channels: int = 3) -> HDCSettings:
        """What the network is built from; ShapeError for a patch that its streams cannot halve."""
        of = self.network
        return HDCSettings(
            spacings=self.spacings,
            classes=classes,
            patch_size=self.patch_size,
            channels=channels,
            width=of.width or WIDTHS[of.size],
            stem=of.stem,
            stages=of.all_stages(),
            norm=of.norm,
            version=of.version,
            cap_dilations=of.cap_dilations,
            deep_weights=self.deep_weights or (),
            points=PointOptions(**of.points.model_dump()) if of.has_points else None,
            shearlet=of.head == "shearlet",
        )

    @model_validator(mode="after")
    def _only_what_counts(self) -> HDCHRNetSettings:
        """Settings that change nothing would be ignored in silence."""
        of, weight = self.network, self.train.losses.points
        if not of.has_points and (of.points != PointRendOptions() or weight != HDCLossOptions().points):
            raise ValueError(
                f"settings of points, but network.head {of.head} of size {of.size} has none; set it to pointrend or "
                "leave them out"
            )
        for key in PAPER_ONLY:
            if of.points.mode == "repo" and getattr(of.points, key) != getattr(PointRendOptions(), key):
                raise ValueError(
                    f"network.points.{key} is for mode paper, found mode repo; leave the key out"
                )
        if of.has_points and of.points.mode == "paper" and weight == 0:
            raise ValueError(
                "train.losses.points: found 0, so PointRend would learn nothing and yet change maps; give it a weight, "
                "or set network.head to plain"
            )
        if not any(one.block in DILATED for one in of.all_stages()):
            for key in ("version", "cap_dilations"):
                if getattr(of, key) != HDCNetworkOptions.model_fields[key].default:
                    raise ValueError(
                        f"network.{key} is for blocks dcn, and no stage has any; leave the key out"
                    )
        if self.infer.tile is not None:
            raise ValueError(
                f"infer.tile: found {self.infer.tile}, but tiles are as large as patches ({self.patch_size} px); leave "
                "the key out"
            )
        return self

    def check_classes(self, names: tuple[str, ...]) -> None:
        """Also ShapeError for a rim that leaves nothing of a tile."""
        next(iter(self.network_settings(len(names)).shape.tiles(self.infer.rim)))

    @model_validator(mode="after")
    def _by_torch(self) -> HDCHRNetSettings:
        if self.infer.engine == "openvino":
            raise ValueError("infer.engine openvino: it cannot compile an hdc_hrnet; set it to auto or torch")
        return self

    @model_validator(mode="after")
    def _one_spacing(self) -> HDCHRNetSettings:
        if len(self.spacings) != 1:
            raise ValueError(
                f"an hdc_hrnet has one spacing, found {list(self.spacings)}; models hooknet and mrn take several"
            )
        return self
