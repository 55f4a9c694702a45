from __future__ import annotations

import json
import logging
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import made_keras
import numpy as np
import pytest
import torch

from hooknet.errors import CheckpointError
from hooknet.models.checkpoint import restore
from hooknet.models.hooknet import HookNet
from hooknet.models.keras_file import read_keras
from hooknet.shapes.hooknet import HookNetSettings

ORACLE = Path(__file__).resolve().parents[2].parent / "shared" / "oracle"
SMALL = {"spacings": (0.5, 1.0), "classes": 3, "filters": 2, "depth": 2, "patch_size": 68}
NETWORKS = {
    "full": {"loss_weights": (0.75, 0.25)},
    "context without output": {},
    "context without its last blocks": {"spacings": (0.5, 2.0), "depth": 3, "patch_size": 156},
    "middle of the context": {"depth": 3, "patch_size": 156},
    "no normalisation": {"batch_norm": False},
    "unet": {"spacings": (0.5,)},
    "three branches": {"spacings": (0.5, 1.0, 2.0), "loss_weights": (1.0, 0.0, 0.5)},
    "three convolutions": {"convolutions": 3, "patch_size": 90},
    **{merge: {"merge": merge} for merge in ("add", "subtract", "multiply")},
}
LAYOUTS = {
    "save_weights": {},
    "save": {"under": "model_weights"},
    "name scopes": {"scope": "model_1/hooknet/"},
    "no inner group": {"scope": None},
    "a model within a model": {"under": "model_weights/hooknet"},
    "no output number": {"suffix": ""},
    "rescaling": {"rescaling": 2},
}


@pytest.fixture
def network():
    return made_keras.network_of(**SMALL)


@pytest.fixture
def arrays(network):
    return made_keras.named(network)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.h5"


def read(path, settings=None, input_scale=1, **changes):
    return read_keras(path, settings or HookNetSettings(**(SMALL | changes)), input_scale)


def refusal(path, settings=None, input_scale=1, **changes):
    """The message without the file, which it starts with."""
    with pytest.raises(CheckpointError) as caught:
        read(path, settings, input_scale, **changes)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def assert_equal(state, network):
    wanted = network.state_dict()
    assert state.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert state[name].dtype == tensor.dtype
        assert torch.equal(state[name], tensor), name


@pytest.mark.parametrize("start", [(0, 0), (7, 3), (0, 41), (115, 0)], ids=str)
@pytest.mark.parametrize("kind", NETWORKS)
def test_weights_come_back_bit_by_bit_wherever_numbers_start(path, kind, start):
    network = made_keras.network_of(**(SMALL | NETWORKS[kind]))
    made_keras.write(path, network, start)
    assert_equal(read(path, network.settings).state, network)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_come_back_bit_by_bit_from_every_layout(path, network, layout):
    made_keras.write(path, network, (3, 1), **LAYOUTS[layout])
    assert_equal(read(path).state, network)


def test_weights_of_a_saved_model_are_not_those_of_its_optimizer(path, network):
    made_keras.write(path, network, under="model_weights")
    with h5py.File(path, "r+") as file:
        file["optimizer_weights/Adam/conv2d/kernel/m:0"] = np.ones((3, 3, 3, 2))
    assert_equal(read(path).state, network)


def test_double_precision_becomes_single(path, network, arrays):
    made_keras.write_arrays(path, {name: array.astype(np.float64) for name, array in arrays.items()})
    assert_equal(read(path).state, network)


@pytest.mark.parametrize(
    ("input_scale", "rescaling", "factor"), [(1, 0, 1), (1, 2, 1), (255, 2, 1), (255, 0, 255)]
)
def test_raw_pixels_that_no_layer_divides_multiply_the_first_kernels(
    path, network, input_scale, rescaling, factor
):
    made_keras.write(path, network, rescaling=rescaling)
    found = read(path, input_scale=input_scale)
    assert found.factor == factor
    wanted = network.state_dict()
    for branch in ("target", "context"):
        wanted[f"{branch}.enc0.conv0.weight"] *= factor
    assert all(torch.equal(found.state[name], wanted[name]) for name in wanted)


def test_a_network_for_raw_pixels_gives_the_same_after_import_for_pixels_up_to_one(path, network):
    made_keras.write(path, network)
    raw = [255 * torch.rand(1, 3, 68, 68) for _ in range(2)]
    with torch.no_grad():
        wanted = network(raw)[0].softmax(1)
        restore(network, read(path, input_scale=255).state, path)
        found = network([one / 255 for one in raw])[0].softmax(1)
    assert torch.allclose(found, wanted, atol=1e-5)


def with_means(path, network, scale):
    """A file whose first means are those of a grey of ``scale`` times 0.75."""
    for branch in ("target", "context"):
        first = network[branch]["enc0"]
        with torch.no_grad():
            grey = 0.75 * scale * first["conv0"].weight.sum((1, 2, 3)) + first["conv0"].bias
            first["bn0"].running_mean.copy_(grey.clamp(min=0))
    return made_keras.write(path, network)


@pytest.mark.parametrize(
    ("trained", "told", "warned"), [(1, 1, False), (255, 255, False), (1, 255, True), (255, 1, True)]
)
def test_an_input_scale_that_the_first_means_speak_against_is_warned_of(
    path, network, caplog, trained, told, warned
):
    with_means(path, network, trained)
    with caplog.at_level(logging.WARNING, "hooknet"):
        read(path, input_scale=told)
    assert (f"is --input-scale {told} right?" in caplog.text) == warned
    assert bool(caplog.records) == warned


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"filters": 4}, "found tensor conv2d/conv2d/kernel:0 of shape (3, 3, 3, 2), wanted (3, 3, 3, 4) for "
         "context.enc0.conv0; the weights fit network.filters: 2: correct the experiment if it is meant for them"),
        ({"classes": 5}, "found tensor conv2d_25/conv2d_25/kernel:0 of shape (1, 1, 2, 3), wanted (1, 1, 2, 5) for "
         "target.out; the weights fit 3 classes (the dataset has 5): correct the experiment if it is meant for them"),
        ({"batch_norm": False}, "found layer batch_normalization, which the network of the experiment does not have; "
         "the weights fit network.batch_norm: true: correct the experiment if it is meant for them"),
        ({"merge": "multiply"}, "found tensor conv2d_19/conv2d_19/kernel:0 of shape (3, 3, 16, 4), wanted "
         "(1, 1, 4, 12) for target.hook.proj; the weights fit network.merge: concat: correct the experiment if it is "
         "meant for them"),
        ({"loss_weights": (1.0, 0.5)}, "found no layer conv2d_9, wanted it for context.dec0.up; the weights fit "
         "loss_weights above 0 for target only: correct the experiment if it is meant for them"),
        ({"spacings": (0.5, 2.0)}, "found no layer conv2d_9, wanted it for context.dec0.up; the weights fit spacings "
         "in the ratio of 0.5 to 1: correct the experiment if it is meant for them"),
        ({"spacings": (0.5,)}, "found no layer conv2d_9, wanted it for target.dec0.up; the weights fit spacings in "
         "the ratio of 0.5 to 1: correct the experiment if it is meant for them"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)  # fmt: skip
def test_a_file_that_does_not_fit_is_refused_with_the_tensor_and_the_setting(path, network, changes, message):
    # Spacings 0.5 and 1 hook at depth 1, so that the context's last block is of no use and not in the file.
    made_keras.write(path, network)
    assert refusal(path, **changes) == message


def test_depth_and_convolutions_are_told_too(path, network):
    made_keras.write(path, network)
    message = refusal(path, depth=3, convolutions=1, patch_size=78)
    assert "the weights fit network.depth: 2, network.convolutions: 2: correct" in message


def test_a_unet_for_a_hooknet_is_told(path):
    made_keras.write(path, made_keras.network_of(**(SMALL | {"spacings": (0.5,)})))
    assert "the weights fit one spacing (model unet): correct" in refusal(path)


def test_a_projection_for_a_concatenation_is_told(path):
    made_keras.write(path, made_keras.network_of(**(SMALL | {"merge": "add"})))
    assert "the weights fit network.merge: add, subtract or multiply: correct" in refusal(path)


def test_a_full_file_for_a_target_alone_is_told(path):
    made_keras.write(path, made_keras.network_of(**(SMALL | {"loss_weights": (0.5, 0.5)})), (4, 0))
    assert refusal(path) == (
        "found layer conv2d_13, in number context.dec0.up, which the network of the experiment does not have; the "
        "weights fit loss_weights above 0 for target and context only: correct the experiment if it is meant for them"
    )


def test_weights_that_fit_no_settings_are_told_so(path, arrays):
    arrays["conv2d_5/kernel"] = arrays["conv2d_5/kernel"][..., :-1]
    message = refusal(made_keras.write_arrays(path, arrays))
    assert message == (
        "found tensor conv2d_5/conv2d_5/kernel:0 of shape (3, 3, 12, 11), wanted (3, 3, 12, 12) for "
        "context.mid.conv1; compare filters, depth, batch_norm, merge, spacings and classes with those the weights "
        "were trained with"
    )


@pytest.mark.parametrize(
    "layer", ["conv2d", "conv2d_3", "conv2d_25", "batch_normalization", "batch_normalization_17"]
)
def test_a_missing_layer_is_refused_even_if_it_is_the_first_or_the_last(path, arrays, layer):
    left = {name: array for name, array in arrays.items() if name.split("/")[0] != layer}
    assert len(left) < len(arrays)
    message = refusal(made_keras.write_arrays(path, left))
    assert message.startswith("found ")
    assert " for " in message


def test_a_missing_part_is_refused(path, arrays):
    del arrays["batch_normalization_2/moving_mean"]
    assert refusal(made_keras.write_arrays(path, arrays)).startswith(
        "found no tensor batch_normalization_2/moving_mean, wanted it for context.enc1.bn0; "
    )


def test_layers_too_many_are_refused(path, arrays):
    arrays["conv2d_26/kernel"] = np.zeros((1, 1, 2, 3), np.float32)
    assert refusal(made_keras.write_arrays(path, arrays)).startswith(
        "found layer conv2d_26, which the network of the experiment does not have; "
    )


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("conv2d_2/scale", np.zeros(4, np.float32), "found tensor conv2d_2/conv2d_2/scale:0, wanted for "
         "context.enc1.conv0: kernel, bias; "),
        ("dense/kernel", np.zeros((4, 4), np.float32), "tensor dense/dense/kernel:0 is of no layer of these networks; "
         "wanted conv2d and batch_normalization with the names that Keras gives"),
        ("conv2d_transpose/kernel", np.zeros((4, 4), np.float32), "tensor conv2d_transpose/conv2d_transpose/kernel:0 "
         "is of no layer of these networks; wanted conv2d and batch_normalization with the names that Keras gives"),
        ("conv2d_07/kernel", np.zeros((4, 4), np.float32), "two tensors for one part, conv2d_07/conv2d_07/kernel:0 and "
         "conv2d_7/conv2d_7/kernel:0; wanted the weights of one model"),
        ("conv2d_2/bias", np.zeros(4, np.int32), "tensor conv2d_2/conv2d_2/bias:0 is of type int32, wanted floats"),
        ("conv2d_2/bias", np.array([0, np.nan, np.inf, 1], np.float32), "tensor conv2d_2/conv2d_2/bias:0 has 2 values "
         "that are not finite; get another copy or train again"),
        ("conv2d_2/bias", np.full(4, 1e300), "tensor conv2d_2/conv2d_2/bias:0 has 4 values that are not finite; get "
         "another copy or train again"),
        ("batch_normalization_2/moving_variance", np.full(4, -1, np.float32), "tensor batch_normalization_2/"
         "batch_normalization_2/moving_variance:0 has negative values, wanted variances"),
    ],
)  # fmt: skip
def test_a_tensor_that_cannot_be_right_is_refused(path, arrays, name, array, message):
    assert refusal(made_keras.write_arrays(path, arrays | {name: array})).startswith(message)


def test_as_many_rescaling_layers_as_inputs_are_wanted(path, network):
    made_keras.write(path, network, rescaling=1)
    assert refusal(path) == "1 layers called rescaling for 2 inputs, wanted none or one each"


def test_a_file_of_no_layers_is_refused(path):
    made_keras.write_arrays(path, {})
    assert refusal(path) == "holds no layer conv2d; wanted weights of the official Keras networks"


def test_an_absent_file_and_a_folder_are_refused(path):
    assert refusal(path) == "no such file, wanted Keras weights (.h5)"
    path.mkdir()
    assert refusal(path) == "no such file, wanted Keras weights (.h5)"


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04" + bytes(200)])
def test_a_file_that_is_not_hdf5_is_refused(path, content):
    path.write_bytes(content)
    assert refusal(path) == (
        "not an HDF5 file, wanted the .h5 that Keras 2 writes; save the weights with "
        "model.save_weights('weights.h5')"
    )


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.99])
def test_a_file_cut_short_is_refused(path, network, share):
    content = made_keras.write(path, network).read_bytes()
    path.write_bytes(content[: max(16, int(share * len(content)))])
    message = refusal(path)
    assert message.startswith("damaged (")
    assert message.endswith("); copy or download it again")


def test_the_layout_of_keras_3_is_refused(path):
    with h5py.File(path, "w") as file:
        file["layers/conv2d/vars/0"] = np.zeros((3, 3, 3, 2), np.float32)
        file.create_group("vars")
    assert refusal(path) == (
        "the layout of Keras 3 (.weights.h5), wanted the older one with a group for each layer; save the weights with "
        "tf_keras, model.save_weights('weights.h5')"
    )


def test_things_of_another_kind_in_the_place_of_weights_are_refused(path, arrays):
    made_keras.write_arrays(path, arrays)
    with h5py.File(path, "r+") as file:
        del file["conv2d_2/conv2d_2/bias:0"]
        file["conv2d_2/conv2d_2/bias:0"] = h5py.Empty("f4")
    assert refusal(path) == "tensor conv2d_2/conv2d_2/bias:0 is empty, wanted its values; get another copy"
    with h5py.File(path, "r+") as file:
        file["model_weights"] = np.zeros(3, np.float32)
    assert "model_weights is no group" in refusal(path)


@pytest.mark.parametrize("place", ["conv2d_2/conv2d_2/bias:0", "conv2d_2", "model_weights"])
@pytest.mark.parametrize("kind", ["soft", "external"])
def test_no_link_is_followed(path, arrays, tmp_path, place, kind):
    other = made_keras.write_arrays(tmp_path / "other.h5", arrays)
    made_keras.write_arrays(path, arrays)
    with h5py.File(path, "r+") as file:
        if place in file:
            del file[place]
        file[place] = h5py.SoftLink("/conv2d_3") if kind == "soft" else h5py.ExternalLink(str(other), "/")
    assert refusal(path) == f"/{place} is a link, wanted the data itself; no link is followed"


@pytest.mark.parametrize("kind", ["virtual", "raw"])
def test_no_data_of_other_files_are_read(path, arrays, tmp_path, kind):
    made_keras.write_arrays(path, arrays)
    (tmp_path / "secret").write_bytes(bytes(16))
    place = "conv2d_2/conv2d_2/bias:0"
    with h5py.File(path, "r+") as file:
        del file[place]
        if kind == "raw":
            file.create_dataset(place, (4,), "f4", external=[(str(tmp_path / "secret"), 0, 16)])
        else:
            layout = h5py.VirtualLayout((4,), "f4")
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (4,))
            file.create_virtual_dataset(place, layout)
    assert refusal(path) == f"/{place} has its data in another file, wanted them in this one"


def test_groups_within_themselves_are_refused(path, network):
    made_keras.write(path, network)
    with h5py.File(path, "r+") as file:
        file["conv2d_2/again"] = file["conv2d_2"]
    assert refusal(path).endswith("is reached twice or too deep; wanted a file of Keras")


def test_a_tensor_of_absurd_size_is_refused_without_reading_it(path, arrays):
    del arrays["conv2d_2/bias"]
    made_keras.write_arrays(path, arrays)
    with h5py.File(path, "r+") as file:  # takes no space in the file
        file.create_dataset("conv2d_2/conv2d_2/bias:0", (10**13,), "f4", chunks=(1024,))
    assert refusal(path).startswith(
        "found tensor conv2d_2/conv2d_2/bias:0 of shape (10000000000000,), wanted (4,)"
    )


def test_h5py_that_is_absent_is_one_line(path, network, monkeypatch):
    made_keras.write(path, network)
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert refusal(path) == (
        "reading Keras weights needs h5py, which is missing; pip install -c constraints.txt -e '.[keras]'"
    )


@pytest.mark.skipif(not ORACLE.is_dir(), reason="the oracle files are not beside this checkout")
@pytest.mark.parametrize("input_scale", [1, 255])
def test_the_file_that_keras_wrote_gives_the_probabilities_that_keras_gave(input_scale):
    with np.load(ORACLE / "hook_0.5_2.0_single_tls.npz") as file:
        arrays = {name: file[name] for name in ("x/target", "x/context", "y/target", "meta")}
    meta = json.loads(str(arrays["meta"]))
    settings = HookNetSettings(
        spacings=(0.5, 2.0),
        classes=meta["n_classes"],
        filters=meta["n_filters"],
        activation="leaky_relu",
        patch_size=meta["M"],
    )
    path = ORACLE / "tls_like_weights.h5"
    found = read_keras(path, settings, input_scale)
    assert found.factor == 1  # it has rescaling layers
    network = HookNet(settings).eval()
    restore(network, found.state, path)
    patches = [
        torch.from_numpy(arrays[f"x/{name}"]).permute(0, 3, 1, 2) / 255 for name in ("target", "context")
    ]
    with torch.no_grad():
        shares = network(patches)[0].softmax(1).permute(0, 2, 3, 1).numpy()
    assert np.abs(shares - arrays["y/target"]).max() < 1e-5
    assert "context.dec1.up" in refusal(path, replace(settings, loss_weights=(0.75, 0.25)))
