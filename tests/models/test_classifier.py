import pytest
import torch
from torch.nn import functional

from hooknet.models.classifier import PatchClassifier
from hooknet.shapes.classifier import ClassifierShape

EACH = [
    (backbone, layout) for backbone in ("mobilenetv2", "inceptionv3") for layout in ("keras", "torchvision")
]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def classifier(backbone, layout="keras", classes=2, dropout=0.5, seed=0):
    size = 64 if backbone == "mobilenetv2" else 75
    torch.manual_seed(seed)
    return PatchClassifier(ClassifierShape(backbone, layout, classes, size, 1.0, dropout=dropout))


def patches_of(network, count=2, seed=1):
    size = network.shape.patch_size
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def settled(network, patches=None):
    """In eval mode, with the statistics of a few patches, so that features are neither 0 nor huge."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the mean of all that comes
    with torch.no_grad():
        network.train()(patches_of(network, 4, seed=2) if patches is None else patches)
    return network.eval()


@pytest.mark.parametrize(("backbone", "layout"), EACH)
def test_features_are_averaged_and_classified(backbone, layout):
    network = classifier(backbone, layout, classes=5).eval()
    patches = patches_of(network)
    with torch.no_grad():
        features, maps = network.features(patches), network.backbone(patches)
        logits = network(patches)
    assert features.shape == (2, network.shape.features)
    torch.testing.assert_close(features, maps.sum(dim=(2, 3)) / (maps.shape[2] * maps.shape[3]))
    hidden = (features @ network.dense.weight.T + network.dense.bias).clamp(min=0)
    assert hidden.shape == (2, 100)
    torch.testing.assert_close(logits, hidden @ network.out.weight.T + network.out.bias)
    assert logits.shape == (2, 5)


def test_the_published_head():
    network = classifier("mobilenetv2")
    head = [one.numel() for part in (network.dense, network.out) for one in part.parameters()]
    assert head == [128_000, 100, 200, 2]
    assert network.dropout.p == 0.5


def test_dropout_in_training_only():
    network = classifier("mobilenetv2")
    network.eval()
    features = torch.rand(64, 1280)
    network.backbone = torch.nn.Identity()
    maps = features[:, :, None, None]
    with torch.no_grad():
        assert torch.equal(network(maps), network(maps))
        hidden = functional.relu(network.dense(features))
        network.train()
        dropped = network.dropout(hidden)
    kept = dropped[hidden > 0] != 0
    assert 0.45 < kept.float().mean() < 0.55
    torch.testing.assert_close(dropped[dropped != 0], 2 * hidden[dropped != 0])


@pytest.mark.parametrize("backbone", ["mobilenetv2", "inceptionv3"])
def test_a_patch_is_judged_alone_once_trained(backbone):
    network = settled(classifier(backbone)).double()
    patches = patches_of(network, 3).double()
    with torch.no_grad():
        together = network(patches)
        alone = torch.cat([network(one[None]) for one in patches])
    assert together.std(dim=0).max() > 1e-3
    torch.testing.assert_close(together, alone, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("backbone", ["mobilenetv2", "inceptionv3"])
def test_weights_are_those_of_the_seed(backbone):
    one, same, other = (classifier(backbone, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    kernels = [name for name in one if one[name].ndim > 1]
    assert not any(torch.equal(one[name], other[name]) for name in kernels)


@pytest.mark.parametrize("layout", ["keras", "torchvision"])
def test_export_at_64_px(layout):
    network = settled(classifier("mobilenetv2", layout))
    patches = patches_of(network, 2)
    exported = torch.export.export(network, (patches,)).module()
    with torch.no_grad():
        torch.testing.assert_close(exported(patches), network(patches), rtol=1e-5, atol=1e-6)


def test_export_of_inception():
    network = settled(classifier("inceptionv3"))
    patches = patches_of(network, 1)
    exported = torch.export.export(network, (patches,)).module()
    with torch.no_grad():
        torch.testing.assert_close(exported(patches), network(patches), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("backbone", "steps"), [("mobilenetv2", 8), ("inceptionv3", 6)])
def test_eight_patches_are_learnt_by_heart(backbone, steps):
    """Patches of noise alone, so that nothing but their detail tells the two classes apart."""
    network = classifier(backbone, dropout=0.0)
    patches, classes = patches_of(network, 8, seed=5), torch.tensor([0, 1, 1, 0, 1, 0, 0, 1])
    optimiser = torch.optim.Adam(network.parameters(), 3e-4)
    network.train()
    losses = []
    for _ in range(steps):
        loss = functional.cross_entropy(network(patches), classes)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    settled(network, patches)
    with torch.no_grad():
        learnt = network(patches).argmax(dim=1)
    assert torch.equal(learnt, classes)
    assert losses[0] > 0.3
    assert losses[-1] < 0.1


def test_patches_of_two_colours_are_learnt_with_certainty():
    """Purple and pink under noise, with the published dropout."""
    network = classifier("mobilenetv2")
    classes = torch.tensor([0, 1] * 4)
    tint = torch.tensor([[0.45, 0.25, 0.6], [0.85, 0.55, 0.7]])[classes][:, :, None, None]
    patches = tint + 0.2 * (patches_of(network, 8, seed=7) - 0.5)
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    network.train()
    for _ in range(20):
        loss = functional.cross_entropy(network(patches), classes)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    settled(network, patches)  # of so few steps, the running statistics lag far behind
    with torch.no_grad():
        certainty = network(patches).softmax(dim=1)[torch.arange(8), classes]
    assert certainty.min() >= 0.99


@pytest.mark.parametrize(("backbone", "layout"), EACH)
def test_the_order_of_channels_in_memory_changes_nothing(backbone, layout):
    network = settled(classifier(backbone, layout)).double()
    patches = patches_of(network).double()
    with torch.no_grad():
        wanted = network(patches)
        network.to(memory_format=torch.channels_last)
        last = patches.contiguous(memory_format=torch.channels_last)
        maps, found = network.backbone(last), network(last)
    assert maps.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-12)
