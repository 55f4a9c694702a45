"""The page as a reader has it: opened from the disk, in a browser."""

import browser
import pytest
from made_up import report
from selenium.webdriver.common.keys import Keys

from hooknet.report.page import write_report


@pytest.fixture(scope="module")
def chromium():
    with browser.opened() as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return write_report(report(), tmp_path_factory.mktemp("report"))


@pytest.fixture
def opened(chromium, page):
    chromium.look(dark=False)
    chromium.open(page)
    return chromium


def column(chromium, table, place):
    """Texts of a column of the n-th sortable table of a section."""
    return chromium.script(
        "return [...document.querySelectorAll(arguments[0] + ' table.sortable')[0].tBodies[0].rows]"
        ".map(row => row.cells[arguments[1]].textContent)",
        table,
        place,
    )


def test_it_opens_without_an_error_and_asks_the_network_for_nothing(opened):
    assert opened.script("return document.title") == "Breast tissue, made-up run"
    assert opened.script("return [...document.images].every(one => one.complete && one.naturalWidth > 0)")
    assert opened.script("return performance.getEntriesByType('resource')"
                         ".filter(one => !one.name.startsWith('data:')).length") == 0  # fmt: skip
    assert opened.console() == []


def test_a_table_sorts_by_its_numbers_both_ways(opened):
    first = column(opened, "#slides", 3)
    head = "#slides table.sortable th:nth-child(4) button"
    opened.click(head)
    up = column(opened, "#slides", 3)
    assert up == sorted(first, key=float)
    assert up != first
    opened.click(head)
    assert column(opened, "#slides", 3) == up[::-1]
    assert opened.script("return document.querySelector('#slides th:nth-child(4)').ariaSort") == "descending"


def test_thousands_and_signs_sort_as_numbers_and_dashes_come_last(opened):
    opened.script(
        'document.body.insertAdjacentHTML(\'beforeend\', \'<section id="made"><table class="sortable"><thead><tr>'
        "<th>x</th></tr></thead><tbody>' + ['10,000', '–', '−0.5', '9', '< 0.001']"
        ".map(one => '<tr><td>' + one.replace('<', '&lt;') + '</td></tr>').join('') + '</tbody></table></section>');"
        "const table = document.querySelector('#made table'); sortBy(table, 0, table.tHead.rows[0].cells[0]);"
    )
    assert column(opened, "#made", 0) == ["−0.5", "< 0.001", "9", "10,000", "–"]


def test_an_enlarged_picture_steps_through_the_layers_of_its_place(opened):
    opened.click("#overlays .slide .panels figure:nth-child(2) .stack")
    title = "document.getElementById('closer-title').textContent"
    assert opened.script(f"return {title}") == "Annotation (2 of 9)"
    opened.keys(Keys.RIGHT)
    assert opened.script(f"return {title}") == "Dense truth (3 of 9)"
    opened.keys(Keys.LEFT + Keys.LEFT)
    assert opened.script(f"return {title}") == "H&E (1 of 9)"
    opened.keys(Keys.ESCAPE)
    assert not opened.script("return document.getElementById('closer').open")


def test_the_fader_fades_the_fill_of_every_picture(opened):
    opened.script("fader.value = 0; fader.oninput()")
    shown = "getComputedStyle(document.querySelector('#regions img.fill')).opacity"
    assert opened.script(f"return {shown}") == "0"


@pytest.mark.parametrize("dark", [False, True])
def test_text_is_readable_on_its_paper_light_and_dark(chromium, page, dark):
    chromium.look(dark=dark)
    chromium.open(page)
    for place in ("body", "h2", "td.best", ".quiet", ".note", "figcaption", "summary"):
        ink, paper = chromium.script(
            """
            const one = document.querySelector(arguments[0]);
            let below = one;
            while (getComputedStyle(below).backgroundColor === 'rgba(0, 0, 0, 0)') below = below.parentElement;
            return [getComputedStyle(one).color, getComputedStyle(below).backgroundColor];
            """,
            place,
        )
        assert browser.contrast(ink, paper) >= 4.5, (place, ink, paper)


def test_nothing_reaches_beyond_a_narrow_window(chromium, page):
    chromium.look(dark=False, width=420)
    chromium.open(page)
    assert chromium.script("return document.documentElement.scrollWidth <= window.innerWidth")
