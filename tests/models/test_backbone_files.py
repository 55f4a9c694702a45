import functools
import shutil

import h5py
import numpy as np
import pytest
import torch

from hooknet.errors import CheckpointError
from hooknet.models.backbone_files import read_backbone
from hooknet.models.checkpoint import restore
from hooknet.models.classifier import BACKBONES
from tests.models.backbone_oracles import inception, mobilenet

SIZES = {"mobilenetv2": 45, "inceptionv3": 91}
EACH = [(backbone, layout) for backbone in SIZES for layout in ("keras", "torchvision")]


def patches_of(backbone):
    generator = torch.Generator().manual_seed(3)
    return torch.rand(1, 3, SIZES[backbone], SIZES[backbone] + 1, generator=generator, dtype=torch.float64)


@functools.cache
def drawn(backbone, layout):
    """Tensors by the names of the file, and the features they make of a patch."""
    oracle = mobilenet if backbone == "mobilenetv2" else inception
    options = {"start": (8, 0)} if (backbone, layout) == ("inceptionv3", "keras") else {}
    return oracle(patches_of(backbone), layout == "keras", **options)


def write_keras(path, arrays, under=""):
    with h5py.File(path, "w") as file:
        root = file.create_group(under) if under else file
        layers = sorted({place.split("/")[0] for place in arrays}, key=lambda name: name[::-1])
        root.attrs["layer_names"] = np.array(layers, dtype=h5py.string_dtype())
        root.create_group("input_1")
        for place, array in arrays.items():
            layer = place.split("/")[0]
            root[f"{layer}/{place}:0"] = array
    return path


def write_torch(path, arrays, **options):
    state = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    norms = [name.removesuffix("running_var") for name in arrays if name.endswith("running_var")]
    state |= {f"{name}num_batches_tracked": torch.tensor(7) for name in norms}
    torch.save(state, path, **options)
    return path


def written(tmp_path, backbone, layout, arrays=None, **options):
    arrays = drawn(backbone, layout)[0] if arrays is None else arrays
    if layout == "keras":
        return write_keras(tmp_path / "weights.h5", arrays, **options)
    return write_torch(tmp_path / "weights.pth", arrays, **options)


def refused(path, backbone="mobilenetv2", layout="keras"):
    with pytest.raises(CheckpointError) as error:
        read_backbone(path, backbone, layout)
    text = str(error.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text


@pytest.mark.parametrize(("backbone", "layout"), EACH)
def test_a_file_gives_the_features_of_its_program(tmp_path, backbone, layout):
    features = drawn(backbone, layout)[1]
    network = BACKBONES[backbone](layout)
    path = written(tmp_path, backbone, layout)
    restore(network, read_backbone(path, backbone, layout), path)
    with torch.no_grad():
        found = network.double().eval()(patches_of(backbone))
    assert features.abs().mean() > 0.01
    torch.testing.assert_close(found, features, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("backbone", "layout"), EACH)
def test_the_layouts_differ_in_what_they_compute(backbone, layout):
    """So that the test above tells them apart: with the weights of one, the other gives other features."""
    features = drawn(backbone, layout)[1]
    other = "torchvision" if layout == "keras" else "keras"
    assert (drawn(backbone, other)[1] - features).abs().max() > 0.01


def test_a_whole_model_with_a_top(tmp_path):
    arrays, _ = drawn("mobilenetv2", "keras")
    top = {"dense/kernel": np.zeros((1280, 100), np.float32), "predictions/bias": np.zeros(2, np.float32)}
    bare = read_backbone(write_keras(tmp_path / "bare.h5", arrays), "mobilenetv2", "keras")
    whole = read_backbone(
        write_keras(tmp_path / "whole.h5", arrays | top, under="model_weights"), "mobilenetv2", "keras"
    )
    assert bare.keys() == whole.keys()
    assert all(torch.equal(bare[name], whole[name]) for name in bare)


def test_a_whole_model_as_keras_3_writes_it(tmp_path):
    """Without ``:0``, and a depthwise kernel is a kernel (seen in .h5 files of Keras 3.15)."""
    arrays, _ = drawn("mobilenetv2", "keras")
    path = tmp_path / "model.h5"
    with h5py.File(path, "w") as file:
        for place, array in arrays.items():
            layer, part = place.split("/")
            file[f"model_weights/{layer}/{layer}/{part.removeprefix('depthwise_')}"] = array
    new = read_backbone(path, "mobilenetv2", "keras")
    old = read_backbone(write_keras(tmp_path / "old.h5", arrays), "mobilenetv2", "keras")
    assert new.keys() == old.keys()
    assert all(torch.equal(new[name], old[name]) for name in new)
    with h5py.File(path, "r+") as file:
        del file["model_weights/block_3_depthwise"]
    assert "tensor block_3_depthwise/depthwise_kernel is missing" in refused(path)


def test_weights_alone_as_keras_3_writes_them_are_refused(tmp_path):
    path = tmp_path / "backbone.weights.h5"
    with h5py.File(path, "w") as file:
        file["layers/conv2d/vars/0"] = np.zeros((3, 3, 3, 32), np.float32)
    assert "the layout of Keras 3 (.weights.h5)" in refused(path)


def test_torchvision_with_a_top_and_in_the_old_format(tmp_path):
    arrays, _ = drawn("mobilenetv2", "torchvision")
    top = {"classifier.1.weight": np.zeros((1000, 1280), np.float32)}
    new = read_backbone(write_torch(tmp_path / "a.pth", arrays), "mobilenetv2", "torchvision")
    path = write_torch(tmp_path / "b.pth", arrays | top, _use_new_zipfile_serialization=False)
    old = read_backbone(path, "mobilenetv2", "torchvision")
    assert new.keys() == old.keys()
    assert all(torch.equal(new[name], old[name]) for name in new)
    assert {int(new[name]) for name in new if name.endswith("tracked")} == {0}


@pytest.mark.parametrize(
    ("layout", "place", "change", "told"),
    [
        (
            "keras",
            "block_3_expand/kernel",
            None,
            "is missing, wanted shape (1, 1, 24, 144); give the weights of K",
        ),
        (
            "torchvision",
            "features.5.conv.2.weight",
            None,
            "is missing, wanted shape (32, 192, 1, 1); give the we",
        ),
        (
            "keras",
            "Conv_1/kernel",
            lambda a: a[..., :640],
            "is of shape (1, 1, 320, 640), wanted (1, 1, 320, 128",
        ),
        ("torchvision", "features.0.1.bias", lambda a: a[:16], "is of shape (16,), wanted (32,)"),
        ("keras", "bn_Conv1/gamma", lambda a: a * np.nan, "is not finite"),
        (
            "torchvision",
            "features.18.1.running_var",
            lambda a: a - 1,
            "has negative values, wanted variances",
        ),
        ("keras", "Conv1/kernel", lambda a: a.astype(int), "is of type int64, wanted floats"),
        ("torchvision", "features.0.0.weight", lambda a: a.astype(int), "is of type int64, wanted floats"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(tmp_path, layout, place, change, told):
    arrays = dict(drawn("mobilenetv2", layout)[0])
    tensor = arrays.pop(place)
    if change is not None:
        arrays[place] = change(tensor)
    text = refused(written(tmp_path, "mobilenetv2", layout, arrays), layout=layout)
    assert f"tensor {place} {told}" in text


@pytest.mark.parametrize(("layout", "place"), [("keras", "Conv1/bias"), ("torchvision", "features.0.0.bias")])
def test_a_part_that_the_network_lacks_is_refused(tmp_path, layout, place):
    arrays = drawn("mobilenetv2", layout)[0] | {place: np.zeros(32, np.float32)}
    text = refused(written(tmp_path, "mobilenetv2", layout, arrays), layout=layout)
    assert f"tensor {place} has no place in the network" in text


def test_a_scale_in_the_inception_of_keras_is_refused(tmp_path):
    arrays = drawn("inceptionv3", "keras")[0] | {"batch_normalization/gamma": np.ones(32, np.float32)}
    text = refused(written(tmp_path, "inceptionv3", "keras", arrays), "inceptionv3")
    assert "tensor batch_normalization/gamma has no place in the network" in text


@pytest.mark.parametrize(("backbone", "layout"), EACH)
def test_the_other_backbone_is_recognised(tmp_path, backbone, layout):
    other = next(one for one in SIZES if one != backbone)
    text = refused(written(tmp_path, backbone, layout), other, layout)
    assert f"set backbone to {backbone}, whose weights these are" in text


@pytest.mark.parametrize(("layout", "other"), [("keras", "torchvision"), ("torchvision", "keras")])
def test_the_other_layout_is_recognised(tmp_path, layout, other):
    path = written(tmp_path, "mobilenetv2", layout)
    for layout_of in (path, shutil.copy(path, tmp_path / "weights")):
        assert f"set layout to {layout}" in refused(layout_of, layout=other)


@pytest.mark.parametrize("layout", ["keras", "torchvision"])
def test_damaged_and_foreign_files(tmp_path, layout):
    whole = written(tmp_path, "mobilenetv2", layout).read_bytes()
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 0x40
    contents = {"empty": b"", "text": b"conv2d\n" * 9, "half": whole[: len(whole) // 2]}
    if layout == "torchvision":  # HDF5 keeps no check sums
        contents["changed"] = bytes(changed)
    for name, content in contents.items():
        path = tmp_path / name
        path.write_bytes(content)
        refused(path, layout=layout)
    assert "no such file" in refused(tmp_path / "absent", layout=layout)


def test_nothing_in_a_file_is_run(tmp_path):
    path = tmp_path / "model.pth"
    torch.save(torch.nn.Linear(2, 2), path)
    refused(path, layout="torchvision")
    torch.save([torch.zeros(2)], path)
    assert "a list, wanted tensors with names" in refused(path, layout="torchvision")


def test_no_link_is_followed(tmp_path):
    arrays = dict(drawn("mobilenetv2", "keras")[0])
    outside = write_keras(tmp_path / "outside.h5", {"Conv1/kernel": arrays.pop("Conv1/kernel")})
    path = write_keras(tmp_path / "links.h5", arrays)
    with h5py.File(path, "a") as file:
        file["Conv1/Conv1/kernel:0"] = h5py.ExternalLink(outside, "Conv1/Conv1/kernel:0")
    assert "no link is followed" in refused(path)


def test_two_tensors_for_one_part(tmp_path):
    path = written(tmp_path, "mobilenetv2", "keras")
    with h5py.File(path, "a") as file:
        file["second/Conv1/kernel:0"] = file["Conv1/Conv1/kernel:0"][()]
    assert "two tensors Conv1/kernel" in refused(path)
