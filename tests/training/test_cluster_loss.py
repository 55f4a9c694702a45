import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hooknet.training.cluster_loss import cluster_cross_entropy

REDUCTIONS = pytest.mark.parametrize("reduction", ["per_class", "poster"])


def logits_of(*probabilities):
    """Logits (B, K) with these probabilities."""
    return torch.tensor(probabilities, dtype=torch.float64).log()


def batch(seed, count=40, classes=3, clusters=5):
    rng = np.random.default_rng(seed)
    return (
        torch.from_numpy(rng.normal(0, 2, (count, classes))),
        torch.from_numpy(rng.integers(0, classes + 1, count).astype(np.uint8)),
        torch.from_numpy(rng.integers(0, clusters, count)),
    )


def by_definition(logits, labels, clusters, reduction):
    """Patch by patch in plain Python."""
    groups = {}
    for z, label, cluster in zip(logits.tolist(), labels.tolist(), clusters.tolist(), strict=True):
        if label:
            p = math.exp(z[label - 1]) / sum(math.exp(one) for one in z)
            lost = -math.log(min(max(p, 1e-7), 1 - 1e-7))
            groups.setdefault(label if reduction == "per_class" else 0, {}).setdefault(cluster, []).append(
                lost
            )
    mean = np.mean
    return mean([mean([mean(lost) for lost in of.values()]) for of in groups.values()]) if groups else 0.0


# Class 1: cluster 0 with p = 1/2 and 1/8, cluster 2 with p = 1/4; class 2: cluster 0 with p = 1/2; one ignored.
LOGITS = logits_of((1 / 2, 1 / 2), (1 / 8, 7 / 8), (1 / 4, 3 / 4), (1 / 2, 1 / 2), (0.9, 0.1))
LABELS = torch.tensor([1, 1, 1, 2, 0], dtype=torch.uint8)
CLUSTERS = torch.tensor([0, 0, 2, 0, 1])


def test_per_class_by_hand():
    # Bits: class 1: cluster 0 (1 + 3) / 2, cluster 2 2: mean 2.  Class 2: 1.  Mean 1.5.
    found = cluster_cross_entropy(LOGITS, LABELS, CLUSTERS, 4, "per_class")
    assert float(found) == pytest.approx(1.5 * math.log(2), rel=1e-12)


def test_poster_by_hand():
    # Bits: cluster 0 (1 + 3 + 1) / 3, cluster 2 2; clusters 1 (ignored) and 3 (absent) do not count.
    found = cluster_cross_entropy(LOGITS, LABELS, CLUSTERS, 4, "poster")
    assert float(found) == pytest.approx((5 / 3 + 2) / 2 * math.log(2), rel=1e-12)


@REDUCTIONS
@pytest.mark.parametrize("seed", range(5))
def test_it_is_what_the_definition_says(reduction, seed):
    logits, labels, clusters = batch(seed)
    found = cluster_cross_entropy(logits, labels, clusters, 5, reduction)
    assert float(found) == pytest.approx(by_definition(logits, labels, clusters, reduction), rel=1e-12)


def test_one_cluster_per_class_is_the_class_balanced_cross_entropy():
    logits, labels, _ = batch(1)
    found = cluster_cross_entropy(logits, labels, torch.zeros(40, dtype=torch.long), 1, "per_class")
    # A mean weighed with the inverse of the patches of a class, which torch has.
    known = labels > 0
    target = labels[known].long() - 1
    weight = 1 / torch.bincount(target, minlength=3).double()
    wanted = torch.nn.functional.cross_entropy(logits[known], target, weight)
    assert float(found) == pytest.approx(float(wanted), rel=1e-12)


def test_one_cluster_of_the_poster_is_the_mean_cross_entropy():
    logits, labels, _ = batch(1)
    found = cluster_cross_entropy(logits, labels, torch.zeros(40, dtype=torch.long), 1, "poster")
    wanted = torch.nn.functional.cross_entropy(logits, labels.long() - 1, ignore_index=-1)
    assert float(found) == pytest.approx(float(wanted), rel=1e-12)


@REDUCTIONS
def test_absent_classes_and_clusters_change_nothing(reduction):
    narrow = cluster_cross_entropy(LOGITS, LABELS, CLUSTERS, 3, reduction)
    wide = torch.cat([LOGITS, torch.full((5, 2), -1e4, dtype=torch.float64)], dim=1)
    assert float(cluster_cross_entropy(wide, LABELS, CLUSTERS, 50, reduction)) == pytest.approx(float(narrow))


@REDUCTIONS
def test_with_all_ignored_the_loss_is_0_and_so_is_its_gradient(reduction):
    logits = torch.randn(4, 3, requires_grad=True)
    none = torch.zeros(4, dtype=torch.uint8)
    loss = cluster_cross_entropy(logits, none, torch.arange(4), 4, reduction)
    loss.backward()
    assert float(loss.detach()) == 0
    assert logits.grad.abs().max() == 0


@REDUCTIONS
def test_an_ignored_patch_gets_no_gradient(reduction):
    logits = LOGITS.clone().requires_grad_()
    cluster_cross_entropy(logits, LABELS, CLUSTERS, 4, reduction).backward()
    assert logits.grad[4].abs().max() == 0
    assert logits.grad[:4].abs().sum(dim=1).min() > 0


@given(st.permutations(range(20)), st.sampled_from(["per_class", "poster"]))
def test_the_order_of_the_batch_does_not_matter(order, reduction):
    logits, labels, clusters = batch(3, 20)
    one = cluster_cross_entropy(logits, labels, clusters, 5, reduction)
    other = cluster_cross_entropy(logits[order], labels[order], clusters[order], 5, reduction)
    assert float(one) == pytest.approx(float(other), rel=1e-12)


@REDUCTIONS
def test_a_patch_shown_twice_weighs_no_more_where_it_is_its_cluster(reduction):
    twice = torch.tensor([0, 1, 2, 2, 3, 4])
    one = cluster_cross_entropy(LOGITS, LABELS, CLUSTERS, 3, reduction)
    other = cluster_cross_entropy(LOGITS[twice], LABELS[twice], CLUSTERS[twice], 3, reduction)
    assert float(one) == pytest.approx(float(other), rel=1e-12)


@REDUCTIONS
def test_the_gradient_is_that_of_the_loss(reduction):
    logits, labels, clusters = batch(5, 12)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda z: cluster_cross_entropy(z, labels, clusters, 5, reduction), (logits,), atol=1e-8
    )


@REDUCTIONS
def test_probabilities_are_clipped_at_both_ends(reduction):
    logits = torch.tensor([[-40.0, 0.0], [40.0, 0.0]], dtype=torch.float64, requires_grad=True)
    labels = torch.ones(2, dtype=torch.uint8)
    loss = cluster_cross_entropy(logits, labels, torch.zeros(2, dtype=torch.long), 1, reduction)
    assert float(loss.detach()) == pytest.approx((-math.log(1e-7) - math.log(1 - 1e-7)) / 2, rel=1e-12)
    loss.backward()
    assert logits.grad.abs().max() == 0


@REDUCTIONS
def test_it_is_in_single_precision_under_autocast(reduction):
    logits, labels, clusters = batch(6)
    half = logits.to(torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        found = cluster_cross_entropy(half, labels, clusters, 5, reduction)
    assert found.dtype == torch.float32
    wanted = by_definition(half.double(), labels, clusters, reduction)
    assert float(found) == pytest.approx(wanted, rel=1e-5)


def test_cluster_numbers_may_be_of_any_integer_type():
    for kind in (torch.uint8, torch.int32, torch.int64):
        found = cluster_cross_entropy(LOGITS, LABELS, CLUSTERS.to(kind), 4)
        assert float(found) == pytest.approx(1.5 * math.log(2), rel=1e-12)


def test_a_cluster_that_cannot_be_is_an_error():
    with pytest.raises(IndexError, match="out of bounds"):
        cluster_cross_entropy(LOGITS, LABELS, CLUSTERS, 2)
