"""Who trains, validates and tests: what is known of a slide, and what follows for it in a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hooknet.config.types import Split


@dataclass(frozen=True)
class Side:
    """What a slide is for: a ``split``; or a ``fold``, and with it perhaps what it does while others test.

    ``skipped``: nothing, as it could not be used and ``on_error`` is "skip".
    """

    split: Split | None = None
    fold: int | None = None
    skipped: bool = False

    def __str__(self) -> str:
        """``'training'``, ``fold 0``, ``fold 0 ('training')`` or ``skipped``."""
        if self.skipped:
            return "skipped"
        if self.fold is None:
            return repr(self.split)
        return f"fold {self.fold}" + (f" ({self.split!r})" if self.split else "")


def validates(sides: Mapping[str, Side]) -> bool:
    """Whether it is said who validates while other folds test; else the next fold does."""
    return any(one.fold is not None and one.split == "validation" for one in sides.values())


def split_in_run(side: Side, testing: int | None, folds: tuple[int, ...] | None, said: bool) -> Split | None:
    """What a slide does in the run that tests fold ``testing``; None where that is not settled.

    A fold tests as a whole.  Where it is ``said`` who validates, the slides of other folds do as they say and train
    if they say nothing; else the fold after the one that tests validates.
    """
    if side.skipped:
        return None
    if folds is None:
        return side.split
    if side.fold is None or testing is None:
        return None
    if side.fold == testing:
        return "test"
    if said:
        return side.split or "training"
    return "validation" if side.fold == (testing + 1) % len(folds) else "training"


def completed(sides: Mapping[str, Side]) -> dict[str, Side]:
    """The sides with "training" written out where slides of a fold leave it unsaid although others validate."""
    said = validates(sides)
    return {
        slide: Side("training", one.fold) if said and one.split is None else one
        for slide, one in sides.items()
    }


def check_sides(sides: Mapping[str, Side], patients: Mapping[str, str]) -> None:
    """ValueError where the splits and folds given with the slides (id -> side, id -> patient) cannot be used."""
    _all_or_none(sides)
    if any(one.fold is not None for one in sides.values()):
        _check_folds(sides)
    _no_leak(completed(sides), patients)


def _all_or_none(sides: Mapping[str, Side]) -> None:
    folded = [slide for slide, one in sides.items() if one.fold is not None]
    split = [slide for slide, one in sides.items() if one.split is not None]
    for slide in folded:
        if sides[slide].split == "test":
            raise ValueError(
                f"slide {slide!r} is in split 'test' and in fold {sides[slide].fold}; a fold tests as a whole, so "
                "take one of the two out"
            )
    if folded and len(folded) < len(sides):
        missing = next(slide for slide, one in sides.items() if one.fold is None)
        raise ValueError(f"slide {missing!r} has no fold although others have; give it one")
    if not folded and split and len(split) < len(sides):
        missing = next(slide for slide, one in sides.items() if one.split is None)
        raise ValueError(f"slide {missing!r} has no split or fold although others have; give it one")


def _check_folds(sides: Mapping[str, Side]) -> None:
    folds = tuple(sorted({one.fold for one in sides.values() if one.fold is not None}))
    said = validates(sides)
    if not said and any(one.split is not None for one in sides.values()):
        slide = next(slide for slide, one in sides.items() if one.split is not None)
        raise ValueError(
            f"slide {slide!r} of fold {sides[slide].fold} is in split 'training', but no slide of any fold is in "
            "'validation'; say which validate, or leave the split out"
        )
    if len(folds) < (2 if said else 3) or folds != tuple(range(len(folds))):
        wanted = "2" if said else "3 (one tests, the next validates), or with slides in split 'validation' 2"
        raise ValueError(f"folds are {list(folds)}, wanted 0..k-1 with k at least {wanted}")
    for testing in folds if said else ():
        others = {split_in_run(one, testing, folds, said) for one in sides.values()}
        for wanted in ("training", "validation"):
            if wanted not in others:
                raise ValueError(
                    f"while fold {testing} tests, no slide of another fold is in split {wanted!r}; give it one"
                )


def _no_leak(sides: Mapping[str, Side], patients: Mapping[str, str]) -> None:
    """No patient on two sides: the score would be of slides the network has seen the like of."""
    first: dict[str, str] = {}
    for slide, side in sides.items():
        other = first.setdefault(patients[slide], slide)
        if sides[other] != side:
            raise ValueError(
                f"patient {patients[slide]!r} leaks: slide {other!r} is in {sides[other]}, slide {slide!r} in {side}; "
                "keep all slides of a patient together"
            )
