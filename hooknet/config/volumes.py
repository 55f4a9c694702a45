"""Which slices make up a volume."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hooknet.config.document import nearest
from hooknet.config.layout import ROLES, roles_of
from hooknet.config.slides import SlideSettings
from hooknet.errors import ConfigError


@dataclass(frozen=True)
class VolumeSlices:
    """A volume's ``slides`` with their ``positions``, in the order of these; ``thickness`` in mm."""

    name: str
    slides: tuple[SlideSettings, ...]
    positions: tuple[int, ...]
    thickness: float

    @property
    def role(self) -> str | None:
        """What the volume is scored against: ``truth`` or else ``labels``, if all its slices have it; else None."""
        common = set(ROLES).intersection(*map(roles_of, self.slides))
        return "truth" if "truth" in common else next(iter(common), None)

    @property
    def scored_role(self) -> str:
        """As ``role``; ConfigError where there is none."""
        if self.role is None:
            raise ConfigError(
                f"volume {self.name!r} has slices without annotation or truth, wanted one of the two for all of them"
            )
        return self.role


def volumes_of(slides: Iterable[SlideSettings]) -> dict[str, VolumeSlices]:
    """Name -> volume of those slides that are slices of one, in the order of the sheet."""
    found: dict[str, list[tuple[int, SlideSettings]]] = {}
    sizes: dict[str, float] = {}
    for one in slides:
        # A row has all three or none.
        if one.volume is not None and one.position is not None and one.thickness is not None:
            found.setdefault(one.volume, []).append((one.position, one))
            sizes[one.volume] = one.thickness
    volumes = {}
    for name, members in found.items():
        positions, slices = zip(*sorted(members, key=lambda member: member[0]), strict=True)
        volumes[name] = VolumeSlices(name, slices, positions, sizes[name])
    return volumes


def volume_named(slides: Iterable[SlideSettings], name: str) -> VolumeSlices:
    """The volume of that name, or a ConfigError naming what there is."""
    found = volumes_of(slides)
    if name not in found:
        raise ConfigError(f"no volume {name!r}; {nearest(name, list(found))}")
    return found[name]
