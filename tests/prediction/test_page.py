import re

import made_runs
import numpy as np
import pytest

from hooknet.models.checkpoint import save_checkpoint
from hooknet.objects.quantities import TISSUE, Quantity
from hooknet.prediction.model import open_model
from hooknet.prediction.page import LAYER, Page, Shown, write_page
from hooknet.report.data import ReportOverlay
from hooknet.training.weights import checkpoint_spec, new_network


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    run = made_runs.make_run()
    path = tmp_path_factory.mktemp("model") / "best.ckpt"
    save_checkpoint(path, new_network(run), checkpoint_spec(run, ()))
    return open_model(path)


def quantity(area, share):
    return Quantity(area, share, 2, 1.0, area / 2, area / 2)


def slide(name, one=0.3, two=0.1, warnings=(), side=600):
    labels = np.ones((side, 2 * side), np.uint8)
    labels[: side // 2] = 2
    areas = {"one": quantity(one, 0.6), "two": quantity(two, 0.2), TISSUE: quantity(0.5, 1.0)}
    image = np.full((side, 2 * side, 3), 200, np.uint8)
    return Shown(ReportOverlay(name, image, 4.0, predictions={LAYER: labels}), areas, warnings)


def written(tmp_path, model, *slides, failed=None):
    return write_page(tmp_path, Page(model, slides, failed or {})).read_text(encoding="utf-8")


def test_areas_and_shares_are_told_and_drawn(tmp_path, model):
    page = written(tmp_path, model, slide("s1"))
    assert "<title>s1</title>" in page
    assert re.search(r"<td>one</td><td[^>]*>0\.300</td><td[^>]*>75\.0 %</td><td[^>]*>60\.0 %</td>", page)
    assert '<span style="width: 75.000%; background: #ff0000" title="one 75.0 %">' in page
    assert '<span style="width: 25.000%; background: #0000ff" title="two 25.0 %">' in page
    assert "of 0.500 mm²" in page


def test_what_is_not_there_is_a_dash_and_no_bar(tmp_path, model):
    page = written(tmp_path, model, slide("s1", one=0.0, two=0.0))
    assert re.search(r"<td>one</td><td[^>]*>0\.000</td><td[^>]*>–</td>", page)
    assert 'title="one' not in page


def test_many_slides_have_a_common_table_links_and_warnings(tmp_path, model):
    slides = [
        slide("s1").small("s1/index.html"),
        slide("s2", 0.1, 0.3, ("spacing 9",)).small("s2/index.html"),
    ]
    page = written(tmp_path, model, *slides, failed={"s3": "s3.svs: torn <b>"})
    assert "<title>2 slides predicted</title>" in page
    assert re.search(r"<td>s2</td><td[^>]*>0\.400</td><td[^>]*>0\.100</td><td[^>]*>25\.0</td>", page)
    assert "There are warnings of 1 of these slides." in page
    assert "Spacing 9." in page
    assert 'href="s2/index.html"' in page
    assert "<td>s3</td><td>s3.svs: torn &lt;b&gt;</td>" in page


def test_beside_others_a_slide_is_small_and_its_spacing_grows(tmp_path):
    found = slide("s1").small("x")
    assert found.overlay.image.shape == (240, 480, 3)
    assert found.overlay.predictions[LAYER].shape == (240, 480)
    assert found.overlay.spacing == pytest.approx(4.0 * 1200 / 480)


def test_the_page_needs_nothing_from_outside(tmp_path, model):
    page = written(tmp_path, model, slide("s1"), slide("s2"))
    assert re.findall(r"url\((?!data:image/jpeg;base64,)", page) == []
    assert not re.search(r"https?://", re.sub(r"data:[^\"')]+", "", page))
