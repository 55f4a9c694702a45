"""The networks by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from hooknet.errors import ConfigError
from hooknet.models.encoded import EncodedNet
from hooknet.models.hdc.network import HDCHRNet
from hooknet.models.hooknet import HookNet
from hooknet.models.mrn import MRN
from hooknet.models.network import Network
from hooknet.shapes.dense import DenseNetwork
from hooknet.shapes.encoded import EncodedSettings
from hooknet.shapes.hdc import HDCSettings
from hooknet.shapes.hooknet import HookNetSettings
from hooknet.shapes.mrn import MRNSettings

Settings = TypeVar("Settings", bound=DenseNetwork)


def unet(settings: DenseNetwork) -> Network:
    """A U-Net at one spacing; ConfigError for more."""
    if len(settings.spacings) != 1:
        raise ConfigError(f"unet with {len(settings.spacings)} spacings; give one, or use model hooknet")
    return _hooknet(settings)


def hooknet(settings: DenseNetwork) -> Network:
    """U-Nets at two or more spacings, the coarser hooked into the finer; ConfigError for one."""
    if len(settings.spacings) < 2:
        raise ConfigError(
            f"hooknet with {len(settings.spacings)} spacing; give two or more, or use model unet"
        )
    return _hooknet(settings)


def _hooknet(settings: DenseNetwork) -> Network:
    """Of own encoders, which runs their code, or of the official ones."""
    if isinstance(settings, EncodedSettings):
        return EncodedNet(settings)
    return HookNet(_of(HookNetSettings, settings))


def mrn(settings: DenseNetwork) -> Network:
    """A U-Net with an encoder more for each coarser spacing."""
    return MRN(_of(MRNSettings, settings))


def hdc_hrnet(settings: DenseNetwork) -> Network:
    """Streams of four resolutions at one spacing."""
    return HDCHRNet(_of(HDCSettings, settings))


def _of(kind: type[Settings], settings: DenseNetwork) -> Settings:
    if not isinstance(settings, kind):
        raise ConfigError(f"{type(settings).__name__} for another model; wanted {kind.__name__}")
    return settings


MODELS: Final[dict[str, Callable[[DenseNetwork], Network]]] = {
    "unet": unet,
    "hooknet": hooknet,
    "mrn": mrn,
    "hdc_hrnet": hdc_hrnet,
}


def build_model(name: str, settings: DenseNetwork) -> Network:
    """The named network, weights drawn by torch's generator; ConfigError for an unknown name."""
    if name not in MODELS:
        raise ConfigError(f"unknown model {name!r}; use one of {', '.join(sorted(MODELS))}")
    return MODELS[name](settings)
