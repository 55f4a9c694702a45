import csv

from made_cohort import REPORT, RUN, hooknet, refuse, step

from hooknet.evaluation.cohort import TABLES


def test_tables_of_both_kinds_of_truth_hold_every_system(cohort):
    folder = REPORT / "comparison"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for path in folder.iterdir():
        path.unlink()
    assert hooknet(*step("compare")).status == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    for role in ("truth", "labels"):
        with (folder / f"{role}_scores.csv").open() as file:
            assert {row["system"] for row in csv.DictReader(file)} == {"unet"}
        assert {path.name.removeprefix(f"{role}_") for path in folder.glob(f"{role}_*")} == {
            f"{name}.csv" for name in TABLES
        }


def test_missing_counts_are_one_line(cohort):
    path = RUN / "counts" / "truth" / "c.csv"
    path.unlink()
    assert refuse(*step("compare")).startswith(f"{path}: cannot be read as a table of counts (")


def test_counts_cut_short_are_one_line(cohort):
    path = RUN / "counts" / "truth" / "c.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    assert refuse(*step("compare")) == (
        f"{path}: slide c has 5 rows, wanted 6: the file was cut short, count again"
    )


def test_counts_of_another_slide_are_one_line(cohort):
    path = RUN / "counts" / "truth" / "c.csv"
    path.write_text(path.read_text().replace("\nc,", "\nb,"))
    assert refuse(*step("compare")) == ("run unet: the file of c holds b, wanted c: measure it again")


def test_patients_are_numbered_unless_the_report_may_name_them(cohort):
    def told():
        return "".join(path.read_text() for path in (REPORT / "comparison").iterdir())

    assert "p3" not in told()
    config = (cohort / "datasets.yaml").read_text()
    (cohort / "datasets.yaml").write_text(config + "    report: {patients: true}\n")
    assert hooknet(*step("compare")).status == 0
    assert told().count(",p3,") >= 4
