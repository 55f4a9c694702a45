import json
import shutil

import pandas as pd
from made_cohort import REPORT, RUN, hooknet, refuse, step


def clear():
    for path in REPORT.iterdir():
        if path.name != "comparison":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_report_is_one_page_with_tables_and_figures_beside_it(cohort):
    clear()
    assert hooknet(*step("report")).status == 0
    page = (REPORT / "index.html").read_text(encoding="utf-8")
    assert "unet" in page
    assert 'src="http' not in page
    assert any(path.suffix == ".csv" for path in (REPORT / "tables").iterdir())
    assert {path.suffix for path in (REPORT / "figures").iterdir()} >= {".png", ".svg"}
    assert not (REPORT / "viewer").exists()


def test_patients_are_numbered_unless_they_are_asked_for(cohort):
    def everything():
        return "".join(
            path.read_text(encoding="utf-8")
            for path in REPORT.rglob("*")
            if path.suffix in (".html", ".csv", ".json") and "comparison" not in path.parts
        )

    config = (cohort / "datasets.yaml").read_text()
    (cohort / "datasets.yaml").write_text(config.replace("patient: p3", "patient: p-secret"))
    clear()
    assert hooknet(*step("report")).status == 0
    assert "p-secret" not in everything()
    assert set(pd.read_csv(REPORT / "tables" / "slide_class_scores.csv")["patient"]) == {
        3
    }  # the third of the sheet
    clear()
    assert hooknet(*step("report"), "--patients").status == 0
    assert everything().count("p-secret") >= 4


def test_what_was_measured_on_maps_is_told(cohort):
    told = json.loads((REPORT / "summary.json").read_text())
    assert list(told["results"]) == ["dense truth", "annotated pixels"]
    (quantity, *_) = told["quantities"]
    assert (quantity["system"], quantity["slide"], quantity["class"]) == ("unet", "c", "stroma")
    assert {one["class"] for one in told["boundaries"]} == {"stroma", "gland"}
    assert str(RUN / "best.ckpt") in told["provenance"]["files"]
    assert "calibration" not in told  # no probabilities were kept


def test_slides_to_zoom_into_lie_beside_it_where_asked_for(cohort):
    clear()
    assert hooknet(*step("report"), "--static").status == 0
    assert 'href="viewer/index.html"' in (REPORT / "index.html").read_text(encoding="utf-8")
    assert (REPORT / "viewer" / "index.html").is_file()


def test_missing_map_is_one_line(cohort):
    (RUN / "maps" / "c.tif").unlink()
    assert f"{RUN}/maps/c.tif" in refuse(*step("report"))


def test_missing_measures_are_one_line(cohort):
    for path in (RUN / "quantities" / "c.csv", RUN / "windows" / "truth" / "c.csv"):
        kept = path.read_bytes()
        path.unlink()
        assert str(path) in refuse(*step("report"))
        path.write_bytes(kept)
