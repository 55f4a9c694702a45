"""Trainings that end well and look wrong."""

import pytest

from hooknet.training.suspicion import suspicions


def rows(losses, **f1):
    """Of metrics.csv; ``f1`` by class, the same in every epoch unless it is a list."""
    return [
        {"train_loss": loss, **{f"f1_{name}": one[place] if isinstance(one, list) else one for name, one in f1.items()}}
        for place, loss in enumerate(losses)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("losses", "told"),
    [
        ([1.0, 0.9, 0.8], False),
        ([1.0, 0.985, 1.1], False),
        ([1.0, 0.995, 0.9901], True),
        ([1.0, 1.0, 1.0, 1.0], True),
        ([1.0, 2.0, 3.0], True),
        ([1.0, 1.0], False),
        ([], False),
    ],
)
def test_a_loss_that_has_not_fallen_by_a_hundredth_is_told_after_three_epochs(losses, told):
    found = suspicions(rows(losses, a=0.5), ["a"])
    assert len(found) == told
    if told:
        assert (
            f"has not fallen in {len(losses)} epochs (1 in the first, {losses[-1]:.4g} in the last)"
            in found[0]
        )


def test_a_class_that_is_never_recognised_is_told():
    found = suspicions(rows([3, 2, 1], a=[0, 0, 0.1], b=0.0, c=float("nan")), ["a", "b", "c"])
    assert found == [
        "validation never recognised b, c; check these annotations, the spacing, and train longer"
    ]


def test_nothing_is_said_of_an_empty_or_a_good_training():
    assert suspicions([], ["a"]) == []
    assert suspicions(rows([3, 2, 1], a=0.4), ["a"]) == []
