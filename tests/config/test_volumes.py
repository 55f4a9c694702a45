"""Slices of volumes in a dataset, and the channels that all its files have."""

import made_config
import pytest

from hooknet.config.project import load_project
from hooknet.errors import ConfigError

NO_COLOURS = {"augment": {"stain": 0, "saturation": 0}}


def rows(*changes):
    """Slices 0, 1, 2 of one volume, each with some keys changed."""
    plain = {"patient": "p1", "volume": "v", "thickness": 5.0, "split": None, "slide": "{}.slice.tif"}
    found = []
    for number, changed in enumerate(changes):
        row = {**plain, "id": f"s{number}", "slide": f"s{number}.slice.tif", "position": number, **changed}
        found.append({key: value for key, value in row.items() if value is not None})
    return found


def loaded(tmp_path, slides, experiment=None, **changes):
    dataset = made_config.dataset(slides=slides, **changes)
    experiments = {"unet": made_config.experiment(**(experiment or {}), checkpoint="w.ckpt")}
    return load_project(*made_config.write(tmp_path, {"colon": dataset}, experiments)).datasets["colon"]


def complaint(tmp_path, *arguments, **changes):
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, *arguments, **changes)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(f"{tmp_path}/", "")


def test_slices_keep_their_place(tmp_path):
    test = {"split": "test"}
    found = loaded(tmp_path, rows(test, {**test, "position": "7", "thickness": "5"}))
    assert [(one.volume, one.position, one.thickness) for one in found.slides] == [
        ("v", 0, 5.0),
        ("v", 7, 5.0),
    ]
    assert found.channels == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (({"position": None},),
         "datasets.colon.slides.0: found volume, thickness without position; a slice of a volume has all three, "
         "a slide none"),
        (({"volume": None, "position": None},),
         "datasets.colon.slides.0: found thickness without volume, position; a slice of a volume has all three, "
         "a slide none"),
        (({"position": -1},), "datasets.colon.slides.0.position: found -1, wanted greater than or equal to 0"),
        (({"thickness": 0},), "datasets.colon.slides.0.thickness: found 0, wanted greater than 0"),
        (({}, {"position": 0}),
         "datasets.colon: slides 's0' and 's1' both have position 0 of volume 'v'; give each its own"),
        (({}, {}, {"thickness": 5.5}),
         "datasets.colon: slides 's0' and 's2' are of one volume 'v', but their thickness is 5.0 and 5.5; "
         "give both one"),
        (({}, {"patient": "p2"}),
         "datasets.colon: slides 's0' and 's1' are of one volume 'v', but their patient is 'p1' and 'p2'; "
         "give both one"),
        (({}, {"patient": None}),
         "datasets.colon: slides 's0' and 's1' are of one volume 'v', but their patient is 'p1' and 's1'; "
         "give both one"),
    ],
)  # fmt: skip
def test_slices_that_make_no_volume_are_one_exact_line(tmp_path, changes, message):
    assert complaint(tmp_path, rows(*changes)) == f"datasets.yaml: {message}"


@pytest.mark.parametrize(
    ("slide", "spacing", "possible"),
    [
        ("a.slice.tif", 1500, True), ("a.slice.tif", "1500 x 1562.5", True), ("a.SLICE.TIF", 20, True),
        ("a.slice.tif", 0.25, False), ("a.slice.tif", 20_001, False), ("a.tif", 1500, False), ("a.tif", 0.25, True),
    ],
)  # fmt: skip
def test_the_spacing_of_a_slice_is_one_of_scans(tmp_path, slide, spacing, possible):
    slides = [{"id": "a", "slide": slide, "spacing": spacing, "split": "test"}]
    if possible:
        assert loaded(tmp_path, slides).slides[0].spacing_override.y == float(str(spacing).split("x")[-1])
    else:
        limits = "20..20000" if "slice" in slide else "0.02..50"
        assert complaint(tmp_path, slides) == (
            f"datasets.yaml: datasets.colon.slides.0.spacing: found {spacing!r}, wanted the spacing in µm/px "
            f"({limits}), or one for x and one for y"
        )


@pytest.mark.parametrize("channels", [0, 65])
def test_channels_are_1_to_64(tmp_path, channels):
    assert complaint(tmp_path, made_config.SLIDES, channels=channels).startswith(
        f"datasets.yaml: datasets.colon.channels: found {channels}, wanted "
    )


def trained(tmp_path, channels, **experiment):
    paths = made_config.write(
        tmp_path,
        {"colon": made_config.dataset(channels=channels)},
        {"unet": made_config.experiment(**experiment)},
    )
    return load_project(*paths)


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize(("key", "other"), [("stain", "saturation"), ("saturation", "stain")])
def test_colours_of_other_bands_than_three_are_refused(tmp_path, channels, key, other):
    with pytest.raises(ConfigError) as caught:
        trained(tmp_path, channels, augment={key: 0.05, other: 0})
    assert str(caught.value).endswith(
        f"experiments.yaml: experiments.unet.augment.{key}: found 0.05, but datasets.colon.channels is {channels}, "
        f"and {key} varies red, green and blue; set it to 0"
    )
    assert trained(tmp_path, channels, **NO_COLOURS).datasets["colon"].channels == channels
    assert trained(tmp_path, 3).datasets["colon"].channels == 3


def test_models_of_three_colours_are_not_for_other_bands(tmp_path):
    paths = made_config.write(
        tmp_path,
        {"colon": made_config.dataset(channels=1)},
        {"patches": {"dataset": "colon", "model": "classifier"}},
    )
    with pytest.raises(
        ConfigError, match=r"which takes red, green and blue, but datasets\.colon\.channels is 1"
    ):
        load_project(*paths)
