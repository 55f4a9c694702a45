import re
from pathlib import Path
from typing import get_args, get_origin

import made_config
import pytest
import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from hooknet.config.branched import BranchedSettings
from hooknet.config.classifier import ClassifierSettings
from hooknet.config.datasets import DatasetSettings
from hooknet.config.experiments import ExperimentsFile
from hooknet.config.hdc import HDCHRNetSettings
from hooknet.config.project import load_project
from hooknet.config.refiner import RefinerSettings, TissueMapSettings
from hooknet.config.search import SearchSettings

README = Path(__file__).resolve().parents[2] / "config" / "README.md"
ROW = re.compile(r"^\| `(\w+)` \| ([^|]+) \|([^|]*)\| (`[^`]*`) \| ([^|]+) \|$", re.MULTILINE)
# What a section is called where its key alone would not tell.
NAMES = {"datasets.NAME.classes": "datasets.NAME.classes.CLASS"}


def inner_model(annotation):
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := inner_model(one)) is not None), None)


def sections(path, model):
    """Every model that can be reached, by the heading it has in the README."""
    yield path, model
    for key, field in model.model_fields.items():
        inner = inner_model(field.annotation)
        if inner is not None:
            yield from sections(NAMES.get(f"{path}.{key}", f"{path}.{key}"), inner)


def models():
    found = {
        **dict(sections("datasets.NAME", DatasetSettings)),
        **dict(sections("experiments.yaml", ExperimentsFile)),
        **dict(sections("experiments.NAME", BranchedSettings)),
        **dict(sections("experiments.HDC", HDCHRNetSettings)),
        **dict(sections("experiments.CLASSIFIER", ClassifierSettings)),
        **dict(sections("experiments.REFINER", RefinerSettings)),
        **dict(sections("experiments.TISSUE", TissueMapSettings)),
        **dict(sections("search.NAME", SearchSettings)),
    }
    # A search's trials are experiments.
    for section in [name for name in found if name.startswith("search.NAME.")]:
        assert found.pop(section) is found[section.replace("search.", "experiments.", 1)]
    # Patches are augmented alike, whatever is learnt of them.
    assert found.pop("experiments.CLASSIFIER.augment") is found["experiments.NAME.augment"]
    for section in ("augment", "infer"):
        assert found.pop(f"experiments.HDC.{section}") is found[f"experiments.NAME.{section}"]
    return found


def documented():
    """Heading -> key -> (type, default, meaning) as the README has them."""
    parts = re.split(r"^### `([^`]+)`$", README.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = {}
    for heading, text in zip(parts[1::2], parts[2::2], strict=True):
        rows = ROW.findall(text)
        assert len(rows) == len(re.findall(r"^\| `", text, re.MULTILINE)), f"a row of {heading} is malformed"
        assert len({key for key, *_ in rows}) == len(rows), f"a key of {heading} stands twice"
        found[heading] = {key: (kind, default.strip("`"), meaning) for key, kind, _, default, meaning in rows}
    return found


def default_of(field):
    if field.is_required():
        return "required"
    value = field.default if field.default is not PydanticUndefined else field.default_factory()
    if isinstance(value, BaseModel):
        assert value == type(value)(), "a section's default is its keys' defaults"
        return {}
    return list(value) if isinstance(value, tuple) else value


def test_walk_reaches_nested_sections_of_both_files():
    assert {
        "datasets.NAME.classes.CLASS",
        "datasets.NAME.slides",
        "experiments.NAME.network.hooks",
    } <= set(models())
    assert len(models()) == 39


@pytest.mark.parametrize("heading", sorted(models()))
def test_readme_explains_each_key_of_a_section_and_no_other(heading):
    assert list(documented()[heading]) == list(models()[heading].model_fields)


def test_readme_has_no_section_that_does_not_exist():
    assert set(documented()) == set(models())


@pytest.mark.parametrize("heading", sorted(models()))
def test_readme_states_the_true_defaults(heading):
    for key, field in models()[heading].model_fields.items():
        stated = documented()[heading][key][1]
        assert yaml.safe_load(stated) == default_of(field), f"{heading}.{key}"


@pytest.mark.parametrize("heading", sorted(models()))
def test_readme_states_every_possible_word(heading):
    for key, field in models()[heading].model_fields.items():
        for word in words_of(field.annotation):
            assert f"`{word}`" in documented()[heading][key][0], f"{heading}.{key}: {word}"


def words_of(annotation):
    """The words of a Literal, possibly optional; not those of a mapping's keys."""
    if get_origin(annotation) is dict:
        return []
    arguments = get_args(annotation)
    if arguments and all(isinstance(one, str) for one in arguments):
        return list(arguments)
    return [word for one in arguments for word in words_of(one)]


def test_complete_pair_of_files_in_the_readme_is_right(tmp_path, monkeypatch):
    blocks = re.findall(
        r"```yaml\n# (config/\w+\.yaml)\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL
    )
    assert [name for name, _ in blocks] == ["config/datasets.yaml", "config/experiments.yaml"]
    (tmp_path / "config").mkdir()
    for name, text in blocks:
        (tmp_path / name).write_text(text, encoding="utf-8")
    rows = "".join(f"s{number}\n" for number in range(10))
    (tmp_path / "config" / "slides.tsv").write_text(f"id\n{rows}")
    monkeypatch.chdir(tmp_path)
    project = load_project("config/datasets.yaml", "config/experiments.yaml")
    assert list(project.runs) == ["hooknet"]
    assert project.datasets["colon"].slides[0].slide == "data/slides/s0.svs"


def test_sheet_in_the_readme_is_right(tmp_path):
    text = README.read_text(encoding="utf-8")
    sheet = re.search(r"```\n(id\t.*?)```", text, re.DOTALL)[1]
    path = tmp_path / "slides.tsv"
    path.write_text(sheet)
    found = load_project(*made_config.write(tmp_path, {"colon": made_config.dataset(slides=str(path))}))
    slides = found.datasets["colon"].slides
    assert [(one.id, one.patient, one.annotation, one.spacing) for one in slides] == [
        ("s1", "p1", "s1.xml", None),
        ("s2", "p1", "s2.xml", 0.2425),
        ("s3", "p2", "s3.xml", None),
        ("s4", "p3", None, None),
    ]


def test_sheet_of_folds_in_the_readme_is_right(tmp_path):
    sheet = re.search(r"```\n(id\tpatient\tfold.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)[1]
    path = tmp_path / "slides.tsv"
    path.write_text(sheet)
    found = load_project(*made_config.write(tmp_path, {"colon": made_config.dataset(slides=str(path))}))
    counts = [
        [len(run.slides(split)) for split in ("training", "validation", "test")]
        for run in found.runs.values()
    ]
    assert counts == [[2, 1, 3], [2, 1, 3]]
