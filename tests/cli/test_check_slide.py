import json
import shutil
from pathlib import Path

import made_cohort
import made_slides
import numpy as np
import pytest
import yaml
from made_cohort import SLIDES, hooknet, refuse, step

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "slides"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real slides beside the repository")
OUTPUT = SLIDES / "c" / "slide.json"


@pytest.fixture(autouse=True)
def unchecked(cohort):
    """The slide c has not been checked yet."""
    OUTPUT.unlink()


def use(slide, **cells):
    """Let the slide c be another file."""
    document = yaml.safe_load(Path("datasets.yaml").read_text())
    document["datasets"]["colon"]["slides"][2].update(slide=str(slide), **cells)
    Path("datasets.yaml").write_text(yaml.safe_dump(document))


def test_record_says_size_spacing_and_levels():
    assert hooknet(*step("check-slide")).status == 0
    record = json.loads(OUTPUT.read_text())
    assert record["size"] == [220, 180]
    assert record["spacing"] == [1.0, 1.0]
    assert record["levels"] == [{"size": [220, 180], "spacing": [1.0, 1.0]}]
    assert record["bounds_offset"] == [0.0, 0.0]
    # Experiments that come later do not change it.
    assert not [key for key in record if "interpolated" in key]


def test_missing_slide():
    Path("c.tif").unlink()
    assert refuse(*step("check-slide")) == (
        "c.tif: found no such file; correct the slide's path in the datasets file"
    )


def test_folder_instead_of_a_slide():
    Path("folder.tif").mkdir()
    use("folder.tif")
    assert refuse(*step("check-slide")) == (
        "folder.tif: found no such file; correct the slide's path in the datasets file"
    )


def test_text_that_is_called_a_slide():
    Path("c.tif").write_text("hello")
    assert refuse(*step("check-slide")) == (
        "c.tif: OpenSlide cannot open it (Unsupported or missing image file); "
        "give a slide of a format it knows, such as a tiled pyramidal TIFF"
    )


def test_empty_slide_file():
    Path("c.tif").write_bytes(b"")
    assert refuse(*step("check-slide")).startswith("c.tif: OpenSlide cannot open it (")


def test_truncated_slide():
    made_slides.write_slide(
        Path("c.tif"), made_slides.grey(made_slides.random_bits(700, 700) * 255), spacing=1.0
    )
    content = Path("c.tif").read_bytes()
    # The directory stays (it stands first), the last tiles are gone.
    Path("c.tif").write_bytes(content[: len(content) * 3 // 4])
    message = refuse(*step("check-slide"))
    assert message.startswith("c.tif: ")
    assert (
        message.endswith("the file is damaged: copy or scan it again")
        or "OpenSlide cannot open it" in message
    )


def test_slide_without_spacing_names_the_override_and_takes_it():
    made_slides.write_slide(Path("c.tif"), np.full((180, 220, 3), 200, np.uint8), spacing=None)
    assert refuse(*step("check-slide")) == (
        "c.tif: the file does not say its spacing; set the slide's `spacing` in µm/px in the datasets file"
    )
    use("c.tif", spacing=0.9)
    assert hooknet(*step("check-slide")).status == 0
    record = json.loads(OUTPUT.read_text())
    assert (record["spacing"], record["file_spacing"]) == ([0.9, 0.9], None)


def test_slide_of_nonsense_spacing_names_the_override():
    made_slides.write_slide(Path("c.tif"), np.full((180, 220, 3), 200, np.uint8), spacing=352.8)
    message = refuse(*step("check-slide"))
    assert message.startswith("c.tif: the file says 352.8")
    assert message.endswith("µm/px, wanted 0.02..50; set the slide's `spacing` in µm/px in the datasets file")


def test_slide_too_coarse_for_an_experiment_names_the_finest_possible_spacing():
    made_slides.write_slide(Path("c.tif"), np.full((180, 220, 3), 200, np.uint8), spacing=2.0)
    assert refuse(*step("check-slide")) == (
        "c.tif: level 0 is at 2 µm/px, more than 5% coarser than the wanted 1; "
        "the finest possible spacing is 1.905 µm/px"
    )


def test_slide_slightly_too_coarse_is_interpolated_and_told(caplog):
    made_slides.write_slide(Path("c.tif"), np.full((180, 220, 3), 200, np.uint8), spacing=1.04)
    assert hooknet(*step("check-slide")).status == 0
    assert json.loads(OUTPUT.read_text())["spacing"] == [1.04, 1.04]
    assert "slightly coarser than 1: interpolated" in caplog.text


def test_unknown_slide_and_dataset_are_answered_with_the_possible_ones():
    assert refuse(*step("check-slide", slide="x")) == "no slide 'x'; possible: a, b, c"
    arguments = step("check-slide")
    arguments[arguments.index("colon")] = "colno"
    assert refuse(*arguments) == "datasets.yaml: no dataset 'colno'; did you mean 'colon'? possible: colon"


def test_wrong_configuration_is_one_line():
    text = Path("experiments.yaml").read_text()
    Path("experiments.yaml").write_text(text.replace("patch_size", "patch_siez"))
    assert refuse(*step("check-slide")).startswith(
        "experiments.yaml: experiments.unet.patch_siez: unknown key; did you mean 'patch_size'? possible: dataset, "
    )


@needs_shared
def test_real_slide_that_does_not_open():
    use(SHARED / "unopenable.tiff")
    message = refuse(*step("check-slide"))
    assert message.startswith(f"{SHARED}/unopenable.tiff: OpenSlide cannot open it (")
    assert message.endswith("); give a slide of a format it knows, such as a tiled pyramidal TIFF")


@needs_shared
def test_real_slide_that_opens_and_cannot_be_read():
    use(SHARED / "unreadable.svs")
    message = refuse(*step("check-slide"))
    assert message.startswith(f"{SHARED}/unreadable.svs: level 0 cannot be read at (")
    assert message.endswith("; the file is damaged: copy or scan it again")


@needs_shared
def test_real_slide_without_spacing():
    use(SHARED / "generic_no_mpp.tif")
    assert refuse(*step("check-slide")) == (
        f"{SHARED}/generic_no_mpp.tif: the file does not say its spacing; "
        "set the slide's `spacing` in µm/px in the datasets file"
    )


@needs_shared
def test_real_slide_that_is_right():
    shutil.copy(SHARED / "CMU-1-Small-Region.svs", "real.svs")
    use("real.svs")
    assert hooknet(*step("check-slide")).status == 0
    record = json.loads(OUTPUT.read_text())
    assert (record["size"], record["spacing"], record["vendor"]) == ([2220, 2967], [0.499, 0.499], "aperio")


def test_helper_notices_what_is_left_behind(monkeypatch):
    """The promise "nothing half-written" rests on this."""

    def leave(*_):
        Path("left.partial").touch()
        return made_cohort.Outcome(2, "", "hooknet: x\n")

    monkeypatch.setattr(made_cohort, "hooknet", leave)
    with pytest.raises(AssertionError, match="left behind"):
        refuse("anything")
