"""The page in a browser, from the server and from files."""

import time

import browser
import made_view
import pytest

from hooknet.viewer.static import write_static

OPEN = "window.Viewer && Viewer.panels && Viewer.panels[0].isOpen()"
DRAWN = (
    OPEN + " && [...Viewer.panels[0].layers.values()].every((one) => one.item && one.item.getFullyLoaded())"
)
# The colour on the screen where a level-0 px of the left panel is.
COLOUR = """
const [x, y] = arguments, panel = Viewer.panels[0], world = panel.facts.world;
const place = panel.osd.viewport.pixelFromPoint(new OpenSeadragon.Point(x / world, y / world), true);
const canvas = panel.osd.drawer.canvas;
return [...canvas.getContext("2d").getImageData(Math.round(place.x), Math.round(place.y), 1, 1).data].slice(0, 3);
"""
OPACITY = "Viewer.panels[0].layers.get('{}').item.getOpacity()"
TEXTS = (
    "return [...document.querySelectorAll(arguments[0])].map((one) => one.firstChild.data || one.textContent)"
)
RIGHT, ESCAPE = "\ue014", "\ue00c"


@pytest.fixture
def page(chromium, server):
    chromium.look()
    chromium.open(server.url)
    chromium.until(DRAWN)
    yield chromium
    assert chromium.console() == []
    assert chromium.script("return window.hacked") is None


def view(browser):
    """Centre in level-0 px, and level-0 px per CSS px, of the left panel."""
    return browser.script("return Viewer.panels[0].getView()")


def together(browser):
    """Whether both panels show the same, at one moment."""
    return same(*browser.script("return Viewer.panels.map((one) => one.getView())"))


def same(first, second):
    return all(first[key] == pytest.approx(second[key], rel=1e-4, abs=0.05) for key in ("x", "y", "scale"))


def test_layers_come_on_and_go_off(page):
    assert page.text("#slide-name") == "a"
    assert page.script(TEXTS, "#slides button") == ["a", made_view.HOSTILE_SLIDE, "broken"]
    assert page.script(TEXTS, "#system-0 option") == ["unet", made_view.HOSTILE_SYSTEM]
    # The prediction is over the H&E: green of class 2 in the dark box.
    red, green, _ = page.script(COLOUR, 600, 500)
    assert green > red + 20
    page.keys("5")
    page.until(OPACITY.format("map-0") + " === 0")
    assert not page.script("return document.getElementById('layer-map').checked")
    page.script(
        "const slider = document.getElementById('opacity-map'); slider.value = 90;"
        "slider.dispatchEvent(new Event('input'))"
    )
    page.until(OPACITY.format("map-0") + " === 0.9")
    assert "layers=he:100,map:90" in page.script("return location.hash")
    page.click("#layer-he")
    page.until(OPACITY.format("he") + " === 0")
    assert page.script("return document.getElementById('layer-tissue').disabled")
    page.keys("2")
    assert "tissue" not in page.script("return location.hash")


def test_legend_tells_the_area_of_each_class(page):
    """The box is 600 px of 0.5 µm square."""
    names = [
        f"return document.querySelectorAll('#legend tbody tr')[{row}].cells[0].textContent" for row in (0, 1)
    ]
    assert [page.script(one) for one in names] == ["stroma", made_view.HOSTILE_CLASS]
    page.until("document.querySelectorAll('#legend tbody tr')[1].cells[2].textContent === '0.090'")


def test_scale_bar_is_round_and_true(page):
    for um_per_px, um, text in (
        (0.25, 20, "20 µm"),
        (0.3125, 50, "50 µm"),
        (1, 100, "100 µm"),
        (6.25, 1000, "1 mm"),
        (40, 5000, "5 mm"),
        (0.004, 0.5, "500 nm"),
    ):
        bar = page.script("return Viewer.scaleBar(arguments[0], 160)", um_per_px)
        assert bar == {"um": pytest.approx(um), "px": pytest.approx(um / um_per_px), "text": text}


def test_scale_bar_follows_the_zoom(page):
    """As many CSS px as the slide's own spacing (0.5 µm) says, at any zoom."""
    for keys in ("", "++", "+++"):
        before = view(page)
        page.keys(keys or "x")
        page.until(f"Viewer.panels[0].getView().scale <= {before['scale'] / 1.5 ** len(keys) * 1.001}")
        scale = view(page)["scale"]
        wide = page.script("return document.getElementById('scale-bar').getBoundingClientRect().width")
        number, unit = page.text("#scale-text").split()
        assert wide * scale * 0.5 == pytest.approx(float(number) * {"µm": 1, "mm": 1000}[unit], rel=0.01)


def test_what_is_drawn_is_where_it_is_said_to_be(page):
    """The left edge of the dark box, at four CSS px a level-0 px, to half a level-0 px."""
    left = made_view.BOX[0]
    page.keys("5")
    page.script("Viewer.panels[0].setView({x: arguments[0], y: 540, scale: 0.25})", left)
    page.until("Math.abs(Viewer.panels[0].getView().scale - 0.25) < 1e-6 && " + DRAWN)
    # On a busy machine what is drawn may still be of the view before: the finest tiles decide, once they are there.
    for _ in range(100):
        edges = [page.script(COLOUR, x, 540)[0] for x in (left - 0.75, left + 0.75)]
        if edges[0] - edges[1] > 100:
            break
        time.sleep(0.1)
    assert edges[0] - edges[1] > 100


def test_labels_are_not_blended_with_their_neighbours(page):
    left = made_view.BOX[0]
    page.keys("1")
    page.script("Viewer.panels[0].setView({x: arguments[0], y: 540, scale: 0.1})", left)
    page.until(f"{DRAWN} && {OPACITY.format('he')} === 0")
    for _ in range(100):  # as above: the view before may still be on the screen
        colours = [tuple(page.script(COLOUR, left + tenth / 10, 540)) for tenth in range(-12, 13)]
        if len(set(colours)) == 2 and colours == sorted(colours, reverse=True):
            break
        time.sleep(0.1)
    assert len(set(colours)) == 2
    assert colours == sorted(colours, reverse=True)


def test_layers_lie_in_their_order_whenever_they_come(page):
    page.keys("643")
    page.until("Viewer.panels[0].osd.world.getItemCount() === 5 && " + DRAWN)
    found = page.script(
        "const panel = Viewer.panels[0], place = (key) => panel.osd.world.getIndexOfItem(panel.layers.get(key).item);"
        "return [...panel.layers.keys()].sort((a, b) => place(a) - place(b))"
    )
    assert found == ["he", "labels", "truth", "map-0", "diff-0"]


def test_two_panels_move_together(page):
    before = view(page)
    page.keys("s")
    page.until("Viewer.panels[1].isOpen() && Viewer.panels[0].osd.viewport.getContainerSize().x < 600")
    # The scale stays when the panel becomes half as wide.
    assert view(page)["scale"] == pytest.approx(before["scale"], rel=1e-4)
    named = page.script("return document.getElementById('system-1').selectedOptions[0].textContent")
    assert named == made_view.HOSTILE_SYSTEM
    page.keys("++" + RIGHT)
    page.until("Viewer.panels[0].getView().x > 760 && Viewer.panels[0].getView().scale < 1")
    assert together(page)
    # The right one leads as well.
    page.script("""
        const panel = Viewer.panels[1];
        panel.osd.raiseEvent("canvas-press", {});
        panel.osd.viewport.zoomTo(3, null, true);
        panel.osd.viewport.panTo(new OpenSeadragon.Point(0.4, 0.3), true);
    """)
    page.until("Math.abs(Viewer.panels[0].getView().x - 600) < 0.1")
    assert together(page)
    page.keys("s")
    page.until("!Viewer.panels[1].isOpen()")


@pytest.mark.parametrize("dark", [False, True])
def test_a_pressed_button_can_be_read_under_the_mouse(page, dark):
    page.look(dark)
    page.click("#split")  # the mouse stays where it clicked
    page.until("document.querySelector('#split').matches('[aria-pressed=true]:hover')")
    ink, paper = page.script(
        "const style = getComputedStyle(document.querySelector('#split'));"
        "return [style.color, style.backgroundColor]"
    )
    assert browser.contrast(ink, paper) >= 4.5, (ink, paper)


def test_a_link_restores_the_view(page):
    page.keys("s6+")
    page.until("Viewer.panels[1].isOpen()")
    page.script("Viewer.panels[0].setView({x: 700, y: 400, scale: 0.4})")
    page.until("location.hash.includes('scale=0.4') && location.hash.includes('at=700.0,400.0')")
    link = page.script("return location.href")
    assert "diff:80" in link
    page.click("#copy")
    page.until("document.getElementById('status').textContent === 'Link copied'")
    page.open(link)
    page.until(OPEN + " && Viewer.panels[1].isOpen() && Viewer.panels[1].layers.has('diff-1')")
    page.until("Math.abs(Viewer.panels[1].getView().scale - 0.4) < 1e-4")
    assert same(view(page), {"x": 700, "y": 400, "scale": 0.4})
    assert page.script("return location.href") == link


def test_slides_by_keyboard_and_one_that_cannot_be_read(page):
    page.keys("n")
    page.until("document.getElementById('slide-name').textContent.includes('<img') && " + OPEN)
    assert page.script("return document.getElementById('notice').hidden")
    page.keys("n")
    page.until("!document.getElementById('notice').hidden")
    assert "broken.tif" in page.text("#notice")
    told = page.console()
    assert len(told) == 1
    assert "500" in told[0]  # the browser's own word on that answer
    page.keys("n")
    page.until(OPEN + " && document.getElementById('notice').hidden")
    page.keys("?")
    page.until("document.getElementById('keys').open")
    page.keys(ESCAPE)
    page.until("!document.getElementById('keys').open")


def test_the_page_works_from_files(chromium, viewed, tmp_path):
    path = write_static(viewed, tmp_path, slides=["a", made_view.HOSTILE_SLIDE])
    chromium.look(dark=True)
    chromium.open(path)
    chromium.until(DRAWN)
    chromium.until("document.querySelectorAll('#legend tbody tr')[1].cells[2].textContent === '0.090'")
    chromium.keys("s4")
    chromium.until("Viewer.panels[1].isOpen() && Viewer.panels[1].layers.has('truth')")
    chromium.script("Viewer.panels[0].setView({x: 700, y: 400, scale: 0.4})")
    chromium.until("location.hash.includes('at=700.0,400.0')")
    assert together(chromium)
    assert chromium.console() == []
    assert chromium.script("return window.hacked") is None
