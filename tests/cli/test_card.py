from pathlib import Path

import pytest
from made_cohort import RUN, hooknet, refuse

BEST = RUN / "best.ckpt"
pytestmark = pytest.mark.usefixtures("cohort")


def test_the_card_is_printed_or_written():
    printed = hooknet("card", BEST)
    assert printed.status == 0
    assert printed.out.startswith("# Model card: unet\n")
    # 50 centres of each class of the one training slide.
    assert "| stroma | 1 | #e5989b | 50 | " in printed.out
    written = hooknet("card", BEST, "--output", "deep/card.md")
    assert (written.status, written.out) == (0, "")
    assert Path("deep/card.md").read_text() == printed.out


def test_what_is_no_checkpoint_is_one_line():
    assert refuse("card", "a.xml", "--output", "card.md").startswith("a.xml: damaged or no checkpoint (")
    assert refuse("card", "none.ckpt").startswith("none.ckpt: no such file; ")


def test_the_report_links_to_the_card_where_there_is_one():
    from made_cohort import REPORT, step

    assert hooknet(*step("report")).status == 0
    assert "Model cards" not in (REPORT / "index.html").read_text()
    assert hooknet("card", BEST, "--output", RUN / "card.md").status == 0
    assert hooknet(*step("report")).status == 0
    page = (REPORT / "index.html").read_text()
    assert 'Model cards, beside the weights: <a href="../../runs/unet/card.md">unet</a>.' in page
    assert (REPORT / "../../runs/unet/card.md").resolve().is_file()
