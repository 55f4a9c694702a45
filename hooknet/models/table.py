"""The networks by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hooknet.errors import ConfigError
from hooknet.models.network import Network
from hooknet.shapes import NetworkSettings


def unet(settings: NetworkSettings) -> Network:
    """A U-Net at one spacing; ConfigError for more."""
    if len(settings.spacings) != 1:
        raise ConfigError(f"unet with {len(settings.spacings)} spacings; give one, or use model hooknet")
    return Network(settings)


def hooknet(settings: NetworkSettings) -> Network:
    """U-Nets at two or more spacings, the coarser hooked into the finer; ConfigError for one."""
    if len(settings.spacings) < 2:
        raise ConfigError(
            f"hooknet with {len(settings.spacings)} spacing; give two or more, or use model unet"
        )
    return Network(settings)


MODELS: Final[dict[str, Callable[[NetworkSettings], Network]]] = {"unet": unet, "hooknet": hooknet}


def build_model(name: str, settings: NetworkSettings) -> Network:
    """The named network, weights drawn by torch's generator; ConfigError for an unknown name."""
    if name not in MODELS:
        raise ConfigError(f"unknown model {name!r}; use one of {', '.join(sorted(MODELS))}")
    return MODELS[name](settings)
