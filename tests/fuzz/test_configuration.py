"""Both YAML files and the sheet of slides: whatever they hold is a project, or a ConfigError of one line."""

import re

import yaml
from fuzzing import fuzz
from hypothesis import strategies as st
from made_workflow import ROOT
from mutations import EDITS, edited_bytes, edited_tree

from hooknet.config.project import load_project, missing_files
from hooknet.errors import ConfigError

EXAMPLES = ROOT / "config" / "examples"
#: Where both files are, and whether there is a sheet beside them.
FOLDERS = (
    ROOT / "config",
    *(EXAMPLES / name for name in ("apply", "phantom_h2g", "glas_h2g", "breast", "lung")),
)
NAMES = ("datasets.yaml", "experiments.yaml")
HDC = EXAMPLES / "phantom_hdc" / "experiments.yaml"  # of the datasets of the first
MORE = {
    "files": {"slide": "{id}.tif", "annotation": "{id}.xml", "infer_mask": "m.tif"},
    "channels": 3, "tissue": {"min_area_um2": 100, "close_um": 0}, "centres": {"per_class": 50},
    "splits": {"folds": 3, "validation": 0.3333}, "region_groups": ["roi"], "hole_order": 1,
    "slides": [
        {"id": "a", "patient": "p", "split": "training", "spacing": [0.25, 0.26], "truth": "-"},
        {"id": "b", "volume": "v", "position": 1, "thickness": 2.5, "fold": 0, "grade": "1"},
    ],
}  # fmt: skip


SHEET = re.compile(r"slides: (\S+\.tsv)")
PAIRS = [[(folder / name).read_text(encoding="utf-8") for name in NAMES] for folder in FOLDERS]
PAIRS.append([PAIRS[0][0], HDC.read_text(encoding="utf-8")])
SHEETS = [(ROOT / SHEET.search(one)[1]).read_bytes() if SHEET.search(one) else b"" for one, _ in PAIRS]
PAIRS = [[SHEET.sub("slides: slides.tsv", one), other] for one, other in PAIRS]
TREES = [[yaml.safe_load(one) for one in texts] for texts in PAIRS]
WHICH = st.integers(0, len(PAIRS) - 1)
OTHER = [{"datasets": {"x": MORE}}, TREES[2][1]]


def documents(file):
    """(which example, the bytes of that one of its two files)."""

    def of_bytes(which, edits):
        return which, edited_bytes(PAIRS[which][file].encode(), edits, PAIRS[which - 1][file].encode())

    def of_tree(which, edits, flow):
        tree = edited_tree(TREES[which][file], edits, OTHER[file])
        return which, yaml.safe_dump(tree, default_flow_style=flow, sort_keys=False).encode(
            "utf-8", "surrogatepass"
        )

    flow = st.sampled_from([True, False, None])
    return st.one_of(st.builds(of_tree, WHICH, EDITS, flow), st.builds(of_bytes, WHICH, EDITS))


def loaded():
    project = load_project(*NAMES)
    missing_files(project)
    for name in project.datasets:
        if any(one.dataset == name for one in project.experiments.values()):
            project.mask_spacing(name)


def files_of(which):
    """Both files and the sheet in the working directory, as they should be."""
    for name, text in zip(NAMES, PAIRS[which], strict=True):
        with open(name, "w", encoding="utf-8") as file:
            file.write(text)
    with open("slides.tsv", "wb") as file:
        file.write(SHEETS[which])


def load_with(name, example):
    which, content = example
    files_of(which)
    with open(name, "wb") as file:
        file.write(content)
    loaded()


def test_examples_are_right_before_they_are_made_wrong(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for which in range(len(PAIRS)):
        files_of(which)
        loaded()


def test_datasets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fuzz("datasets", documents(0), 250, lambda one: load_with("datasets.yaml", one), ConfigError)


def test_experiments(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fuzz("experiments", documents(1), 250, lambda one: load_with("experiments.yaml", one), ConfigError)


def test_sheet_of_slides(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sheets = [which for which, sheet in enumerate(SHEETS) if sheet]

    def changed(which, edits):
        return which, edited_bytes(SHEETS[which], edits, SHEETS[sheets[0]])

    examples = st.builds(changed, st.sampled_from(sheets), EDITS)
    fuzz("sheet of slides", examples, 100, lambda one: load_with("slides.tsv", one), ConfigError)
