"""Experiments of U-Net, HookNet and MRN: a branch for each spacing."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from hooknet.config.dense import DenseSettings
from hooknet.config.document import Settings
from hooknet.config.encoder import EncoderOptions
from hooknet.config.experiment import Count, NotNegative
from hooknet.shapes.encoded import EncodedSettings
from hooknet.shapes.equal import of_parameters
from hooknet.shapes.hooknet import HookNetSettings
from hooknet.shapes.hooks import Hook, star_hooks
from hooknet.shapes.mrn import MRNSettings
from hooknet.shapes.unet import UNetSettings

# Settings of `network` that not all its models have, or that follow from others.
_NOT_OF_ALL = {"filters", "parameters", "merge", "window", "heads", "hooks", "hook_layout", "encoder"}


class HookSettings(Settings):
    """One hook: from a decoder depth of a coarser branch into a depth of a finer one (0 = full resolution)."""

    source: Annotated[int, Field(ge=1)]
    source_depth: Annotated[int, Field(ge=0)]
    target: Annotated[int, Field(ge=0)]
    target_depth: Annotated[int, Field(ge=0)]


class NetworkOptions(Settings):
    """The network's own settings."""

    filters: Count = 64
    parameters: Count | None = None
    depth: Annotated[int, Field(ge=1, le=8)] = 4
    convolutions: Annotated[int, Field(ge=1, le=8)] = 2
    batch_norm: bool = True
    batch_norm_momentum: Annotated[float, Field(ge=0, lt=1)] = 0.99
    activation: Literal["relu", "leaky_relu"] = "relu"
    merge: Literal["concat", "add", "subtract", "multiply", "attention"] = "concat"
    window: Annotated[int, Field(ge=1, le=31)] = 5
    heads: Annotated[int, Field(ge=1, le=64)] = 4
    hook_layout: Literal["chain", "star"] = "chain"
    hooks: tuple[HookSettings, ...] | None = None
    encoder: EncoderOptions | None = None

    @model_validator(mode="after")
    def _filters_or_parameters(self) -> NetworkOptions:
        if self.parameters is not None and "filters" in self.model_fields_set:
            raise ValueError(
                f"filters {self.filters} and parameters {self.parameters}: the one follows from the other; leave one "
                "out, of `defaults` too"
            )
        return self

    @model_validator(mode="after")
    def _one_layout(self) -> NetworkOptions:
        if self.hook_layout != "chain" and self.hooks is not None:
            raise ValueError(f"hook_layout {self.hook_layout} and hooks, which say it all; leave one out")
        return self

    @model_validator(mode="after")
    def _window_of_attention(self) -> NetworkOptions:
        if self.window % 2 == 0:
            raise ValueError(f"window {self.window} has no px in its middle; use an odd number")
        for key in ("window", "heads"):
            if self.merge != "attention" and key in self.model_fields_set:
                raise ValueError(f"{key} is for merge attention, found {self.merge}; leave the key out")
        return self

    @model_validator(mode="after")
    def _depth_of_the_encoder(self) -> NetworkOptions:
        if self.encoder is not None and "depth" in self.model_fields_set:
            raise ValueError(
                f"depth {self.depth} with an encoder of strides {list(self.encoder.strides)}, which say it; leave "
                "depth out"
            )
        return self

    @property
    def halvings(self) -> int:
        """The depth, which an encoder's strides say; ShapeError for strides that cannot be."""
        return self.depth if self.encoder is None else self.encoder.spec().depth

    @model_serializer(mode="wrap")
    def _as_used(self, told: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without keys that decide nothing: so what is read back is whole, and older weights and results still fit."""
        found: dict[str, Any] = told(self)
        unused = ["parameters" if self.parameters is None else "filters"]
        unused += [] if self.merge == "attention" else ["window", "heads"]
        unused += [] if self.hook_layout != "chain" else ["hook_layout"]
        unused += ["encoder" if self.encoder is None else "depth"]
        return {key: value for key, value in found.items() if key not in unused}


class BranchedSettings(DenseSettings):
    """A U-Net, or U-Nets of several spacings that are hooked or joined."""

    model: Literal["unet", "hooknet", "mrn"]
    loss_weights: tuple[NotNegative, ...] | None = None
    shuffle_context: bool = False
    network: NetworkOptions = NetworkOptions()

    @property
    def shuffles_context(self) -> bool:
        """Whether the experiment says so."""
        return self.shuffle_context

    def read_as(self) -> dict[str, Any]:
        """Also whether contexts are shuffled; not what weights an encoder started from, nor whether it kept them."""
        found = {**super().read_as(), "shuffle_context": self.shuffle_context}
        if self.network.encoder is not None:
            found["network"]["encoder"] = self.network.encoder.model_dump(
                mode="json", exclude={"weights", "frozen"}
            )
        return found

    @property
    def own_encoder(self) -> str | None:
        """What ``network.encoder`` names."""
        return None if self.network.encoder is None else self.network.encoder.make

    @property
    def encoder_code(self) -> str | None:
        """That of ``network.encoder``."""
        return None if self.network.encoder is None else self.network.encoder.file

    @property
    def encoder_weights(self) -> str | None:
        """Those of ``network.encoder``."""
        return None if self.network.encoder is None else self.network.encoder.weights

    def named_files(self) -> dict[str, str]:
        """Also the code and the weights of an encoder."""
        encoder = self.network.encoder
        return {**super().named_files(), **({} if encoder is None else encoder.named_files())}

    @model_validator(mode="after")
    def _branches(self) -> BranchedSettings:
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
    def _only_its_own(self) -> BranchedSettings:
        """Settings that a model does not have would be ignored in silence."""
        if self.model == "mrn" and self.network.encoder is not None:
            raise ValueError(
                "network.encoder is for unet and hooknet, found model mrn; leave the key out, or use hooknet"
            )
        if self.model != "hooknet":
            for key, default in (("merge", "concat"), ("hook_layout", "chain"), ("hooks", None)):
                if getattr(self.network, key) != default:
                    raise ValueError(
                        f"network.{key} is for hooknet, model {self.model} has no hooks; leave the key out"
                    )
        return self

    def network_settings(self, classes: int, channels: int = 3) -> UNetSettings:
        """What the network is built from; ShapeError when sizes or spacings would misalign."""
        options = self.network
        common: dict[str, Any] = {
            "spacings": self.spacings,
            "classes": classes,
            "channels": channels,
            "patch_size": self.patch_size,
            "filters": options.filters,
            **options.model_dump(exclude=_NOT_OF_ALL),
        }
        of = self._unsized(common)
        return of if options.parameters is None else of_parameters(of, options.parameters)

    def _unsized(self, common: dict[str, Any]) -> HookNetSettings | MRNSettings:
        """The network, of the filters that stand in ``common``."""
        options = self.network
        if self.model == "mrn":
            return MRNSettings(**common)
        hooks = self._hooks()
        own: dict[str, Any] = {"merge": options.merge, "window": options.window, "heads": options.heads}
        own |= {"hooks": hooks, "loss_weights": self.loss_weights}
        if options.encoder is None:
            return HookNetSettings(**common, **own)
        encoder = options.encoder.spec()
        return EncodedSettings(**{**common, "depth": encoder.depth}, **own, encoder=encoder)

    def _hooks(self) -> tuple[Hook, ...] | None:
        """As they are written; None for the paper's chain."""
        written = self.network.hooks
        if self.network.hook_layout == "star":
            return star_hooks(self.spacings, self.network.halvings)
        return None if written is None else tuple(Hook(**hook.model_dump()) for hook in written)
