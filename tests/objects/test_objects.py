import dataclasses
from math import isnan

import made_slides
import numpy as np
import pytest

from hooknet.config.objects import ObjectSettings
from hooknet.errors import MaskError
from hooknet.io.masks import Mask
from hooknet.io.probabilities import create_probabilities
from hooknet.objects.detection import Candidates, detect, read_objects, write_objects
from hooknet.objects.matching import ObjectCounts, match, object_scores, read_matches, write_matches
from hooknet.objects.quantities import quantify, read_quantities, write_quantities


def opened(path, labels):
    return Mask.open(made_slides.write_mask(path, labels, spacing=1.0))


def squares(*boxes, side=60):
    labels = np.zeros((side, side), np.uint8)
    for left, top, size in boxes:
        labels[top : top + size, left : left + size] = 1
    return labels


def test_quantities_of_a_map_by_hand(tmp_path):
    labels = squares((0, 0, 10), (20, 0, 20))
    labels[50:52, :5] = 2
    tissue = np.zeros((60, 60), np.uint8)
    tissue[:50, :40] = 1
    with opened(tmp_path / "m.tif", labels) as mask, opened(tmp_path / "t.tif", tissue) as where:
        found = quantify(mask, where, min_area_um2=50)
    one = found["class1"]
    assert (one.area_mm2, one.tissue_share, one.regions) == pytest.approx((500e-6, 500 / 2000, 2))
    assert (one.regions_per_mm2, one.median_region_mm2, one.largest_region_mm2) == pytest.approx(
        (2 / 2000e-6, 250e-6, 400e-6)
    )
    other = found["class2"]
    assert (other.area_mm2, other.tissue_share, other.regions) == (pytest.approx(10e-6), 0.0, 0)
    assert isnan(other.median_region_mm2)
    write_quantities(tmp_path / "q.csv", {"a": found})
    assert repr(read_quantities(tmp_path / "q.csv")) == repr({"a": found})
    text = (tmp_path / "q.csv").read_text()
    for old, new, told in [("class2", "class1", "twice"), (",2,", ",x,", "wanted numbers")]:
        (tmp_path / "q.csv").write_text(text.replace(old, new, 1))
        with pytest.raises(MaskError, match=told):
            read_quantities(tmp_path / "q.csv")


def test_closing_does_not_depend_on_the_window(tmp_path):
    labels = (np.random.default_rng(0).random((60, 60)) < 0.1).astype(np.uint8)
    with opened(tmp_path / "m.tif", labels) as mask:
        candidates = Candidates(mask, 1, 3.0)
        whole = candidates.read(0, 0, 60, 60)
        parts = [np.hstack([candidates.read(x, y, 20, 15) for x in (0, 20, 40)]) for y in (0, 15, 30, 45)]
    assert (np.vstack(parts) == whole).all()
    assert (whole >= labels).all()
    assert labels.sum() < whole.sum() < whole.size


def test_objects_are_closed_filled_and_large_enough(tmp_path):
    labels = squares((2, 2, 20), (24, 2, 10), (50, 50, 3))
    labels[6:12, 6:12] = 0
    labels[8:10, 8:10] = 1
    with opened(tmp_path / "m.tif", labels) as mask:
        rule = ObjectSettings(close_um=4, min_area_um2=50)
        (one,) = detect(mask, {"class1": rule})
        assert one.area_um2 >= 400 + 100
        assert len(one.polygon.interiors) == 0
        assert len(list(detect(mask, {"class1": ObjectSettings(fill_holes=False)}))) == 4


def test_thresholds_need_a_sure_pixel(tmp_path):
    labels = squares((2, 2, 10), (30, 30, 10))
    rule = {"class1": ObjectSettings(low=0.4, high=0.8)}
    with opened(tmp_path / "m.tif", labels) as mask:
        shares = np.zeros((2, 60, 60), np.uint8)
        shares[0, 2:12, 2:12] = shares[0, 30:40, 30:40] = 128
        shares[0, 5, 5] = 230
        with create_probabilities(tmp_path / "p.tif", mask.grid, mask.names) as writer:
            writer.write(0, 0, shares)
        (one,) = detect(mask, rule, tmp_path / "p.tif")
        assert one.centroid == (7.0, 7.0)
        assert one.probability == pytest.approx((99 * 128 + 230) / 100 / 255)
        assert write_objects(tmp_path / "o.geojson", [one], mask) == 1
        assert dataclasses.replace(read_objects(tmp_path / "o.geojson")[0], polygon=one.polygon) == one
        with pytest.raises(MaskError, match="no probabilities are given"):
            list(detect(mask, rule))
        assert len(list(detect(mask, rule, thresholds=False))) == 2


def found(tmp_path, *boxes):
    with opened(tmp_path / "x.tif", squares(*boxes)) as mask:
        return list(detect(mask, {"class1": ObjectSettings()}))


def test_matches_are_one_to_one_and_sparse_truth_judges_only_its_own(tmp_path):
    truth = found(tmp_path, (0, 0, 10), (40, 0, 10))
    made = found(tmp_path, (1, 1, 10), (0, 40, 10), (20, 20, 10))
    rules = {"class1": ObjectSettings()}
    assert match(truth, made, rules) == {"class1": ObjectCounts(1, 2, 1, 0)}
    annotated = squares((0, 0, 10), (40, 0, 10))
    annotated[20:26, 20:30] = 2
    with opened(tmp_path / "a.tif", annotated) as mask:
        assert match(truth, made, rules, mask) == {"class1": ObjectCounts(1, 1, 1, 1)}
    strict = {"class1": ObjectSettings(overlap=0.75)}
    assert match(truth, made, strict)["class1"].tp == 0
    near = {"class1": ObjectSettings(match="centroid")}
    assert match(truth, made, near)["class1"].tp == 1


def test_scores_pool_the_slides(tmp_path):
    slides = {"a": {"x": ObjectCounts(3, 1, 0, 2)}, "b": {"x": ObjectCounts(1, 0, 4, 0)}}
    write_matches(tmp_path / "m.csv", slides)
    assert read_matches(tmp_path / "m.csv") == slides
    (score,) = object_scores({"s": slides})
    assert (score.tp, score.fp, score.fn, score.precision, score.recall) == (4, 1, 4, 0.8, 0.5)
    assert score.f1 == pytest.approx(8 / 13)
    (tmp_path / "m.csv").write_text("slide,class,tp,fp,fn,not_judged\na,x,1,-1,0,0\n")
    with pytest.raises(MaskError, match="wanted whole numbers"):
        read_matches(tmp_path / "m.csv")


def test_probabilities_of_another_slide_are_refused(tmp_path):
    with opened(tmp_path / "m.tif", squares((0, 0, 10))) as mask:
        grid = dataclasses.replace(mask.grid, width=20, height=33, step_x=4.0, step_y=4.0, spacing=4.0)
        with create_probabilities(tmp_path / "p.tif", grid, mask.names) as writer:
            writer.write(0, 0, np.full((2, 33, 20), 200, np.uint8))
        with pytest.raises(MaskError, match="different slides"):
            list(detect(mask, {"class1": ObjectSettings()}, tmp_path / "p.tif"))
