import shutil

from made_cohort import REPORT, RUN, hooknet, refuse, step


def test_report_is_one_page_with_tables_and_figures_beside_it(cohort):
    for path in REPORT.iterdir():
        if path.name != "comparison":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert hooknet(*step("report")).status == 0
    page = (REPORT / "report.html").read_text(encoding="utf-8")
    assert "unet" in page
    assert 'src="http' not in page
    assert any(path.suffix == ".csv" for path in (REPORT / "tables").iterdir())
    assert {path.suffix for path in (REPORT / "figures").iterdir()} >= {".png", ".svg"}


def test_missing_map_is_one_line(cohort):
    (RUN / "maps" / "c.tif").unlink()
    assert f"{RUN}/maps/c.tif" in refuse(*step("report"))
