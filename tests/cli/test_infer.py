from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from made_cohort import GLAND, HEIGHT, RUN, SLIDES, STROMA, WIDTH, hooknet, refuse, step

from hooknet.io.masks import Mask

MAP = RUN / "maps" / "c.tif"
BEST = RUN / "best.ckpt"


@pytest.fixture(autouse=True)
def unmapped(cohort):
    MAP.rename("before.tif")


def change(**settings):
    document = yaml.safe_load(Path("experiments.yaml").read_text())
    document["experiments"]["unet"].update(settings)
    Path("experiments.yaml").write_text(yaml.safe_dump(document))


def read(path):
    with Mask.open(path) as mask:
        assert mask.names == ("stroma", "gland")
        return mask.read(0, 0, WIDTH, HEIGHT)


def test_map_covers_all_annotated_pixels_and_no_glass():
    assert hooknet(*step("infer")).status == 0
    found = read(MAP)
    for left, top, right, bottom in (STROMA, GLAND):
        assert (found[top:bottom, left:right] > 0).all()
    assert (found[:8] == 0).all()
    assert (found[:, :8] == 0).all()
    assert MAP.read_bytes() == Path("before.tif").read_bytes()


def test_everything_leaves_no_pixel_out_and_needs_no_tissue_mask():
    change(infer={"over": "everything", "tile": 76})
    (SLIDES / "c" / "tissue.tif").unlink()
    arguments = step("infer")
    place = arguments.index("--tissue")
    assert hooknet(*arguments[:place], *arguments[place + 2 :]).status == 0
    assert (read(MAP) > 0).all()


def test_map_does_not_depend_on_the_tile():
    change(infer={"tile": 140})
    assert hooknet(*step("infer")).status == 0
    assert np.array_equal(read(MAP), read("before.tif"))


def test_probabilities_are_written_where_asked_for():
    path = RUN / "probabilities" / "c.tif"
    assert hooknet(*step("infer"), "--probabilities", path).status == 0
    assert path.is_file()


def test_missing_tissue_mask_is_one_line():
    (SLIDES / "c" / "tissue.tif").unlink()
    assert refuse(*step("infer")) == f"{SLIDES}/c/tissue.tif: no such file, wanted a single-band uint8 raster"


def test_tissue_mask_that_was_not_given_is_one_line():
    arguments = step("infer")
    place = arguments.index("--tissue")
    assert refuse(*arguments[:place], *arguments[place + 2 :]) == (
        "run unet: infers over tissue, found no tissue mask; give --tissue (see detect-tissue)"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"network": {"filters": 2, "depth": 1}}, "trained with network "),
        ({"spacings": [2.0]}, "trained with spacings [1.0], run unet has [2.0]; train the run again or use the "
         "experiment the weights come from"),
        ({"model": "hooknet", "spacings": [1.0, 2.0]}, "trained with model unet, run unet has hooknet; train the run "
         "again or use the experiment the weights come from"),
    ],
)  # fmt: skip
def test_checkpoint_of_other_settings_is_one_line(settings, message):
    change(**settings)
    assert refuse(*step("infer")).startswith(f"{BEST}: {message}")


def test_checkpoint_of_other_classes_is_one_line():
    text = Path("datasets.yaml").read_text()
    Path("datasets.yaml").write_text(text.replace("gland:", "tumour:"))
    assert refuse(*step("infer")) == (
        f"{BEST}: trained with classes ['stroma', 'gland'], run unet has ['stroma', 'tumour']; "
        "train the run again or use the experiment the weights come from"
    )


def test_missing_checkpoint_is_one_line():
    BEST.unlink()
    assert refuse(*step("infer")) == f"{BEST}: no such file; train the model first or give another checkpoint"


def test_checkpoint_cut_short_is_one_line():
    BEST.write_bytes(BEST.read_bytes()[:-200])
    message = refuse(*step("infer"))
    assert message.startswith(f"{BEST}: damaged or no checkpoint (")
    assert message.endswith("); train or copy it again")


def test_checkpoint_with_a_changed_byte_is_one_line():
    weights = torch.load(BEST, weights_only=True)["state"]
    largest = bytes(max(weights.values(), key=torch.numel).untyped_storage())  # in the order of the file
    content = bytearray(BEST.read_bytes())
    place = content.index(largest)  # within a tensor: the file's own padding has no check sum and no meaning
    content[place + len(largest) // 2] ^= 0xFF
    BEST.write_bytes(content)
    assert refuse(*step("infer")).startswith(f"{BEST}: damaged or no checkpoint (")


def test_weights_of_another_program_are_one_line():
    torch.save({"weights": torch.zeros(3)}, BEST)
    assert refuse(*step("infer")) == (
        f"{BEST}: weights of another program; wanted a file written by hooknet train"
    )


def test_unreadable_slide_is_one_line():
    Path("c.tif").write_text("hello")
    assert refuse(*step("infer")).startswith("c.tif: OpenSlide cannot open it (")


def test_failure_keeps_the_map_that_was_there():
    Path("before.tif").rename(MAP)
    BEST.unlink()
    refuse(*step("infer"))
    assert read(MAP).any()
