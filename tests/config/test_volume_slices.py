import pytest

from hooknet.config.slides import SlideSettings
from hooknet.config.volumes import volume_named, volumes_of
from hooknet.errors import ConfigError


def row(name, volume, position, **changes):
    return SlideSettings(id=name, volume=volume, position=position, thickness=2.5, **changes)


def test_slices_are_in_the_order_of_their_positions_and_slides_are_none():
    slides = [row("b", "v", 9), row("x", "w", 0), SlideSettings(id="slide"), row("a", "v", 8)]
    found = volumes_of(slides)
    assert list(found) == ["v", "w"]
    assert ([one.id for one in found["v"].slides], found["v"].positions) == (["a", "b"], (8, 9))
    assert found["v"].thickness == 2.5
    assert volumes_of([SlideSettings(id="slide")]) == {}


@pytest.mark.parametrize(
    ("first", "second", "role"),
    [
        ({"annotation": "a", "truth": "t"}, {"annotation": "a", "truth": "t"}, "truth"),
        ({"annotation": "a", "truth": "t"}, {"truth": "t"}, "truth"),
        ({"annotation": "a", "truth": "t"}, {"annotation": "a"}, "labels"),
        ({"truth": "t"}, {"annotation": "a"}, None),
        ({"truth": "t"}, {}, None),
    ],
)
def test_a_volume_is_scored_against_what_all_its_slices_have(first, second, role):
    found = volumes_of([row("a", "v", 0, **first), row("b", "v", 1, **second)])["v"]
    assert found.role == role
    if role is not None:
        assert found.scored_role == role
        return
    with pytest.raises(
        ConfigError, match="volume 'v' has slices without annotation or truth, wanted one of the two"
    ):
        _ = found.scored_role


def test_a_volume_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(ConfigError, match=r"^no volume 'p2'; possible: p1$"):
        volume_named([row("a", "p1", 0)], "p2")
