"""The model card: what weights are, what they were trained on, how they were validated, what they are not for.

After Mitchell et al. 2019, "Model cards for model reporting".  All of it stands in the checkpoint, and nothing else
is told: of weights of an earlier version, or of another program, that is less.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hooknet.groundtruth.stain import MEASURES
from hooknet.prediction.model import Model
from hooknet.report.tables import Cell, Table, count, number, pair_table, spacings_text

NO_RANGES = (
    "The weights do not tell what their slides looked like: no warning can be given of slides unlike them."
)
SOME_RANGES = (
    "Some weights do not tell what their slides looked like: no warning can be given of slides unlike those."
)
LIMITS = (
    "For research only. This is no medical device: nothing it gives may guide the care of a patient.",
    "It is for slides like those it was trained on: of that organ, stained and scanned like them. On others nothing "
    "is known of it.",
    "It gives each pixel one of its classes, also where a pixel shows none of them.",
)


@dataclass(frozen=True)
class Section:
    """A part of the card: paragraphs, or a list of them (``listed``), then a table where there is one."""

    title: str
    paragraphs: tuple[str, ...]
    table: Table | None = None
    listed: bool = False

    @property
    def markdown(self) -> str:
        """As Markdown."""
        told = ["\n".join(f"- {one}" for one in self.paragraphs)] if self.listed else list(self.paragraphs)
        table = [] if self.table is None else [_markdown_table(self.table)]
        return "\n\n".join([f"## {self.title}", *told, *table])


def title_of(model: Model) -> str:
    """The name of the run, as the weights say it."""
    return f"Model card: {model.name}"


def card(model: Model) -> tuple[Section, ...]:
    """The sections of the card, in the order of Mitchell et al."""
    return (
        _what(model),
        _trained(model.spec),
        _validated(model),
        _cohort(model),
        _limits(model),
        _provenance(model),
    )


def cards(model: Model) -> tuple[Section, ...]:
    """Of a mean what weights it is of, and the card of the first of each cohort; of one network its card."""
    if not model.others:
        return card(model)
    cohorts, found = model.cohorts, [_weights(model)]
    for place, one in cohorts.items():
        of = f" (weights {place})" if len(cohorts) > 1 else ""
        found += [replace(section, title=f"{section.title}{of}") for section in card(one)]
    return tuple(found)


def _weights(model: Model) -> Section:
    if len(model.cohorts) > 1:
        rest = (
            "They were trained on different slides: below are the cards of the first weights of each cohort."
        )
    else:
        rest = "They were trained on the same slides: below is the card of the first."
    told = f"The mean of the probabilities of {len(model.members)} networks of one kind. {rest}"
    rows = tuple(
        (
            Cell(str(place), number=True),
            Cell(one.name),
            Cell(_text(one.spec.get("seed", ""))),
            Cell(_text(one.spec.get("fold") if one.spec.get("fold") is not None else "–")),
            number(_number(one.extra.get("validation_macro_f1"))),
            Cell(one.sha256),
        )
        for place, one in enumerate(model.members, start=1)
    )
    heads = ("Weights", "Run", "Seed", "Fold", "Validation macro F1", "SHA-256")
    return Section("The weights", (told,), Table(heads, rows))


def markdown(model: Model) -> str:
    """The card as Markdown."""
    return "\n\n".join([f"# {title_of(model)}", *(one.markdown for one in card(model))]) + "\n"


def _what(model: Model) -> Section:
    settings, spec = model.run.settings, model.spec
    names = model.run.dataset.label_map.names
    shape = model.run.network.shape
    told = (
        f"{settings.told}, {shape.parameter_count:,} parameters, that gives each pixel of a whole-slide image one of "
        f"{len(names)} classes, as a map at {settings.spacings[0]:g} µm/px.",
        f"It sees patches of {settings.patch_size} px at {spacings_text(settings.spacings)} µm/px with one centre, "
        f"read from any slide whose pixels are at most 5 % coarser than {min(settings.spacings):g} µm. {_scaled(spec)}",
    )
    scores = model.extra.get("validation_f1")
    scores = scores if isinstance(scores, Mapping) else {}
    drawn = (spec.get("trained_on") or {}).get("patches", {})
    rows = tuple(
        (
            Cell(one.name),
            Cell(str(one.value), number=True),
            Cell(one.colour),
            count(float(drawn.get(one.name, float("nan")))),
            number(_number(scores.get(one.name))),
        )
        for one in model.classes
    )
    heads = ("Class", "Value", "Colour", "Patch centres", "Validation F1")
    return Section("What it is", told, Table(heads, rows))


def _scaled(spec: Mapping[str, Any]) -> str:
    how = spec.get("normalisation") or {}
    divided, outside = how.get("divided_by"), how.get("outside")
    if divided is None or not isinstance(outside, list):
        return "Pixel values are divided by 255; outside the slide is white."
    fill = "white" if outside == [255, 255, 255] else f"of value {', '.join(map(_text, outside))}"
    return f"Pixel values are divided by {_text(divided)}; outside the slide is {fill}."


def _trained(spec: Mapping[str, Any]) -> Section:
    told = [
        f"Dataset {_text(spec.get('dataset', 'not told'))}, experiment {_text(spec.get('experiment', 'not told'))}."
    ]
    on = spec.get("trained_on")
    if on:
        told.append(
            f"{_many(on.get('slides'), 'slide')} of {_many(on.get('patients'), 'patient')}; patches were drawn about "
            "so many centres of each class as the table above says."
        )
    else:
        told.append("The weights do not tell on how many slides and patients.")
    start = spec.get("started_from")
    if start:
        told.append(
            f"Training started from {_text(start.get('file'))} (SHA-256 {_text(start.get('sha256'))})."
        )
    return Section("Trained on", tuple(told))


def _validated(model: Model) -> Section:
    extra, on = model.extra, model.spec.get("validated_on")
    macro = _number(extra.get("validation_macro_f1"))
    if macro != macro:
        return Section("Validated", ("The weights do not tell of a validation.",))
    told = f"Macro F1 {macro:.3f} on patches of the validation slides, after epoch {_number(extra.get('epoch')):.0f}."
    if on:
        told += f" These were {_many(on.get('slides'), 'slide')} of {_many(on.get('patients'), 'patient')}."
    choice = (
        "The epoch of best.ckpt was chosen by this very score, which is therefore too kind; what test slides say is "
        "in the report of the dataset."
    )
    return Section("Validated", (told, choice))


def _cohort(model: Model) -> Section:
    ranges = model.ranges
    if ranges is None:
        return Section("Its slides", (NO_RANGES,))
    measured = _many((model.spec.get("cohort") or {}).get("slides"), "training slide")
    told = (
        f"Of {measured}, taken of the tissue at low power: mean amounts of haematoxylin and eosin and mean optical "
        "density with its standard deviation; the spacing is the slides' own. Of a new slide that is further out than "
        "the last column allows, hooknet predict warns.",
    )
    rows = tuple(
        (
            Cell(f"{called}{unit}"),
            Cell(f"{ranges[name][0]:.4g}", number=True),
            Cell(f"{ranges[name][1]:.4g}", number=True),
            Cell(f"{margin:.0%}", number=True),
        )
        for name, (called, unit, margin) in MEASURES.items()
        if name in ranges
    )
    return Section("Its slides", told, Table(("", "Least", "Largest", "Allowed beyond"), rows))


def _limits(model: Model) -> Section:
    small = (
        "Areas and shares of classes are measurements by a network, as good as its F1 of the class: validate them on "
        "slides of your own."
    )
    return Section("Intended use and limits", (*LIMITS, small), listed=True)


def _provenance(model: Model) -> Section:
    spec, found = model.spec, {}
    for name in ("run", "seed", "fold"):
        if spec.get(name) is not None:
            found[name] = _text(spec[name])
    # JSON is YAML too: it can be copied into an experiment, whose `checkpoint` these weights are.  What has a loss of
    # its own has tensors of its own.
    settings = model.run.settings
    losses = settings.model_dump(mode="json", include={"loss_weights", "deep_weights"})
    found["settings of an experiment that uses them"] = json.dumps({**settings.read_as(), **losses})
    if isinstance(spec.get("fingerprint"), str):
        found["settings of the training (fingerprint)"] = _text(spec["fingerprint"])
    extra = model.extra
    for name, key in (("imported from", "source"), ("SHA-256 of what was imported", "sha256")):
        if isinstance(extra.get(key), str):
            found[name] = _text(extra[key])
    versions = spec.get("versions") or {"hooknet": spec.get("version", "not told")}
    found |= {f"version of {_text(name)}": _text(value) for name, value in versions.items()}
    found["SHA-256 of the checkpoint"] = model.sha256
    return Section("Provenance", (), pair_table(found, ("", "")))


def _markdown_table(table: Table) -> str:
    """Numbers set right."""
    numbers = [cell.number for cell in table.rows[0]] if table.rows else [False] * len(table.columns)
    lines = [
        list(table.columns),
        ["--:" if one else ":--" for one in numbers],
        *([cell.text.replace("|", "\\|") for cell in row] for row in table.rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(value: object) -> str:
    """On one line: a file may say anything."""
    return " ".join(str(value).split())[:200]


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else float("nan")


def _many(found: object, what: str) -> str:
    """``1 slide``, ``3 slides``."""
    return f"{_text(found)} {what}{'' if found == 1 else 's'}"
