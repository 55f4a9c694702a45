import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from hooknet.errors import CheckpointError, ConfigError
from hooknet.models.checkpoint import load_checkpoint, restore, save_checkpoint
from hooknet.models.clusters import ClusterModel, calibrate, fit_clusters

RNG = np.random.default_rng(3)
#: 300 rows of 24 features of very different scales and offsets; the third never changes.
FEATURES = (
    RNG.normal(0, 1, (300, 24)) @ RNG.normal(0, 1, (24, 24)) * np.geomspace(0.01, 100, 24) + 50
).astype(np.float32)
FEATURES[:, 2] = 7
NEW = FEATURES[:50] + RNG.normal(0, 0.1, (50, 24)).astype(np.float32) * FEATURES.std(axis=0)


def told(model, features):
    return model(torch.from_numpy(features)).numpy()


@pytest.mark.parametrize(("clusters", "components"), [(10, 128), (10, 6), (1, 1), (4, 24)])
def test_clusters_are_those_of_the_pipeline_of_sklearn(clusters, components):
    model = fit_clusters(FEATURES, clusters, components, seed=5)
    pipeline = make_pipeline(
        StandardScaler(),
        PCA(min(components, 24), svd_solver="full"),
        KMeans(clusters, n_init=10, random_state=5),
    ).fit(FEATURES.astype(np.float64))
    for rows in (FEATURES, NEW):
        np.testing.assert_array_equal(told(model, rows), pipeline.predict(rows.astype(np.float64)))
    assert len(np.unique(told(model, FEATURES))) == clusters


def test_groups_that_lie_apart_are_found():
    centres = np.array([[0, 0, 9], [9, 0, 0], [0, 9, 0]])
    group = np.repeat([0, 1, 2], [50, 10, 3])
    features = (centres[group] + RNG.normal(0, 0.3, (63, 3))).astype(np.float32)
    found = told(fit_clusters(features, 3), features)
    # One number for each group.
    assert len(set(zip(group.tolist(), found.tolist(), strict=True))) == 3
    assert len(set(found.tolist())) == 3


def test_the_scale_of_a_feature_does_not_matter():
    factors = np.geomspace(0.001, 1000, 24).astype(np.float32)
    one, other = fit_clusters(FEATURES), fit_clusters(FEATURES * factors)
    np.testing.assert_array_equal(told(one, NEW), told(other, NEW * factors))


@pytest.mark.parametrize(("rows", "components", "wanted"), [(300, 128, 24), (300, 5, 5), (12, 128, 12)])
def test_components_are_no_more_than_there_can_be(rows, components, wanted):
    model = fit_clusters(FEATURES[:rows], 4, components)
    assert model.sizes == {"features": 24, "components": wanted, "clusters": 4}
    assert model.components.shape == (wanted, 24)
    np.testing.assert_allclose(model.components @ model.components.T, np.eye(wanted), atol=1e-5)


def test_a_feature_that_never_changes_has_the_scale_1():
    model = fit_clusters(FEATURES)
    assert float(model.mean[2]) == pytest.approx(7)
    assert float(model.scale[2]) == 1
    others = np.arange(24) != 2
    np.testing.assert_allclose(model.mean[others], FEATURES.mean(axis=0, dtype=float)[others], rtol=1e-5)
    np.testing.assert_allclose(model.scale[others], FEATURES.std(axis=0, dtype=float)[others], rtol=1e-5)


def test_fewer_patches_than_clusters_are_an_error_that_names_both():
    with pytest.raises(ConfigError, match=r"found 10 clusters for 9 patches, wanted .* set a smaller k"):
        fit_clusters(FEATURES[:9], 10)
    assert sorted(told(fit_clusters(FEATURES[:10], 10), FEATURES[:10])) == list(range(10))


def test_the_seed_decides():
    one, same, other = (fit_clusters(FEATURES, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["centroids"], other["centroids"])


def test_buffers_in_a_file_are_all_that_defines_it(tmp_path):
    model = fit_clusters(FEATURES, 6, 9)
    path = tmp_path / "clusters.pt"
    save_checkpoint(path, model, model.sizes)
    found = load_checkpoint(path)
    again = ClusterModel(**found.spec)
    restore(again, found.state_dict, path)
    assert set(found.state_dict) == {"mean", "scale", "components", "centroids"}
    np.testing.assert_array_equal(told(again, NEW), told(model, NEW))
    with pytest.raises(CheckpointError, match=r"centroids is of shape \(6, 9\), wanted shape \(7, 9\)"):
        restore(ClusterModel(24, 9, 7), found.state_dict, path)


def test_nothing_of_it_is_trained():
    model = fit_clusters(FEATURES)
    features = torch.from_numpy(NEW).requires_grad_()
    found = model(features)
    assert list(model.parameters()) == []
    assert found.dtype == torch.long
    assert not found.requires_grad
    assert model(features[:0]).shape == (0,)


def test_half_precision_around_it_does_not_matter():
    model = ClusterModel(1, 1, 2)
    model.components[:] = 1
    model.centroids[:] = torch.tensor([[100.0], [101.0]])
    # Half precision has 100 and 100.5, and nothing between.
    features = torch.tensor([[100.4], [100.6]])
    with torch.autocast("cpu", torch.bfloat16):
        assert model(features).tolist() == [0, 1]
    assert model(features.bfloat16() + 1).tolist() == [1, 1]


def network():
    """Two convolutions whose outputs are far from unit scale, each normalised; pooled features."""
    torch.manual_seed(2)
    layers = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8, momentum=0.01),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Conv2d(8, 6, 3),
        nn.BatchNorm2d(6),
    )
    with torch.no_grad():
        layers[0].weight *= 1e-3
        layers[4].weight *= 1000
    return layers


BATCHES = [
    torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) * 0.2 + 0.6 for seed in range(5)
]


def test_features_have_unit_scale_once_measured():
    layers = network().eval()
    before = layers(BATCHES[0]).std().item()
    calibrate(layers, BATCHES)
    found = layers(torch.cat(BATCHES)).transpose(0, 1).flatten(1)
    assert before > 10
    np.testing.assert_allclose(found.mean(dim=1).detach(), 0, atol=0.05)
    np.testing.assert_allclose(found.std(dim=1).detach(), 1, atol=0.05)


def test_statistics_are_the_mean_over_the_batches_and_not_of_what_was_before():
    layers = network()
    layers(100 * BATCHES[0])
    assert int(layers[1].num_batches_tracked) == 1
    calibrate(layers, BATCHES)
    convolved = [layers[0](batch).detach().transpose(0, 1).flatten(1) for batch in BATCHES]
    means = torch.stack([one.mean(dim=1) for one in convolved]).mean(dim=0)
    variances = torch.stack([one.var(dim=1) for one in convolved]).mean(dim=0)
    np.testing.assert_allclose(layers[1].running_mean, means, rtol=1e-5)
    np.testing.assert_allclose(layers[1].running_var, variances, rtol=1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_measuring_leaves_weights_momentum_and_mode_and_gradients_alone(training):
    layers = network().train(training)
    layers[0].eval()  # as a frozen layer may be
    weights = [one.detach().clone() for one in layers.parameters()]
    calibrate(layers, iter(BATCHES))
    assert [layers[1].momentum, layers[5].momentum] == [0.01, 0.1]
    assert [one.training for one in layers] == [False] + [training] * 5
    assert layers.training == training
    assert all(torch.equal(one, was) for one, was in zip(layers.parameters(), weights, strict=True))
    assert all(one.grad is None for one in layers.parameters())


def test_after_measuring_the_same_input_gives_the_same_output():
    one, other = network().eval(), network().eval()
    calibrate(one, BATCHES)
    calibrate(other, BATCHES)
    assert torch.equal(one(BATCHES[0]), one(BATCHES[0]))
    assert torch.equal(one(BATCHES[0]), other(BATCHES[0]))


def test_without_a_batch_there_is_nothing_to_measure():
    layers = network()
    with pytest.raises(ValueError, match="no batch"):
        calibrate(layers, [])
    assert [layers[1].momentum, layers.training] == [0.01, True]
