import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from made_up import CLASSES, SKILL, overlay, regions, report, results
from PIL import Image

from hooknet.evaluation.cohort import TABLES
from hooknet.evaluation.compare import compare
from hooknet.evaluation.system import System
from hooknet.report.data import Extras, Provenance, ReportClass, ReportData, ReportSystem
from hooknet.report.difference_tables import shown_tests
from hooknet.report.lead import lead
from hooknet.report.overlays import ramp, shade
from hooknet.report.page import write_report

VOID = {"meta", "img", "input", "br", "link"}


class Page(HTMLParser):
    """Tags opened and closed in order, every attribute, the text of cells."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.cells, self.ids = [], [], [], set()
        self.feed(text)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.ids |= {value for name, value in attrs if name == "id"}
        if tag not in VOID:
            self.open.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "td":
            self.cells[-1] += data

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    path = write_report(report(), folder)
    return folder, path.read_text(encoding="utf-8")


def test_the_page_needs_nothing_from_outside(written):
    _, text = written
    for attrs in (attrs for _, attrs in Page(text).tags):
        for name in ("src", "href"):
            assert attrs.get(name, "#").startswith(("#", "data:"))
    assert re.findall(r"url\((?!data:image/jpeg;base64,)", text) == []
    assert "@import" not in text
    assert not re.search(r"https?://", re.sub(r"data:[^\"')]+", "", text))


def test_every_link_of_the_navigation_leads_somewhere(written):
    page = Page(written[1])
    targets = [attrs["href"][1:] for attrs in page.all("a")]
    assert len(targets) >= 10
    assert set(targets) <= page.ids


def test_every_picture_says_what_it_shows(written):
    page = Page(written[1])
    described = [attrs["alt"] for attrs in page.all("img") if attrs.get("class") != "lines"]
    # matrices, dots, curves; intervals, differences, spacings, λ, calibration, risk; two slides, and how unsure one
    # system is there; two regions
    assert len(described) == 5 + 1 + 1 + 6 + 7 + 6 + 2 + 3 * 2
    assert all(described)
    assert "Confusion matrix of U-Net 2; correct: DCIS 7" in "".join(described)
    assert any("DCIS 9 %" in one or "of the picture: DCIS" in one for one in described)


def test_the_numbers_on_the_page_are_those_of_the_comparison(written):
    cells = Page(written[1]).cells
    scores = results().scores
    for value in scores.loc[scores["class"] != "micro", "f1"]:
        assert f"{value:.3f}" in cells
    assert "has the highest macro F1 of 5 systems: 0.853 [" in written[1]
    assert "a lead of 0.042, 95 % interval +0.0" in written[1]


def test_intervals_over_patients_stand_beside_scores_and_tests(written):
    cells, found = Page(written[1]).cells, results()
    for one in found.intervals.itertuples():
        assert f"{one.f1:.3f} [{one.low:.3f}, {one.high:.3f}]" in cells
    for one in found.differences.itertuples():  # of macro F1 and of every class
        told = f"{one.difference:+.3f} [{one.low:+.3f}, {one.high:+.3f}]"
        assert told.replace("-", "−") in cells


def test_means_over_slides_stand_on_the_page_of_all_slides_and_of_each_grade(written):
    cells, found = Page(written[1]).cells, results().per_slide
    assert set(found["grade"]) == {"all", "I", "II"}
    for one in found.itertuples():
        for mean, spread in (
            (one.recall_mean, one.recall_sd), (one.precision_mean, one.precision_sd), (one.dice_mean, one.dice_sd),
        ):  # fmt: skip
            assert f"{mean:.3f} ± {spread:.3f}" in cells
    assert written[1].count("<caption>DCIS: mean ± sample standard deviation over slides.</caption>") == 2
    assert "beside the paired one (40)" in written[1]  # ten pairs, four classes
    for one in results().tukey.itertuples():
        told = f"{one.difference:+.3f} [{one.low:+.3f}, {one.high:+.3f}]"
        assert told.replace("-", "−") in cells


def test_without_grades_and_with_one_system_there_is_no_empty_table_of_them(tmp_path):
    text = write_report(small(), tmp_path).read_text(encoding="utf-8")
    assert "Recall, precision and Dice: mean over slides" in text
    assert "The same for each grade" not in text
    assert "beside the paired one" not in text


def test_tables_are_saved_with_full_precision(written):
    folder, _ = written
    saved = pd.read_csv(folder / "tables" / "scores.csv")
    assert saved["f1"].tolist() == pytest.approx(results().scores["f1"].tolist(), rel=1e-14)
    names = {one.name for one in (folder / "tables").iterdir()}
    assert names == {
        "scores.csv",
        "slide_scores.csv",
        "slide_class_scores.csv",
        "per_slide.csv",
        "tukey.csv",
        "claims.csv",
        "quantities.csv",
        "boundaries.csv",
        "calibration.csv",
        "reliability.csv",
        "risk.csv",
        "risk_curves.csv",
        "objects.csv",
        "comparisons.csv",
        "confusion.csv",
        "intervals.csv",
        "differences.csv",
        "slides.csv",
        "training_curves.csv",
    }


def test_figures_are_saved_as_png_and_svg_and_overlays_as_png(written):
    folder, _ = written
    names = {one.name for one in (folder / "figures").iterdir()}
    plots = {
        "slide_scores",
        "training_curves",
        "intervals",
        "differences",
        "spacings",
        "loss_weights",
        "reliability",
        "risk_curves",
    } | {name[:-4] for name in names if name.startswith("confusion")}
    assert len(plots) == 13
    assert {f"{one}.{suffix}" for one in plots for suffix in ("png", "svg")} <= names
    assert len([name for name in names if name.startswith("overlay")]) == 8 + 7 + 2
    assert len([name for name in names if name.endswith("-uncertainty.png")]) == 2
    assert len([name for name in names if name.startswith("region")]) == 2
    assert not [name for name in names if "partial" in name]


def test_the_shares_of_pixels_shown_in_training_stand_on_the_page_where_they_are_known(written, tmp_path):
    caption = "Share of each class in the annotated pixels shown in training."
    assert caption not in written[1]
    data = report()
    shares = {f"share_{one.name}": share for one, share in zip(CLASSES, (0.2, 0.3, 0.1, 0.4), strict=True)}
    systems = tuple(replace(one, curves=one.curves.assign(**shares)) for one in data.systems)
    page = write_report(replace(data, systems=systems, overlays=()), tmp_path).read_text(encoding="utf-8")
    assert caption in page
    assert {"20.0 %", "30.0 %", "10.0 %", "40.0 %", "25.0 %"} <= set(Page(page).cells)
    assert "share_DCIS" in pd.read_csv(tmp_path / "tables" / "training_curves.csv")


def test_the_layer_over_the_tissue_is_the_label_array_pixel_by_pixel(written):
    page = Page(written[1])
    fills = [attrs for attrs in page.all("img") if attrs.get("class") == "fill"]
    shown = next(one for one in fills if one["alt"].startswith("Dense truth over the H&E of slide_01"))
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(shown["src"].split(",")[1]))))
    truth = overlay().truth
    for one in CLASSES:
        assert (pixels[truth == one.value] == (*one.rgb, 255)).all()


def test_the_scale_bar_on_the_page_has_the_share_of_the_width_it_says(written):
    # 480 px of 2 µm are 960 µm; a bar of 200 µm takes 20.8333 % of them
    assert 'style="width: 20.8333%">200 µm<' in written[1]


def test_warnings_of_the_run_and_of_the_comparison_are_all_listed(written):
    _, text = written
    assert "made valid, 1.2 µm² changed" in text
    assert "U-Net 0.5 made no prediction on 14,800 of 1,480,000 annotated pixels (1 %)" in text
    assert "Warnings (2)" in text


def small(name="one", names=("a", "b"), **changes):
    counts = np.array([[0, 9, 1], [0, 2, 8]], np.int64)
    data = ReportData(
        title="t",
        dataset="d",
        classes=tuple(ReportClass(one, at, "#336699") for at, one in enumerate(names, start=1)),
        systems=(ReportSystem(name, "unet", (0.5,)),),
        results={"annotated pixels": compare([System(name, name, None, {"s": counts})], names)},
    )
    return replace(data, **changes)


def test_strings_from_outside_are_text_and_never_markup(tmp_path):
    nasty = "<script>alert('x')</script>&\"$x_1$"
    one = replace(overlay(nasty), predictions={}, truth=None, note=nasty)
    data = small(
        nasty, (nasty, "b"),
        title=nasty, dataset=nasty, description=nasty, warnings=(nasty,),
        settings={nasty: nasty},
        provenance=Provenance(versions={nasty: nasty}, code={nasty: nasty}, files={nasty: nasty}),
        slides=pd.DataFrame({nasty: [nasty]}), overlays=(replace(one, annotation=np.ones_like(one.annotation)),),
        regions=(replace(regions()[0], slide=nasty, truth=one.annotation * 0 + 1, prediction=one.annotation * 0 + 2),),
        extras=Extras(objects=pd.DataFrame([{"system": nasty, "class": nasty, "tp": 1}])),
    )  # fmt: skip
    text = write_report(data, tmp_path).read_text(encoding="utf-8")
    assert text.count("<script>") == 1
    assert nasty not in text
    assert text.count("&lt;script&gt;alert") > 20
    Page(text)


def test_the_least_a_report_can_have_is_still_a_page(tmp_path):
    text = write_report(small(), tmp_path).read_text(encoding="utf-8")
    page = Page(text)
    assert not {"training", "overlays"} & page.ids
    assert "one has a macro F1 of 0.850, pooled over 1 test slide of 1 patient." in text
    assert "only one system was run" in text
    assert '<p class="fine">None.</p>' in text


def test_several_measures_stand_beside_each_other_and_save_under_their_names(tmp_path):
    data = small()
    both = replace(data, results=data.results | {"Dense truth": data.results["annotated pixels"]})
    text = write_report(both, tmp_path).read_text(encoding="utf-8")
    assert text.count("Measured on Dense truth") == text.count("Measured on annotated pixels") == 5
    assert (tmp_path / "tables" / "dense-truth_scores.csv").exists()
    assert (tmp_path / "figures" / "dense-truth_slide_scores.svg").exists()


def test_of_many_pairs_only_those_with_the_best_system_are_unfolded():
    many = results({f"system {at}": 0.6 + at / 50 for at in range(7)}, slides=6)
    shown = shown_tests(many)
    assert shown["second"].tolist() == ["system 6"] * 6
    assert shown["first"].tolist() == [f"system {at}" for at in range(6)]
    few = results({f"system {at}": 0.6 + at / 50 for at in range(6)}, slides=6)
    assert len(shown_tests(few)) == 15


def test_experiments_are_unfolded_rather_than_their_seeds():
    table = {"s": np.array([[0, 9, 1], [0, 2, 8]], np.int64)}
    seeds = [System(f"{name} {seed}", name, seed, table) for name in ("a", "b") for seed in (1, 2)]
    shown = shown_tests(compare(seeds, ("x", "y")))
    assert shown[["first", "second"]].values.tolist() == [["a", "b"]]


def test_the_lead_is_about_the_mean_over_seeds_where_there_are_several():
    def right(share):
        return {"s": np.array([[0, share, 100 - share], [0, 100 - share, share]], np.int64)}

    seeds = [
        System("a 1", "a", 1, right(95)),
        System("a 2", "a", 2, right(75)),
        System("b", "b", 1, right(88)),
    ]
    assert lead(compare(seeds, ("x", "y"))).sentences == (
        "b has the highest macro F1 (mean over seeds) of 2 experiments: 0.880, pooled over 1 test slide of 1 patient.",
        "Next is a with 0.850: a lead of 0.030.",
        "n = 1 slide: no p below 1 can be reached, so no difference can be shown here, whatever its size.",
    )


def test_the_interval_of_a_lead_is_turned_with_its_pair():
    def system(name, right):
        slides = {
            f"s{at}": np.array([[0, right + at, 100 - right - at], [0, 0, 100]], np.int64) for at in range(4)
        }
        return System(name, name, None, slides)

    a, b = system("a", 70), system("b", 90)
    ahead, behind = compare([b, a], ("x", "y")), compare([a, b], ("x", "y"))
    assert lead(ahead).gap == lead(behind).gap
    assert re.search(r"95 % interval \+0\.\d+ to \+0\.\d+\.$", lead(ahead).gap)


def test_nobody_leads_where_systems_saw_different_slides():
    def on(name, right, slides):
        counts = np.array([[0, right, 100 - right], [0, 0, 100]], np.int64)
        return System(name, name, None, dict.fromkeys(slides, counts))

    found = lead(compare([on("a", 90, "rst"), on("b", 80, "stu")], ("x", "y")))
    assert found.best == ""
    assert "none is said to lead" in found.first
    assert (found.gap, found.claim) == ("", "")


def test_equal_scores_are_no_victory():
    counts = np.array([[0, 90, 10], [0, 0, 100]], np.int64)
    found = lead(compare([System(one, one, None, {"s": counts}) for one in ("a", "b")], ("x", "y")))
    assert found.sentences == (
        "a, b have the same, highest macro F1: 0.950, pooled over 1 test slide of 1 patient.",
    )


def test_nothing_annotated_is_said_plainly():
    bare = compare([System("a", "a", None, {"s": np.zeros((2, 3), np.int64)})], ("x", "y"))
    assert lead(bare).sentences == (
        "Nothing could be scored on 1 test slide of 1 patient: there were no annotated pixels.",
    )


def test_the_same_data_gives_the_same_page(tmp_path):
    one = replace(overlay("one"), predictions={})
    data = small(overlays=(one,), systems=report().systems[:1], classes=CLASSES)
    pages = [write_report(data, tmp_path / one).read_bytes() for one in ("first", "second")]
    assert pages[0] == pages[1]


def test_a_report_without_results_is_refused():
    with pytest.raises(ValueError, match="at least one comparison"):
        small(results={})


def test_the_made_up_systems_are_all_described():
    assert [one.name for one in report().systems] == list(SKILL)


def test_a_system_without_test_slides_does_not_stop_the_report(tmp_path):
    counts = np.array([[0, 9, 1], [0, 2, 8]], np.int64)
    systems = [System("one", "one", None, {"s": counts}), System("idle", "idle", None, {})]
    data = small(results={"annotated pixels": compare(systems, ("a", "b"))})
    text = write_report(data, tmp_path).read_text(encoding="utf-8")
    assert "idle was tested on 0 of 1 slides (not on s)" in text
    assert Page(text).cells.count("idle") == 1


def test_where_a_region_differs_is_marked_pixel_by_pixel(written):
    page = Page(written[1])
    shown = next(
        one for one in page.all("img") if one.get("alt", "").startswith("Where HookNet λ=0.75 differs from")
    )
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(shown["src"].split(",")[1]))))
    expected = np.zeros((360, 480), bool)
    expected[:90, :120] = True
    assert (pixels[..., 3] == 255 * expected).all()
    assert "6 % of the annotated pixels differ" in shown["alt"]  # 90 * 120 of 360 * 480


def test_uncertainty_stands_beside_the_map_of_its_system_with_a_legend(written):
    page = Page(written[1])
    wholes = [one for one in page.all("img") if one.get("class") == "whole"]
    told = "MRN 0.5, 8, uncertainty over {}: mean 0.50; above 0.5 in 0 % of what is predicted."
    assert [one["alt"] for one in wholes] == [told.format("slide_01"), told.format("slide_05")]
    picture = Image.open(io.BytesIO(base64.b64decode(wholes[0]["src"].partition(",")[2])))
    pixels = np.asarray(picture.convert("RGBA"))
    assert (pixels[:20, :, 3] == 0).all()
    assert (pixels[20:] == shade(np.array([[128]], np.uint8))).all()
    titles = re.findall(r'data-title="([^"]*)"', written[1])
    assert titles[titles.index("MRN 0.5, 8") + 1] == "MRN 0.5, 8, uncertainty"
    assert written[1].count('class="ramp"') == 1
    assert ", ".join(ramp()) in written[1]


def test_without_uncertainty_there_is_no_legend_of_it(tmp_path):
    data = report()
    plain = replace(data, overlays=tuple(replace(one, unsure={}) for one in data.overlays))
    page = write_report(plain, tmp_path).read_text(encoding="utf-8")
    assert 'class="ramp"' not in page
    assert 'class="whole"' not in page


def test_what_is_measured_besides_overlap_has_its_tables(written):
    cells = Page(written[1]).cells
    for text in (
        "0.710",
        "11.0 %",
        "45.6 %",
        "7.2 %",
        "42.5",
        "0.050",
        "1.2500",
        "12.5 %",
        "0.727",
        "2048",
        "ab" * 32,
        "0123abcd",
    ):
        assert text in cells, text


def test_the_page_says_what_it_is_not(written):
    assert "not a medical device" in written[1]


def test_the_summary_for_programs_tells_the_same(written):
    told = json.loads((written[0] / "summary.json").read_text(encoding="utf-8"))
    found, wanted = told["results"]["annotated pixels"], results()
    assert found["lead"] == list(lead(wanted).sentences)
    for name in TABLES:
        frame = getattr(wanted, name)
        assert len(found[name]) == len(frame)
        if len(frame):
            assert list(found[name][0]) == list(frame.columns)
    scores = [one["f1"] for one in found["scores"]]
    assert scores == pytest.approx(wanted.scores["f1"].tolist(), rel=1e-15)
    assert told["objects"][0]["f1"] == 8 / 11
    assert told["calibration"][0]["seed"] is None
    assert told["provenance"]["steps"][0]["jobs"] == 5
    assert told["warnings"] == [
        "slide_03.xml: 2 shapes cross themselves; made valid, 1.2 µm² changed", *wanted.warnings,
    ]  # fmt: skip
