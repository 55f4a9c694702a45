import pytest

from hooknet.config.sides import Side
from hooknet.errors import ConfigError, HookNetError
from hooknet.io.records import read_json, read_splits, write_json, write_splits


def test_a_record_comes_back_and_can_be_read_by_people(tmp_path):
    record = {"spacing": 0.1 + 0.2, "name": "µ", "levels": [1, 2], "none": None}
    write_json(tmp_path / "a.json", record)
    assert read_json(tmp_path / "a.json") == record
    assert "µ" in (tmp_path / "a.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["{", "[1]", "3", ""])
def test_what_is_no_record_is_one_line(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(HookNetError, match="make it again") as caught:
        read_json(tmp_path / "a.json")
    assert "\n" not in str(caught.value)


def test_a_missing_record_is_one_line(tmp_path):
    with pytest.raises(HookNetError, match=r"none\.json: not a readable JSON record"):
        read_json(tmp_path / "none.json")


def test_splits_come_back_in_order(tmp_path):
    assigned = {"b": Side("training"), "a": Side("test"), "c": Side(fold=0), "d": Side("validation", 12),
                "e": Side(skipped=True)}  # fmt: skip
    write_splits(tmp_path / "splits.tsv", assigned)
    assert list(read_splits(tmp_path / "splits.tsv").items()) == list(assigned.items())
    assert (tmp_path / "splits.tsv").read_text() == (
        "id\tfold\tsplit\nb\t\ttraining\na\t\ttest\nc\t0\t\nd\t12\tvalidation\ne\t\tskipped\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "slide\tsplit\na\ttest\n",
        "id\tfold\tsplit\na\t\ttest\na\t\ttraining\n",
        "slide,split\na,test\n",
        "id\tfold\tsplit\na\t0\n",
        "id\tfold\tsplit\na\t\t\n",
        "id\tfold\tsplit\na\tzero\t\n",
        "id\tfold\tsplit\na\t0\ttset\n",
    ],
)
def test_a_broken_sheet_of_splits_is_one_line(tmp_path, text):
    (tmp_path / "splits.tsv").write_text(text)
    with pytest.raises(ConfigError, match="not a sheet of splits"):
        read_splits(tmp_path / "splits.tsv")


def test_a_record_that_is_not_json_is_not_written(tmp_path):
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"set": {2}})
    assert not (tmp_path / "a.json").exists()
