"""The pool of single views: what it can tell, and that it does not tell what it was fitted on."""

import numpy as np
import pytest
from scipy.optimize import check_grad

from hooknet.search import pool

CENTRES = 600


def views(seed=0):
    """Three classes; one view knows class 1 from the others, another class 2 from the others, both a bit unsure."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(1, 4, CENTRES).astype(np.uint8)
    first = np.where((labels == 1)[:, None], [0.8, 0.1, 0.1], [0.1, 0.45, 0.45])
    second = np.where((labels == 2)[:, None], [0.1, 0.8, 0.1], [0.45, 0.1, 0.45])
    return first, second, labels


def accuracy(shares, labels):
    return float((shares.argmax(axis=1) + 1 == labels).mean())


def test_two_views_tell_together_what_neither_tells_alone():
    first, second, labels = views()
    groups = np.arange(CENTRES) // 30
    both = pool.pooled([first, second], labels, groups)
    assert accuracy(both, labels) == 1.0
    for one in (first, second):
        assert accuracy(pool.pooled([one], labels, groups), labels) < 0.72
    assert both.sum(axis=1) == pytest.approx(1.0)


def test_views_that_guess_gain_nothing_by_being_two():
    """Of two that guess one is right more often than each; the pool is not fooled by that."""
    rng = np.random.default_rng(1)
    labels = rng.integers(1, 3, CENTRES).astype(np.uint8)
    always = [np.tile(one, (CENTRES, 1)) for one in ([0.9, 0.1], [0.1, 0.9])]
    assert max(accuracy(one, labels) for one in always) < 0.55
    told = pool.pooled(always, labels, np.arange(CENTRES) // 30)
    assert accuracy(told, labels) < 0.56


def test_a_group_is_told_by_a_pool_that_has_not_seen_it():
    first, second, labels = views(2)
    groups = np.arange(CENTRES) % 5
    before = pool.pooled([first, second], labels, groups)
    wrong = labels.copy()
    wrong[groups == 3] = 4 - wrong[groups == 3]
    after = pool.pooled([first, second], wrong, groups)
    assert after[groups == 3] == pytest.approx(before[groups == 3], abs=1e-9)
    assert np.abs(after[groups == 1] - before[groups == 1]).max() > 1e-3


def test_one_group_alone_has_a_pool_of_its_own():
    first, second, labels = views(3)
    told = pool.pooled([first, second], labels, np.zeros(CENTRES, np.int64))
    assert accuracy(told, labels) == 1.0


def test_the_gradient_is_that_of_the_loss():
    first, second, labels = views(4)
    evidence = np.log(np.stack([first, second], axis=-1))
    loss = pool.loss_of(evidence, labels.astype(np.int64) - 1)
    at = np.array([0.7, 1.3, 0.1, -0.2, 0.3])
    assert check_grad(lambda x: loss(x)[0], lambda x: loss(x)[1], at) < 1e-6


def test_a_view_that_misleads_is_left_out():
    """Weights are not negative: a view whose opinion is the opposite of the truth counts as none."""
    first, second, labels = views(5)
    inverted = 1 / first
    inverted /= inverted.sum(axis=1, keepdims=True)
    groups = np.arange(CENTRES) // 30
    alone = pool.pooled([second], labels, groups)
    assert pool.pooled([second, inverted], labels, groups) == pytest.approx(alone, abs=1e-4)


def test_a_class_that_one_patient_alone_shows_is_told_as_the_view_tells_it():
    """The pool of the others has never seen it; it is not to learn that there is none."""
    labels = np.array([1, 2] * 100 + [3, 1] * 20, np.uint8)
    patients = np.repeat(np.arange(6), 40)
    # Right of nine centres in ten: a view that is never wrong would need no bias.
    told = np.where(np.arange(len(labels)) % 10 == 7, labels % 3 + 1, labels)
    view = np.full((len(labels), 3), 0.1)
    view[np.arange(len(labels)), told - 1] = 0.8
    found = pool.pooled([view], labels, patients)
    assert found.argmax(axis=1)[labels == 3] == pytest.approx(view.argmax(axis=1)[labels == 3])
    assert (found.argmax(axis=1)[labels == 3] == 2).any()
