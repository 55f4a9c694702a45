"""Systems of several stages, and ensembles: which run stands on which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeGuard

from hooknet.config.dense import is_checkpoint
from hooknet.config.document import nearest
from hooknet.config.parts import Part, in_part
from hooknet.config.run import ClassifierRun, DenseRun, RefinerRun, Run
from hooknet.errors import ConfigError


def with_members(runs: Mapping[str, Run], file: str) -> dict[str, Run]:
    """The runs, those of ensembles with the weights of their members; ConfigError where they are not of one network."""
    return {
        name: replace(run, members=_members(run, runs, file))
        if isinstance(run, DenseRun) and run.settings.infer.ensemble
        else run
        for name, run in runs.items()
    }


def _members(run: DenseRun, runs: Mapping[str, Run], file: str) -> tuple[Path, ...]:
    """The weights of all seeds of the experiments that an ensemble names, of its own fold, and those named by path."""
    where, found = f"{file}: experiments.{run.experiment}.infer.ensemble", []
    for member in run.settings.infer.ensemble:
        if is_checkpoint(member):
            found.append(Path(member))
            continue
        named = [one for one in runs.values() if one.experiment == member]
        dense = [one for one in named if _has_weights(one)]
        if not dense:
            possible = sorted({one.experiment for one in runs.values() if _has_weights(one)})
            why = "which has no weights of its own" if named else "and no path of a checkpoint (.ckpt)"
            raise ConfigError(f"{where}: no experiment {member!r}, {why}; {nearest(member, possible)}")
        _check_member(f"{where}: {member!r}", dense[0], run)
        alike = [one.weights for one in dense if one.fold == run.fold]
        if not alike:
            raise ConfigError(f"{where}: {member!r} has no run of fold {run.fold}; give both the same folds")
        found += [one for one in alike if one is not None]
    return tuple(dict.fromkeys(found))


def _has_weights(run: Run) -> TypeGuard[DenseRun]:
    """Whether it is a network of pixels of which there are weights of its own."""
    return isinstance(run, DenseRun) and not run.settings.infer.ensemble


def _check_member(where: str, member: DenseRun, run: DenseRun) -> None:
    if member.dataset_name != run.dataset_name:
        raise ConfigError(
            f"{where} is of dataset {member.dataset_name!r}, wanted {run.dataset_name!r}; name its checkpoint by path"
        )
    theirs, ours = member.settings.read_as(), run.settings.read_as()
    for key, value in ours.items():
        if theirs.get(key) != value:
            raise ConfigError(
                f"{where} has another {key}, and the members of an ensemble are one network trained several times; "
                "give both the same"
            )


def with_parents(runs: Mapping[str, Run], file: str) -> dict[str, Run]:
    """The runs, each refiner's with its parent: the classifier's run of the same seed and fold.

    ConfigError where there is none.
    """
    return {
        name: replace(run, parent=_parent(run, runs, file))
        if isinstance(run, RefinerRun) and run.settings.parent is not None
        else run
        for name, run in runs.items()
    }


def _parent(run: RefinerRun, runs: Mapping[str, Run], file: str) -> ClassifierRun:
    where, wanted = f"{file}: experiments.{run.experiment}.parent", run.settings.parent
    classifiers = [one for one in runs.values() if isinstance(one, ClassifierRun)]
    named = [one for one in classifiers if one.experiment == wanted]
    if not named:
        possible = sorted({one.experiment for one in classifiers})
        raise ConfigError(f"{where}: no classifier {wanted!r}; {nearest(str(wanted), possible)}")
    if named[0].dataset_name != run.dataset_name:
        raise ConfigError(
            f"{where}: {wanted!r} is of dataset {named[0].dataset_name!r}, wanted {run.dataset_name!r}; "
            "give both one dataset"
        )
    for one in named:
        if (one.seed, one.fold) == (run.seed, run.fold):
            _check_weights(where, one, run)
            _check_parts(where.removesuffix(".parent"), replace(run, parent=one))
            _check_masks(where, one)
            return one
    fold = "" if run.fold is None else f" and fold {run.fold}"
    raise ConfigError(
        f"{where}: {wanted!r} has no run of seed {run.seed}{fold}; give both the same seeds and folds"
    )


def _check_parts(where: str, run: RefinerRun) -> None:
    """ConfigError for fewer patients than parts, as far as the sheet tells who trains."""
    try:
        if run.dataset.splits is None:
            run.heat_maps("training")
        elif run.parts:
            in_part(run.dataset.slides, Part(0, run.settings.parts))  # no fewer than all train
    except ConfigError as error:
        raise ConfigError(f"{where}.parts: {error}") from None


def _check_masks(where: str, parent: ClassifierRun) -> None:
    """ConfigError where slides that a refiner learns from name no mask to make their heat maps in."""
    if parent.settings.predicts_over != "mask":
        return
    for one in parent.dataset.slides:
        if one.infer_mask is None:
            raise ConfigError(
                f"{where}: {parent.experiment!r} infers over 'mask', but slide {one.id!r} names no infer_mask, and "
                "heat maps are made of all slides; add it"
            )


def _check_weights(where: str, parent: ClassifierRun, run: RefinerRun) -> None:
    if parent.settings.checkpoint is not None and run.settings.heat_maps == "cross_fitted":
        raise ConfigError(
            f"{where}: {parent.experiment!r} uses its checkpoint as it is, so no heat maps can be cross-fitted; "
            "set heat_maps to in_sample, or leave the checkpoint out"
        )
