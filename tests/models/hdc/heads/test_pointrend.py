import numpy as np
import pytest
import torch
from torch import nn

from hooknet.models.hdc.heads.pointrend import PointHead, sample, uncertainty
from hooknet.shapes.hdc_heads import PointOptions, pointrend_parameters
from hooknet.training.point_loss import point_loss

FEATURES, CLASSES = 4, 3


class Coarse(nn.Module):
    """In place of the layers: the coarse logits as they come, and so many more."""

    def __init__(self, more=0.0):
        super().__init__()
        self.more = more

    def forward(self, joined):
        return joined[:, FEATURES:] + self.more


def head_of(layers=None, features=FEATURES, classes=CLASSES, **options):
    torch.manual_seed(0)
    head = PointHead(features, classes, PointOptions(**({"hidden": 8} | options))).double().eval()
    if layers is not None:
        head.layers = layers
    return head


def maps_of(size=6, classes=CLASSES, batch=2, seed=1):
    """Coarse logits, and features of twice their size."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.normal(0, 2, (batch, classes, size, size)))
    return coarse, torch.from_numpy(rng.normal(size=(batch, FEATURES, 2 * size, 2 * size)))


def enlarged(logits, size):
    return nn.functional.interpolate(logits, size=(size, size), mode="bilinear", align_corners=False)


def changed(found, before):
    """Which px (B, H, W) have other logits."""
    return ((found - before).abs() > 1e-9).any(dim=1)


def lowest(values, count):
    """(B, H, W) bool: the ``count`` lowest of each image."""
    flat = values.reshape(len(values), -1)
    found = np.zeros(flat.shape, bool)
    np.put_along_axis(found, np.argsort(flat, axis=1)[:, :count], True, axis=1)
    return found.reshape(values.shape)


def certainty(logits):
    """Best logit less the second best."""
    ordered = np.sort(logits.numpy(), axis=1)
    return ordered[:, -1] - ordered[:, -2]


@pytest.mark.parametrize("mode", ["paper", "repo"])
@pytest.mark.parametrize(("features", "classes", "hidden"), [(5, 3, 7), (1, 1, 2), (480, 4, 128)])
def test_parameters_are_those_of_the_arithmetic(mode, features, classes, hidden):
    head = PointHead(features, classes, PointOptions(mode=mode, hidden=hidden))
    assert sum(one.numel() for one in head.parameters()) == pointrend_parameters(
        features, classes, hidden, mode
    )


def test_sampling_by_hand():
    values = torch.tensor([[[[0.0, 1.0], [10.0, 11.0]]]], dtype=torch.float64)  # x + 10 y of the px
    places = [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.5, 0.5], [0.35, 0.7], [0.0, 0.0], [1.0, 0.5]]
    found = sample(values, torch.tensor([places], dtype=torch.float64))[0, 0]
    assert found.tolist() == pytest.approx([0, 1, 10, 5.5, 0.2 + 9, 0, 1 + 5])


def test_uncertainty_by_hand():
    logits = torch.tensor([[[3.0, -1.0, 2.0], [0.0, 0.0, 1.0]]])
    assert uncertainty(logits.transpose(1, 2)).tolist() == [[-1.0, -1.0]]
    assert uncertainty(torch.tensor([[[2.0, 0.5], [2.0, 1.5]]])).tolist() == [[0.0, -1.0]]
    # One class alone is undecided about 0.
    assert uncertainty(torch.tensor([[[-3.0, 0.5]]])).tolist() == [[-3.0, -0.5]]


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_points_have_the_logits_of_their_places(classes):
    coarse, features = maps_of(classes=classes)
    points = head_of(Coarse(more=1.0), classes=classes, points=50)(coarse, features)
    assert points.places.shape == (2, 50, 2)
    assert 0 <= points.places.min() < points.places.max() < 1
    torch.testing.assert_close(points.logits, sample(coarse, points.places) + 1)


def test_the_important_points_are_the_most_uncertain_of_the_candidates():
    coarse, features = maps_of()
    options = {"points": 20, "oversample": 4, "important": 0.75}
    head = head_of(Coarse(), **options)
    torch.manual_seed(5)
    found = head(coarse, features).places
    torch.manual_seed(5)
    candidates = torch.rand(2, 80, 2, dtype=torch.float64)
    certain = certainty(sample(coarse, candidates))
    best = np.argsort(certain, axis=1)[:, :15]
    wanted = np.take_along_axis(candidates.numpy(), best[..., None], axis=1)
    np.testing.assert_array_equal(found[:, :15].numpy(), wanted)
    torch.testing.assert_close(found[:, 15:], torch.rand(2, 5, 2, dtype=torch.float64))


def test_points_crowd_where_logits_are_undecided():
    # Decided by x alone, undecided in the middle.
    slope = torch.linspace(-4, 4, 16, dtype=torch.float64).expand(1, 1, 16, 16)
    coarse = torch.cat([slope, -slope], dim=1)
    features = torch.zeros(1, FEATURES, 16, 16, dtype=torch.float64)
    torch.manual_seed(0)
    places = head_of(classes=2, points=400)(coarse, features).places[0]
    distance = (places[:300, 0] - 0.5).abs()
    # The 300 nearest of 1200 even ones lie within an eighth of the middle, and some more by chance.
    assert distance.max() < 0.16
    assert (places[300:, 0] - 0.5).abs().max() > 0.4


def test_draws_follow_the_global_seed():
    coarse, features = maps_of()
    head = head_of(points=10)
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(head(coarse, features).places)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0][0], drawn[0][1])  # images have places of their own


@pytest.mark.parametrize("mode", ["paper", "repo"])
def test_coarse_logits_enter_the_layers_at_their_start(mode):
    coarse, features = maps_of()
    head = head_of(mode=mode, points=6)
    places = torch.rand(2, 6, 2, dtype=torch.float64)
    x = torch.cat([sample(features, places), sample(coarse, places)], dim=1).transpose(1, 2).numpy()
    weights = [(one.weight[..., 0].detach().numpy(), one.bias.detach().numpy()) for one in head.layers[::2]]
    assert len(weights) == {"paper": 4, "repo": 3}[mode]
    for number, (weight, bias) in enumerate(weights):
        x = x @ weight.T + bias
        x = np.maximum(x, 0) if number < len(weights) - 1 else x
    found = head._classified(coarse, features, places)
    np.testing.assert_allclose(found.detach().numpy(), x.transpose(0, 2, 1), atol=1e-14)


@pytest.mark.parametrize(("size", "classes"), [(12, 1), (12, 2), (6, 3)])
def test_px_whose_layers_give_the_coarse_logits_stay_as_they_are(size, classes):
    coarse, features = maps_of(classes=classes)
    found = head_of(Coarse(), classes=classes, inference_points=30).refine(coarse, features, size)
    torch.testing.assert_close(found, enlarged(coarse, size), rtol=0, atol=1e-13)


@pytest.mark.parametrize("size", [6, 12])
def test_exactly_the_most_uncertain_px_change_in_one_step(size):
    coarse, features = maps_of()
    found = head_of(Coarse(more=1.0), inference_points=17).refine(coarse, features, size)
    before = enlarged(coarse, size)
    px = changed(found, before)
    np.testing.assert_array_equal(px.numpy(), lowest(certainty(before), 17))
    moved = px[:, None].expand_as(found)
    torch.testing.assert_close(found[moved], before[moved] + 1)


def test_a_stride_of_4_takes_two_steps():
    coarse, features = maps_of()
    found = head_of(Coarse(more=1.0), inference_points=17).refine(coarse, features, 24)
    half = enlarged(coarse, 12)
    half[torch.from_numpy(lowest(certainty(half), 17))[:, None].expand_as(half)] += 1
    full = enlarged(half, 24)
    chosen = torch.from_numpy(lowest(certainty(full), 17))[:, None].expand_as(full)
    # Whatever the step, px see the coarse logits themselves.
    torch.testing.assert_close(found, torch.where(chosen, enlarged(coarse, 24) + 1, full))


def test_what_subdivisions_leave_is_bilinear():
    coarse, features = maps_of()
    one = head_of(Coarse(more=1.0), inference_points=17, subdivisions=1)
    torch.testing.assert_close(
        one.refine(coarse, features, 24), enlarged(one.refine(coarse, features, 12), 24)
    )
    # A size that is no power of two times the map's: the second doubling goes as far as it is.
    assert head_of().refine(coarse, features, 17).shape == (2, CLASSES, 17, 17)


def test_all_px_are_classified_where_the_map_has_no_more():
    coarse, features = maps_of()
    found = head_of(Coarse(more=1.0)).refine(coarse, features, 12)
    torch.testing.assert_close(found, enlarged(coarse, 12) + 1)


def test_in_repo_evaluation_the_least_probable_px_change_but_a_quarter_at_most():
    coarse, features = maps_of()
    before = enlarged(coarse, 12)
    for points, count in ((17, 17), (2048, 36)):
        found = head_of(Coarse(more=1.0), mode="repo", points=points).refine(coarse, features, 12)
        px = changed(found, before)
        np.testing.assert_array_equal(px.numpy(), lowest(before.softmax(dim=1).amax(dim=1).numpy(), count))
        torch.testing.assert_close(
            found[px[:, None].expand_as(found)], before[px[:, None].expand_as(found)] + 1
        )


def test_in_repo_training_three_quarters_are_the_least_probable_and_no_px_is_taken_twice():
    coarse, features = maps_of()
    before = enlarged(coarse, 12)
    least = lowest(before.softmax(dim=1).amax(dim=1).numpy(), 30)
    head = head_of(Coarse(more=1.0), mode="repo", points=40).train()
    others = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        px = changed(head.refine(coarse, features, 12), before).numpy()
        assert (px.sum(axis=(1, 2)) == 40).all()
        assert px[least].all()
        others.append(px)
    assert (others[0] == others[1]).all()
    assert (others[0] != others[2]).any()


def test_in_repo_training_a_small_map_is_classified_all_over():
    coarse, features = maps_of()
    found = head_of(Coarse(more=1.0), mode="repo").train().refine(coarse, features, 6)
    torch.testing.assert_close(found, coarse + 1)


@pytest.mark.parametrize("mode", ["paper", "repo"])
def test_all_parameters_and_inputs_get_a_gradient(mode):
    coarse, features = (one.requires_grad_() for one in maps_of(size=4))
    head = head_of(mode=mode, points=40).train()
    labels = torch.randint(1, 4, (2, 16, 16), generator=torch.Generator().manual_seed(3))
    if mode == "paper":
        loss = point_loss(head(coarse, features), labels)
    else:
        loss = nn.functional.cross_entropy(head.refine(coarse, features, 16), labels - 1)
    loss.backward()
    for one in (coarse, features, *head.parameters()):
        assert one.grad.any()


@pytest.mark.parametrize("mode", ["paper", "repo"])
def test_points_learn_what_the_features_tell(mode):
    # Coarse logits know nothing; the class is the sign of a feature.
    coarse = torch.zeros(1, 2, 4, 4, dtype=torch.float64)
    features = torch.randn(1, FEATURES, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = (features[:, 0] > 0).long() + 1
    head = head_of(classes=2, mode=mode, points=64, hidden=16).train()
    optimiser = torch.optim.Adam(head.parameters(), lr=0.02)
    for _ in range(80):
        optimiser.zero_grad()
        if mode == "paper":
            loss = point_loss(head(coarse, features), labels)
        else:
            loss = nn.functional.cross_entropy(head.refine(coarse, features, 8), labels - 1)
        loss.backward()
        optimiser.step()
    head.eval()
    logits = head.refine(coarse, features, 8)
    # In repo evaluation a quarter of the px is classified, the rest is as undecided as before.
    refined = logits.abs().amax(dim=1) > 0
    assert refined.sum() == (64 if mode == "paper" else 16)
    right = logits.argmax(dim=1) + 1 == labels
    assert right[refined].double().mean() > 0.95


def test_half_precision_places_are_single():
    coarse, features = (one.bfloat16() for one in maps_of())
    head = head_of(points=10).bfloat16()
    points = head(coarse, features)
    assert (points.places.dtype, points.logits.dtype) == (torch.float32, torch.bfloat16)
    assert head.refine(coarse, features, 24).dtype == torch.bfloat16


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:.*torch.jit.trace:DeprecationWarning")
@pytest.mark.parametrize(("mode", "size"), [("paper", 24), ("paper", 6), ("repo", 24)])
def test_it_can_be_traced(mode, size):
    class Refine(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = head_of(mode=mode, points=20, inference_points=20)

        def forward(self, coarse, features):
            return self.head.refine(coarse, features, size)

    network, (first, other) = Refine().eval(), (maps_of(seed=1), maps_of(seed=2))
    traced = torch.jit.trace(network, first, check_trace=False)
    torch.testing.assert_close(traced(*other), network(*other))
