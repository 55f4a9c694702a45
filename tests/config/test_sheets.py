import made_config
import pytest

from hooknet.config.project import load_project
from hooknet.config.sheets import read_sheet
from hooknet.errors import ConfigError

GOOD = "id\tpatient\tsplit\na\tp1\ttraining\nb\tp2\tvalidation\nc\tp3\ttest\n"


def put(tmp_path, content, name="slides.tsv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def load(tmp_path, content, name="slides.tsv", **changes):
    path = put(tmp_path, content, name)
    settings = made_config.dataset(slides=str(path), **changes)
    return load_project(*made_config.write(tmp_path, {"colon": settings})).datasets["colon"]


def complaint(tmp_path, content, name="slides.tsv", **changes):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, content, name, **changes)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{tmp_path}/")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("slides.tsv", GOOD),
        ("slides.tab", GOOD),
        ("slides.csv", GOOD.replace("\t", ",")),
        ("slides.txt", GOOD.replace("\t", ",")),
        ("slides.tsv", "\ufeff" + GOOD),
        ("slides.tsv", GOOD.replace("\n", "\r\n")),
        ("slides.tsv", GOOD + "\n\t\t\n"),
        ("slides.csv", GOOD.replace("\t", " , ")),
        ("slides.csv", GOOD.replace("\t", ",").replace("p1", '"p1"')),
    ],
)
def test_every_kind_of_sheet_gives_the_same_slides(tmp_path, name, content):
    found = load(tmp_path, content, name).slides
    assert [(one.id, one.slide, one.annotation, one.patient, one.split) for one in found] == [
        ("a", "a.tif", "a.xml", "p1", "training"),
        ("b", "b.tif", "b.xml", "p2", "validation"),
        ("c", "c.tif", "c.xml", "p3", "test"),
    ]


def test_ids_of_digits_stay_text_and_numbers_become_numbers(tmp_path):
    sheet = "id,patient,fold,spacing\n007,1,0,0.5\n008,2,1,\n009,3,2,0.25 x 0.26\n"
    found = load(tmp_path, sheet, "slides.csv").slides
    assert [(one.id, one.patient, one.fold, one.spacing) for one in found] == [
        ("007", "1", 0, 0.5),
        ("008", "2", 1, None),
        ("009", "3", 2, (0.25, 0.26)),
    ]


def test_quoted_cells_may_hold_the_delimiter_and_lines(tmp_path):
    sheet = read_sheet(put(tmp_path, 'id,slide\n"a","x, y.tif"\n"b","z\nz.tif"\nc,w.tif\n', "s.csv"), "here")
    assert [row["slide"] for row in sheet.rows] == ["x, y.tif", "z\nz.tif", "w.tif"]
    assert sheet.lines == (2, 4, 5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD.replace("patient", "pateint"),
         "slides.tsv: unknown column 'pateint'; did you mean 'patient'? "
         "possible: id, slide, annotation, truth, patient, grade, split, fold, spacing, infer_mask, "
         "volume, position, thickness"),
        (GOOD.replace("split", "id"), "slides.tsv: column 'id' stands twice; keep one of the two"),
        (GOOD.replace("id\t", "slide\t"), "slides.tsv: found columns slide, patient, split, wanted one called id"),
        (GOOD.replace("b\tp2\tvalidation", "b\tp2"), "slides.tsv: line 3: found 2 cells, wanted 3, one a column"),
        (GOOD.replace("p2\t", "p2\tx\t"), "slides.tsv: line 3: found 4 cells, wanted 3, one a column"),
        (GOOD.replace("\t", ","),
         "slides.tsv: found commas between the cells, wanted tabs: a .tsv, .tab holds tabs, any other sheet commas"),
        ("", "slides.tsv: found nothing, wanted a line of column names, then a line for each slide"),
        ("id\tpatient\n", "datasets.yaml: datasets.colon: no slides; list at least one"),
        # What a row says is complained about at its line of the sheet, also below empty lines.
        (GOOD.replace("validation", "valid"),
         "slides.tsv: line 3: split: found 'valid', wanted 'training', 'validation' or 'test'"),
        (GOOD.replace("\nb\t", "\n\n\nb b\t"),
         "slides.tsv: line 5: id: found 'b b', wanted letters, digits, '_', '.' or '-', the first a letter or a digit"),
        (GOOD.replace("b\tp2", "\tp2"), "slides.tsv: line 3: id: is missing and has no default"),
        (GOOD.replace("split", "fold").replace("training", "x"),
         "slides.tsv: line 2: fold: found 'x', wanted a whole number (and 2 more)"),
        (GOOD.replace("b\tp2", "A\tp2"),
         "datasets.yaml: datasets.colon: slide id 'A' stands twice (also as 'a'); ids are unique"),
    ],
)  # fmt: skip
def test_bad_sheets_are_one_exact_line(tmp_path, content, message):
    assert complaint(tmp_path, content) == message


def test_semicolons_are_told_from_commas(tmp_path):
    message = complaint(tmp_path, GOOD.replace("\t", ";"), "slides.csv")
    assert message == (
        "slides.csv: found semicolons between the cells, wanted commas: a .tsv, .tab holds tabs, any other sheet commas"
    )


def test_missing_sheet_names_the_key(tmp_path):
    settings = made_config.dataset(slides="nowhere.tsv")
    paths = made_config.write(tmp_path, {"colon": settings})
    with pytest.raises(ConfigError) as caught:
        load_project(*paths)
    assert str(caught.value) == (
        f"{paths[0]}: datasets.colon.slides: found no sheet 'nowhere.tsv'; correct the path "
        "(paths start at the working directory)"
    )


def test_sheet_that_is_no_text_names_the_key(tmp_path):
    assert complaint(tmp_path, b"id\xff\n") == (
        f"datasets.yaml: datasets.colon.slides: sheet '{tmp_path}/slides.tsv' cannot be read ('utf-8' codec can't "
        "decode byte 0xff in position 2: invalid start byte); wanted CSV or TSV in UTF-8"
    )


def test_unclosed_quote_names_the_key(tmp_path):
    assert complaint(tmp_path, 'id\n"a\nb\n') == (
        f"datasets.yaml: datasets.colon.slides: sheet '{tmp_path}/slides.tsv' cannot be read (unexpected end of data); "
        "wanted CSV or TSV in UTF-8"
    )
