"""Indices, tables, records and checkpoints that are damaged, of another version, or meant to run something."""

import json
import os
import pickle
import re
import zipfile
from functools import partial
from pathlib import Path

import hostile_cases
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hostile_cases import Case, refused
from made_cohort import CENTRES, SLIDES, step

from hooknet.errors import CheckpointError, MaskError
from hooknet.io.tables import read_centres
from hooknet.models.checkpoint import FORMAT, load_checkpoint

INDEX, SHEET = SLIDES / "c" / CENTRES, SLIDES / "splits.tsv"
COMPARE = step("compare")
NO_SHEET = f"{SHEET}: not a sheet of splits ({{}}); make it again with make-splits"


class Bomb:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch pwned",)


def saved(**changes):
    content = {
        "format": FORMAT, "format_version": 1, "hooknet": "0", "spec": "{}", "extra": "{}",
        "state": {"a": torch.zeros(2)}, **changes,
    }  # fmt: skip
    torch.save({key: value for key, value in content.items() if value is not None}, "x.ckpt")


def packed():
    """A megabyte of zeros in a kilobyte."""
    with zipfile.ZipFile("x.ckpt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", bytes(1 << 20))


# What is wrong, how it is made, what is said after the file's name.
CHECKPOINTS = [
    (
        "no bytes",
        lambda: Path("x.ckpt").write_bytes(b""),
        r"damaged or no checkpoint \(.+\); train or copy it again",
    ),
    (
        "a bare pickle bomb",
        lambda: Path("x.ckpt").write_bytes(pickle.dumps(Bomb())),
        r"damaged or no checkpoint \(.+",
    ),
    ("a bomb as torch saves it", lambda: torch.save(Bomb(), "x.ckpt"), r"damaged or no checkpoint \(.+"),
    ("a bomb among the weights", lambda: saved(state=Bomb()), r"damaged or no checkpoint \(.+"),
    (
        "a zip bomb",
        packed,
        r"damaged or no checkpoint \(\d+ bytes would unpack to 1048576\); train or copy it again",
    ),
    (
        "cut short",
        lambda: (saved(), hostile_cases.cut(Path("x.ckpt"), 0.5)),
        r"damaged or no checkpoint \(.+",
    ),
    (
        "another program's",
        lambda: torch.save({"a": torch.zeros(1)}, "x.ckpt"),
        r"weights of another program; .+",
    ),
    (
        "another version",
        partial(saved, format_version=9),
        r"format 9 of hooknet 0, wanted format 1 as of hooknet .+",
    ),
    ("no settings", partial(saved, spec=None), r"damaged \('spec'\); train or copy it again"),
    (
        "settings that are a list",
        partial(saved, spec="[]"),
        r"damaged \(settings or weights are no mapping\); .+",
    ),
    ("settings that are no JSON", partial(saved, spec="{"), r"damaged \(.+\); train or copy it again"),
    (
        "a list for settings",
        partial(saved, spec='{"settings": []}'),
        r"damaged \(settings are no mapping\); .+",
    ),
    (
        "classes that are nothing",
        partial(saved, spec='{"classes": null}'),
        r"damaged \(classes have no names\); .+",
    ),
    (
        "classes that are names",
        partial(saved, spec='{"classes": ["a"]}'),
        r"damaged \(classes have no names\); .+",
    ),
    (
        "a number for slides",
        partial(saved, spec='{"slides": 5}'),
        r"damaged \(slides are no list of names\); .+",
    ),
    (
        "true for channels",
        partial(saved, spec='{"channels": true}'),
        r"damaged \(channels are no whole number\); .+",
    ),
    (
        "a number for a weight's name",
        partial(saved, state={1: torch.zeros(1)}),
        r"damaged \(weights are no tensors\); .+",
    ),
    (
        "a tensor for its version",
        partial(saved, format_version=torch.zeros(3)),
        r"format tensor\(\[0\., 0\., 0\.\]\) of hooknet 0, wanted .+",
    ),
    (
        "a tensor for its writer",
        partial(saved, hooknet=torch.zeros(3)),
        r"damaged \(its version is no text\); .+",
    ),
    (
        "weights without numbers",
        partial(saved, state={"a": torch.zeros(2, device="meta")}),
        r"damaged \(tensor 'a' is no plain one\); .+",
    ),
    (
        "complex weights",
        partial(saved, state={"a": torch.zeros(2, dtype=torch.complex64)}),
        r"damaged \(tensor 'a' is no plain one\); .+",
    ),
    (
        "sparse weights",
        partial(saved, state={"a": torch.eye(2).to_sparse()}),
        r"damaged \(tensor 'a' is no plain one\); .+",
    ),
    (
        "a bomb of one number",
        partial(saved, state={"a": torch.zeros(1).expand(2**40)}),
        r"damaged \(weights of 4398046511104 bytes in a file of \d+\); .+",
    ),
    ("weights that are numbers", partial(saved, state={"a": 1}), r"damaged \(weights are no tensors\); .+"),
]


@pytest.mark.parametrize(
    ("make", "said"), [one[1:] for one in CHECKPOINTS], ids=[one[0] for one in CHECKPOINTS]
)
def test_checkpoint_is_refused_and_nothing_runs(tmp_path, monkeypatch, make, said):
    monkeypatch.chdir(tmp_path)
    make()
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint("x.ckpt")
    assert re.fullmatch(rf"x\.ckpt: {said}", str(caught.value))
    assert not Path("pwned").exists()


def index(meta, **columns):
    table = pa.table(columns or {"x": [1.0]})
    told = {} if meta is None else {b"hooknet": json.dumps(meta).encode()}
    pq.write_table(table.replace_schema_metadata(told), "x.parquet")


WHOLE = {"names": ["stroma"], "size": 26, "spacing": 1.0}
INDICES = [
    ("no bytes", lambda: Path("x.parquet").write_bytes(b"")),
    ("text", lambda: Path("x.parquet").write_text("x,y\n")),
    ("nobody's", partial(index, None)),
    ("no classes", partial(index, {"size": 26, "spacing": 1.0})),
    ("a size that is text", partial(index, {**WHOLE, "size": "big"})),
    ("a list", partial(index, [1])),
    ("no counts", partial(index, WHOLE, x=[1.0], y=[1.0], label=[1], region=[1])),
]


@pytest.mark.parametrize("make", [one[1] for one in INDICES], ids=[one[0] for one in INDICES])
def test_index_is_refused(tmp_path, monkeypatch, make):
    monkeypatch.chdir(tmp_path)
    make()
    with pytest.raises(
        MaskError,
        match=r"^x\.parquet: not an index of patch centres \(.+\); make it again with index-centres$",
    ):
        read_centres("x.parquet")


def sheet(content):
    SHEET.write_text(content)


CASES = [
    Case("no splits", partial(sheet, ""), COMPARE, NO_SHEET.format("not enough values to unpack (expected at least 1, got 0)")),
    Case("other columns", partial(sheet, "a\tb\n"), COMPARE, NO_SHEET.format("its columns are a, b, wanted id, fold, split")),
    Case("a slide twice", partial(sheet, "id\tfold\tsplit\nc\t\ttest\nc\t\ttest\n"), COMPARE, NO_SHEET.format("it names a slide twice")),
    Case("an unknown split", partial(sheet, "id\tfold\tsplit\nc\t\tprobe\n"), COMPARE,
         NO_SHEET.format("slide c: found fold '' and split 'probe'")),
    Case("a line cut short", partial(sheet, "id\tfold\tsplit\nc\t"), COMPARE, NO_SHEET.format("found 2 cells in a line, wanted 3")),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_sheet_of_splits_is_refused(cohort, case):
    refused(case)
