"""New slides to maps, outlines, areas and pages, one after the other; what is there and whole is not made again."""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hooknet.errors import CheckpointError, DiskError, HookNetError, MaskError, SlideError
from hooknet.groundtruth.tissue import LOWER
from hooknet.inference.estimate import Speed
from hooknet.inference.kept import journal_beside
from hooknet.inference.made import made_of
from hooknet.inference.whole_slide import MapFiles, predict, prepared
from hooknet.io.masks import Mask
from hooknet.io.probabilities import Probabilities
from hooknet.io.slide_checks import OVERRIDE
from hooknet.io.staging import staged
from hooknet.io.uncertainty import open_uncertainty
from hooknet.models.network import Network
from hooknet.objects.export import Drawing, export_geojson
from hooknet.objects.quantities import Quantity, quantify, quantities_of, read_quantities, write_quantities
from hooknet.prediction.model import Model, tissue_of
from hooknet.prediction.page import Page, Shown, shown, write_page
from hooknet.prediction.places import (
    AREAS,
    MAP,
    OUTLINES,
    PROBABILITIES,
    TISSUE,
    UNCERTAINTY,
    check_apart,
    is_of,
)
from hooknet.prediction.preparing import (
    Ready,
    estimated,
    is_newer,
    ready,
    settings_of,
    speed_on,
    tell_warnings,
)
from hooknet.report.notices import without_folders

logger = logging.getLogger(__name__)

#: No fault of a slide: the next would fare alike.
OF_ALL: Final = (DiskError, CheckpointError)
ADVICE: Final = {
    OVERRIDE: "give --spacing in µm/px",
    "correct the slide's path in the datasets file": "correct the path",
    LOWER: "give --over everything, or leave the slide out",
}


@dataclass(frozen=True)
class Options:
    """``spacing``: µm/px to believe, None for the files'; ``memory``: bytes to hold at most; ``dry``: only tell."""

    spacing: float | None = None
    memory: int | None = None
    dry: bool = False


@dataclass
class Predicting:
    """A model at work on slides (name -> file), results in ``folder``; ``failed``: name -> why.

    ``tell`` is told what is about to be done, line by line.
    """

    model: Model
    slides: Mapping[str, Path]
    folder: Path
    options: Options
    tell: Callable[[str], None]
    failed: dict[str, str] = field(default_factory=dict)

    def run(self) -> None:
        """Do it; HookNetError at the end where slides failed, whose reasons stand in the log and on the page."""
        check_apart(self.folder, self.slides)
        networks = prepared(self.model.run, self.model.path)
        made = made_of(self.model.run, self.model.path)
        with tempfile.TemporaryDirectory(prefix="hooknet") as scratch:
            # Of a dry run nothing is left.
            found = self._look(networks, Path(scratch) if self.options.dry else self.folder)
            todo = [one for one in found if not self._is_whole(one, made)]
            self._tell(networks, found, todo)
            if not self.options.dry:
                write_page(self.folder, self._page(self._each(networks, found, made)))
        if self.failed:
            raise HookNetError(self._told_failed())

    def _told_failed(self) -> str:
        if len(self.slides) == 1:
            return next(iter(self.failed.values()))
        names = ", ".join(list(self.failed)[:5]) + (", …" if len(self.failed) > 5 else "")
        told = f"{len(self.failed)} of {len(self.slides)} slides cannot be predicted ({names}), why is told above"
        some = len(self.failed) < len(self.slides) and not self.options.dry
        return f"{told}{'; the others are done' if some else ''}; correct them and say the same again, or take them out"

    def _look(self, networks: Sequence[Network], folder: Path) -> list[Ready]:
        found = []
        for name, path in self.slides.items():
            tissue = folder / name / TISSUE
            with self._own_fault(name):
                slide = settings_of(name, path, self.options.spacing)
                found.append(ready(self.model, networks, slide, tissue, self.options.memory))
                tell_warnings(name, found[-1].warnings)
        for one in self.model.cohorts.values():
            if one.ranges is None:
                logger.warning(
                    "%s: does not tell what the slides of its training looked like (an earlier version wrote it): "
                    "whether these are like them cannot be said",
                    one.path,
                )
        return found

    def _tell(self, networks: Sequence[Network], found: list[Ready], todo: list[Ready]) -> None:
        """What there is, and what it will take."""
        speed = self._speed(networks, todo)
        for one in found:
            seconds, size = estimated(speed, [one])
            left = f"about {duration(seconds)}, {volume(size)}" if one in todo else "is there"
            self.tell(f"{one.slide.id}: {one.told}; {left}")
        seconds, size = estimated(speed, todo)
        of = f"{len(todo)} of {len(self.slides)} slides to predict"
        if speed is None:
            self.tell(of)
            return
        free = shutil.disk_usage(_existing(self.folder)).free
        self.tell(
            f"{of}: about {duration(seconds)} by {speed.engine}, {volume(size)} in {self.folder} ({volume(free)} free)"
        )
        if size > free:
            logger.warning(
                "%s: %s are free, about %s will be wanted", self.folder, volume(free), volume(size)
            )

    def _speed(self, networks: Sequence[Network], todo: list[Ready]) -> Speed | None:
        """By the first slide that can be read where tiles are tried; None where there is none."""
        for one in todo:
            if one.work.tiles:
                # Where it cannot be read is told when it is predicted.
                with contextlib.suppress(SlideError):
                    return speed_on(self.model, networks, one, self.options.memory)
        return None

    def _each(self, networks: Sequence[Network], found: list[Ready], made: Mapping[str, str]) -> list[Shown]:
        pages = []
        for number, one in enumerate(found, start=1):
            name = one.slide.id
            with self._own_fault(name):
                if self._is_whole(one, made):
                    logger.info("%s: its map is there", name)
                else:
                    logger.info("%s: slide %d of %d", name, number, len(found))
                    self._predict(networks, one, made)
                pages.append(self._measure(one))
        return pages

    def _predict(self, networks: Sequence[Network], one: Ready, made: Mapping[str, str]) -> None:
        run, folder = self.model.run, self.folder / one.slide.id
        over_tissue = run.settings.infer.over == "tissue"
        journal = journal_beside(folder / MAP)
        files = MapFiles(
            folder / MAP,
            folder / PROBABILITIES if run.settings.keeps_probabilities else None,
            one.tissue if over_tissue else None,
            (),
            made=made,
            journal=journal,
            uncertainty=self._unsure(one.slide.id),
        )
        with staged([str(one.slide.slide)]):
            predict(run, one.slide, networks, files, self.options.memory)
        journal.unlink(missing_ok=True)

    def _measure(self, one: Ready) -> Shown:
        """Outlines, areas and the slide's page, from its map; the slide as the common page shows it."""
        name, folder = one.slide.id, self.folder / one.slide.id
        outlines, areas = folder / OUTLINES, folder / AREAS
        with Mask.open(folder / MAP) as mask:
            if not is_newer(outlines, folder / MAP):
                export_geojson(mask, outlines, Drawing())
            found = self._areas_told(name)
            if found is None:
                with contextlib.ExitStack() as stack:
                    tissue = None if one.tissue is None else stack.enter_context(Mask.open(one.tissue))
                    write_quantities(areas, {name: quantify(mask, tissue)})
                found = read_quantities(areas)[name]
        drawn = shown(one.slide, folder / MAP, self._unsure(name), found, one.warnings)
        write_page(folder, self._page([drawn], whole=False))
        return drawn.small(f"{name}/index.html")

    def _areas_told(self, name: str) -> dict[str, Quantity] | None:
        """What a slide's table of areas tells; None where it is older than the map, or not as it was written."""
        folder, classes = self.folder / name, self.model.run.dataset.label_map.names
        if not is_newer(folder / AREAS, folder / MAP):
            return None
        try:
            return quantities_of(folder / AREAS, name, classes)
        except MaskError as error:  # a table program saves it in its own way
            logger.warning("%s; it is made again", error)
            return None

    def _unsure(self, name: str) -> Path | None:
        """Where a slide's uncertainty is written, if it is wanted."""
        return self.folder / name / UNCERTAINTY if self.model.run.settings.keeps_uncertainty else None

    def _page(self, slides: list[Shown], whole: bool = True) -> Page:
        failed = {name: without_folders(why) for name, why in self.failed.items()} if whole else {}
        return Page(self.model, tuple(slides), failed)

    def _is_whole(self, one: Ready, made: Mapping[str, str]) -> bool:
        """Whether the slide's map and what goes with it are there, of the same weights, settings and slide."""
        folder, wanted, settings = (
            self.folder / one.slide.id,
            {**made, "slide": one.slide.id},
            self.model.run.settings,
        )
        slide = Path(str(one.slide.slide))
        if not is_newer(folder / MAP, slide) or not is_of(folder, slide, tissue_of(self.model)):
            return False
        try:
            with contextlib.ExitStack() as stack:
                there: list[Mask | Probabilities] = [stack.enter_context(Mask.open(folder / MAP))]
                if settings.keeps_probabilities:
                    there.append(stack.enter_context(Probabilities.open(folder / PROBABILITIES)))
                if settings.keeps_uncertainty:
                    there.append(stack.enter_context(open_uncertainty(folder / UNCERTAINTY)))
                return all(each.grid == one.grid and wanted.items() <= each.made.items() for each in there)
        except HookNetError:
            return False

    @contextlib.contextmanager
    def _own_fault(self, name: str) -> Iterator[None]:
        """What goes wrong with one slide is told and kept, and the next one comes."""
        try:
            yield
        except OF_ALL:
            raise
        except HookNetError as error:
            self.failed[name] = _advised(str(error))
            if len(self.slides) > 1:  # of one alone it is told in the end
                logger.error("%s: %s", name, self.failed[name])


def _advised(message: str) -> str:
    """What the pipeline advises is in configuration files; here there are options."""
    line = " ".join(message.split())
    for theirs, ours in ADVICE.items():
        line = line.replace(theirs, ours)
    return line


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())


def duration(seconds: float) -> str:
    """``8 s``, ``12 min``, ``3.5 h``."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def volume(size: float) -> str:
    """``40 KB``, ``3.5 MB``, ``12 MB``, ``1.2 GB``."""
    for unit, least in (("GB", 1e9), ("MB", 1e6)):
        if size >= least:
            return f"{size / least:.1f} {unit}" if size < 10 * least else f"{size / least:.0f} {unit}"
    return f"{max(1, round(size / 1000))} KB"
