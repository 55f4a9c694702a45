import made_config
import pytest

from hooknet.config.branched import BranchedSettings
from hooknet.config.experiment import AugmentOptions
from hooknet.config.project import load_project
from hooknet.errors import ConfigError, ShapeError
from hooknet.shapes.encoded import EncoderSpec
from hooknet.shapes.hooks import Hook

HOOKNET = {"model": "hooknet", "spacings": [0.5, 8.0]}


def loaded(tmp_path, defaults=None, **changes):
    paths = made_config.write(tmp_path, None, {"one": made_config.experiment(**changes)}, defaults)
    return load_project(*paths).experiments["one"]


def complaint(tmp_path, defaults=None, **changes):
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, defaults, **changes)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{tmp_path}/experiments.yaml: ")


KEYS = (
    "dataset, model, seeds, folds, checkpoint, spacings, patch_size, network, train, augment, infer, "
    "loss_weights, shuffle_context"
)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch_siez": 284}, f"experiments.one.patch_siez: unknown key; did you mean 'patch_size'? possible: {KEYS}"),
        ({"train": {"epoch": 3}},
         "experiments.one.train.epoch: unknown key; did you mean 'epochs'? possible: epochs, batch, stop_after, "
         "devices, nodes, precision, steps, accumulate, learning_rate, optimiser, weight_decay, schedule, "
         "clip_gradient, l2, losses, normalise, sampler, validation_patches, threads, workers, ... (3 more)"),
        ({"dataset": None}, "experiments.one.dataset: is missing and has no default"),
        ({"dataset": "colno"}, "experiments.one.dataset: no dataset 'colno'; did you mean 'colon'? possible: colon"),
        ({"network": {"merge": "add"}},
         "experiments.one: network.merge is for hooknet, model unet has no hooks; leave the key out"),
        ({"model": "mrn", "spacings": [0.5, 2.0], "patch_size": 256, "network": {"merge": "add"}},
         "experiments.one: network.merge is for hooknet, model mrn has no hooks; leave the key out"),
        ({"model": "mrn", "spacings": [0.5, 2.0], "patch_size": 256, "loss_weights": [0.5, 0.5]},
         "experiments.one: an mrn has no loss_weights: only its target predicts; leave the key out"),
        ({"model": "unett"}, "experiments.one.model: found 'unett'; did you mean 'unet'? possible: unet, hooknet, mrn, "
         "hdc_hrnet, classifier, refiner, tissue"),
        ({"spacings": 0.5}, "experiments.one.spacings: found 0.5, wanted a list"),
        ({"spacings": []}, "experiments.one.spacings: found [], wanted 1 or more"),
        ({"spacings": [-1]}, "experiments.one.spacings.0: found -1, wanted greater than 0"),
        ({"spacings": [0.5, 2.0]},
         "experiments.one: a unet has one spacing, found [0.5, 2.0]; models hooknet and mrn take several"),
        ({"model": "hooknet"},
         "experiments.one: a hooknet has two spacings or more, found [0.5]; model unet takes one"),
        ({**HOOKNET, "spacings": [0.5, 1.5]},
         "experiments.one: no decoder map of a branch at 1.5 µm/px has the spacing of depth 4 of the branch at "
         "0.5 µm/px (8 µm/px); use a context at 1, 2, 4, 8 µm/px"),
        ({**HOOKNET, "spacings": [0.5, 16.0]},
         "experiments.one: no decoder map of a branch at 16 µm/px has the spacing of depth 4 of the branch at "
         "0.5 µm/px (8 µm/px); use a context at 1, 2, 4, 8 µm/px"),
        ({**HOOKNET, "spacings": [8.0, 0.5]},
         "experiments.one: spacings [8.0, 0.5] do not increase; list each once, finest first"),
        ({**HOOKNET, "patch_size": 285},
         "experiments.one: a 285 px patch is 281 px at depth 0, which cannot be halved; use 284 px"),
        ({**HOOKNET, "patch_size": 300},
         "experiments.one: a 300 px patch is 11 px at the bottleneck, about whose centre no hook can be cropped; "
         "use 284 px"),
        ({"patch_size": 100},
         "experiments.one: a 100 px patch is 5 px at depth 3, which cannot be halved; use 220 px"),
        ({"patch_size": 0}, "experiments.one.patch_size: found 0, wanted greater than or equal to 1"),
        ({**HOOKNET, "loss_weights": [1.0]}, "experiments.one: 1 loss_weights for 2 spacings; give one each"),
        ({**HOOKNET, "loss_weights": [0, 1]},
         "experiments.one: the first loss weight is 0, so the target branch would learn nothing; set it above 0"),
        ({**HOOKNET, "loss_weights": [1.5, -0.5]},
         "experiments.one.loss_weights.1: found -0.5, wanted greater than or equal to 0"),
        ({"loss_weights": [float("inf")]}, "experiments.one.loss_weights.0: found inf, wanted a number"),
        ({"shuffle_context": True},
         "experiments.one: shuffle_context with one spacing; there is no context to shuffle"),
        ({**HOOKNET, "shuffle_context": True, "train": {"batch": 1}},
         "experiments.one: shuffle_context with train.batch 1; patches swap contexts, so give 2 or more"),
        ({**HOOKNET, "shuffle_context": True, "train": {"validation_patches": 1}},
         "experiments.one: shuffle_context with train.validation_patches 1; patches swap contexts, so give 2 or more"),
        ({"seeds": []}, "experiments.one.seeds: found [], wanted 1 or more"),
        ({"seeds": [1, 1]}, "experiments.one.seeds: [1, 1] names one twice"),
        ({"seeds": [-1]}, "experiments.one.seeds.0: found -1, wanted greater than or equal to 0"),
        ({"seeds": 1}, "experiments.one.seeds: found 1, wanted a list"),
        ({"folds": [0]}, "experiments.one.folds: found [0], but dataset 'colon' has no folds; leave the key out"),
        ({"network": {"filters": 0}},
         "experiments.one.network.filters: found 0, wanted greater than or equal to 1"),
        ({"network": {"merge": "sum"}},
         "experiments.one.network.merge: found 'sum', wanted 'concat', 'add', 'subtract', 'multiply' or "
         "'attention'"),
        ({**HOOKNET, "network": {"hooks": [{"source": 1, "source_depth": 3, "target": 0, "target_depth": 4}]}},
         "experiments.one: a hook from depth 3 at 8 µm/px into depth 4 at 0.5 µm/px joins maps of different spacing; "
         "use source depth 0"),
        ({**HOOKNET, "network": {"hooks": [{"source": 1}]}},
         "experiments.one.network.hooks.0.source_depth: is missing and has no default (and 2 more)"),
        ({**HOOKNET, "network": {"hooks": []}},
         "experiments.one: the branch at 8 µm/px feeds no other; give it a hook or leave it out"),
        ({"train": {"epochs": True}},
         "experiments.one.train.epochs: found True, wanted a value that is not true or false (yes, no, on, off)"),
        ({"train": {"learning_rate": "fast"}}, "experiments.one.train.learning_rate: found 'fast', wanted a number"),
        ({"train": {"learning_rate": 0}}, "experiments.one.train.learning_rate: found 0, wanted greater than 0"),
        ({"augment": {"elastic_share": 2}},
         "experiments.one.augment.elastic_share: found 2, wanted less than or equal to 1"),
        ({"spacings": [1500]},
         "experiments.one: augment.elastic_um 3 bends nothing at 1500 µm/px, less than a hundredth of a px; "
         "set it to 0, or to some px (4500 µm)"),
        ({"augment": {"flips": "perhaps"}}, "experiments.one.augment.flips: found 'perhaps', wanted true or false"),
        ({"infer": {"over": "tisue"}},
         "experiments.one.infer.over: found 'tisue', wanted 'tissue', 'everything' or 'mask'"),
        ({"infer": {"over": "mask"}},
         "experiments.one.infer.over: 'mask', but slide 'c' names no infer_mask; add it"),
        ({"infer": {"exports": ["geojson", "geojson"]}},
         "experiments.one.infer.exports: ['geojson', 'geojson'] names one twice"),
        ({"infer": {"exports": ["svg"]}},
         "experiments.one.infer.exports.0: found 'svg', wanted 'geojson', 'asap', 'ome-tiff' or 'colours'"),
    ],
)  # fmt: skip
def test_wrong_experiments_are_one_exact_line(tmp_path, changes, message):
    assert complaint(tmp_path, **changes) == message


@pytest.mark.parametrize(
    ("defaults", "message"),
    [
        ({"patch_siez": 1}, f"defaults.patch_siez: unknown key; did you mean 'patch_size'? possible: {KEYS}"),
        ({"train": {"steps": 0}}, "defaults.train.steps: found 0, wanted greater than or equal to 1"),
        ({"train": 3}, "defaults.train: found 3, wanted a mapping of keys to settings"),
        ({"seeds": [1, "x"]}, "defaults.seeds.1: found 'x', wanted a whole number"),
    ],
)
def test_errors_of_defaults_are_told_once_and_where_they_stand(tmp_path, defaults, message):
    two = {"one": made_config.EXPERIMENT, "two": made_config.EXPERIMENT}
    with pytest.raises(ConfigError) as caught:
        load_project(*made_config.write(tmp_path, None, two, defaults))
    assert str(caught.value) == f"{tmp_path}/experiments.yaml: {message}"


def test_errors_of_an_experiment_stay_there_although_there_are_defaults(tmp_path):
    message = complaint(tmp_path, defaults={"train": {"steps": 5}}, train={"steps": 0})
    assert message == "experiments.one.train.steps: found 0, wanted greater than or equal to 1"


def test_defaults_are_merged_section_by_section_and_own_settings_go_first(tmp_path):
    found = loaded(
        tmp_path,
        defaults={
            "patch_size": 252,
            "seeds": [4, 5],
            "train": {"epochs": 7, "batch": 3},
            "network": {"filters": 2},
        },
        train={"batch": 9},
        seeds=[6],
    )
    assert (found.patch_size, found.train.epochs, found.train.batch, found.network.filters, found.seeds) == (
        252, 7, 9, 2, (6,)
    )  # fmt: skip
    # What nobody says is the paper's.
    assert (found.train.steps, found.train.learning_rate, found.network.depth) == (1000, 5e-6, 4)
    assert found.augment == AugmentOptions()


def test_empty_experiments_are_refused(tmp_path):
    for text, message in [
        ("experiments: {}\n", "experiments: found none, wanted one at least"),
        ("defaults: {}\n", "experiments: found none, wanted one at least"),
        ("experiments: [a]\n", "experiments: found ['a'], wanted a mapping of keys to settings"),
        ("experiments: {a: 3}\n", "experiments.a: found 3, wanted a mapping of keys to settings"),
        ("experiments:\n", "experiments: found nothing, wanted a mapping of keys to settings"),
        ("defaults: 3\nexperiments: {a: {}}\n", "defaults: found 3, wanted a mapping of keys to settings"),
        ("exprmnts: {}\nexperiments: {}\n",
         "exprmnts: unknown key; did you mean 'experiments'? possible: defaults, experiments, search"),
    ]:  # fmt: skip
        with pytest.raises(ConfigError) as caught:
            load_project(*made_config.write(tmp_path, None, text))
        assert str(caught.value) == f"{tmp_path}/experiments.yaml: {message}"


def test_experiment_names_are_safe_as_folders(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load_project(*made_config.write(tmp_path, None, {"a/b": made_config.EXPERIMENT}))
    assert str(caught.value) == (
        f"{tmp_path}/experiments.yaml: experiments.a/b: found 'a/b', wanted letters, digits, '_', '.' or '-', "
        "the first a letter or a digit"
    )


def test_network_settings_carry_everything_over():
    hook = {"source": 1, "source_depth": 0, "target": 0, "target_depth": 4}
    found = BranchedSettings(
        dataset="d", model="hooknet", spacings=(0.5, 8.0), loss_weights=(0.75, 0.25), patch_size=252,
        network={"filters": 3, "batch_norm": False, "activation": "leaky_relu", "merge": "add", "hooks": [hook]},
    ).network_settings(5)  # fmt: skip
    assert (found.spacings, found.classes, found.filters, found.depth, found.convolutions) == (
        (0.5, 8.0),
        5,
        3,
        4,
        2,
    )
    assert (found.batch_norm, found.activation, found.merge, found.patch_size) == (
        False,
        "leaky_relu",
        "add",
        252,
    )
    assert found.hooks == (Hook(1, 0, 0, 4),)
    assert found.loss_weights == (0.75, 0.25)


def test_defaults_are_the_settings_of_the_paper():
    found = BranchedSettings(dataset="d", model="unet", spacings=(0.5,))
    assert (found.patch_size, found.network.depth, found.network.convolutions) == (284, 4, 2)
    assert (found.train.epochs, found.train.steps, found.train.batch) == (200, 1000, 12)
    assert (found.train.learning_rate, found.train.l2) == (5e-6, 1e-3)


def of_parameters(model, spacings, **network):
    settings = {"dataset": "d", "model": model, "spacings": spacings, "network": network}
    return BranchedSettings(**settings, patch_size=256 if model == "mrn" else 284)


def test_parameters_stand_for_the_filters_that_come_nearest_for_the_classes_there_are():
    for model, spacings, filters in [
        ("unet", (0.5,), 90),
        ("hooknet", (0.5, 8.0), 64),
        ("hooknet", (0.5, 2.0, 8.0), 52),
        ("mrn", (0.5, 8.0), 69),
    ]:
        assert of_parameters(model, spacings, parameters=50_000_000).network_settings(6).filters == filters
    assert of_parameters("unet", (0.5,), filters=3).network_settings(6).filters == 3


def test_filters_and_parameters_are_never_both_given(tmp_path):
    assert complaint(tmp_path, network={"filters": 64, "parameters": 50_000_000}) == (
        "experiments.one.network: filters 64 and parameters 50000000: the one follows from the other; leave one out, "
        "of `defaults` too"
    )
    assert "a network of 5 parameters; one filter makes" in complaint(tmp_path, network={"parameters": 5})


@pytest.mark.parametrize(("key", "value"), [("filters", 3), ("parameters", 70_000)])
def test_what_is_stored_of_the_filters_is_what_was_said_and_is_read_again(key, value):
    settings = of_parameters("hooknet", (0.5, 8.0), **{key: value})
    stored = settings.model_dump(mode="json")
    assert {"filters", "parameters"} & set(stored["network"]) == {key}
    again = BranchedSettings.model_validate(stored)
    assert again.network_settings(3) == settings.network_settings(3)
    assert again.read_as() == settings.read_as()


def test_weights_from_before_the_key_still_fit():
    # What a checkpoint holds of `network` is compared with this, key by key.
    assert "parameters" not in of_parameters("unet", (0.5,)).read_as()["network"]
    assert of_parameters("unet", (0.5,)).read_as()["network"]["filters"] == 64


def test_attention_has_a_window_and_heads_and_other_merges_have_none(tmp_path):
    attends = {"merge": "attention", "window": 3, "heads": 2}
    settings = of_parameters("hooknet", (0.5, 8.0), **attends)
    found = settings.network_settings(3)
    assert (found.merge, found.window, found.heads) == ("attention", 3, 2)
    assert attends.items() <= settings.read_as()["network"].items()
    assert not {"window", "heads"} & set(of_parameters("hooknet", (0.5, 8.0)).read_as()["network"])
    own = {"model": "hooknet", "spacings": [0.5, 8.0]}
    for network, message in [
        (
            {"window": 3},
            "experiments.one.network: window is for merge attention, found concat; leave the key out",
        ),
        (
            {**attends, "window": 4},
            "experiments.one.network: window 4 has no px in its middle; use an odd number",
        ),
    ]:
        assert complaint(tmp_path, **own, network=network) == message
    assert "network.merge is for hooknet" in complaint(tmp_path, network=attends)


ENCODER = {"make": "a.b:c", "strides": [2, 8], "channels": [3, 4], "parameters": 9}


def test_an_own_encoder_replaces_those_of_all_branches():
    own = {**ENCODER, "strides": [4, 16], "unit": 16}
    with pytest.raises(
        ShapeError, match=r"a 284 px patch for encoder a\.b:c is no multiple of 32 px; use 288 px"
    ):
        of_parameters("hooknet", (0.5, 8.0), encoder=own).network_settings(3)
    settings = of_parameters("hooknet", (0.5, 8.0), filters=2, encoder=own)
    found = settings.model_copy(update={"patch_size": 288}).network_settings(3)
    assert (found.depth, found.filters, found.patch_size) == (4, 2, 288)
    assert found.encoder == EncoderSpec("a.b:c", (4, 16), (3, 4), 16, None, 9)


def test_a_star_of_own_encoders_goes_by_their_depth():
    own = {"make": "a.b:c", "strides": [2, 4], "channels": [3, 4], "parameters": 9}
    star = {"encoder": own, "hook_layout": "star", "filters": 2}
    settings = BranchedSettings(
        dataset="d", model="hooknet", spacings=(1.0, 2.0, 4.0), patch_size=96, network=star
    ).network_settings(3)
    assert settings.all_hooks == (Hook(1, 1, 0, 2), Hook(2, 0, 0, 2))


def test_settings_of_own_encoders_that_contradict_each_other_are_one_line(tmp_path):
    def told(**network):
        return complaint(tmp_path, patch_size=64, network={"encoder": ENCODER, **network})

    at = "experiments.one.network"
    assert told(depth=3) == f"{at}: depth 3 with an encoder of strides [2, 8], which say it; leave depth out"
    assert told(encoder={**ENCODER, "strides": [2, 6]}) == (
        "experiments.one: encoder a.b:c of strides [2, 6]; give powers of two, finest first"
    )
    assert told(encoder={**ENCODER, "make": "a.b"}) == (
        f"{at}.encoder.make: found 'a.b', wanted module:function or path/to/file.py:function"
    )
    assert "options.deep.bool: found [1], wanted true or false" in told(
        encoder={**ENCODER, "options": {"deep": [1]}}
    )
    own = {"model": "mrn", "spacings": [0.5, 2.0], "patch_size": 64}
    assert complaint(tmp_path, **own, network={"encoder": ENCODER}) == (
        "experiments.one: network.encoder is for unet and hooknet, found model mrn; leave the key out, or use hooknet"
    )


def test_what_is_stored_of_an_encoder_is_read_again_and_weights_do_not_ask_where_they_started():
    files = {"make": "x.py:f", "weights": "w.pt", "frozen": True}
    settings = of_parameters("hooknet", (0.5, 8.0), encoder={**ENCODER, **files})
    stored = settings.model_dump(mode="json")
    assert "depth" not in stored["network"]
    again = BranchedSettings.model_validate(stored)
    assert again == settings
    assert not {"weights", "frozen"} & set(settings.read_as()["network"]["encoder"])
    assert settings.named_files() == {"network.encoder.make": "x.py", "network.encoder.weights": "w.pt"}
    assert (settings.own_encoder, settings.encoder_code, settings.encoder_weights) == (
        "x.py:f",
        "x.py",
        "w.pt",
    )
    plain = of_parameters("unet", (0.5,))
    assert "encoder" not in plain.read_as()["network"]
    assert (plain.own_encoder, plain.encoder_code, plain.encoder_weights) == (None, None, None)


def test_what_infer_cannot_do_together_is_one_line(tmp_path):
    at = "experiments.one"
    for infer, message in [
        ({"uncertainty": True},
         f"{at}.infer: uncertainty without probabilities, which it is told of; set probabilities to true"),
        ({"uncertainty": True, "probabilities": True, "split_gb": 1},
         f"{at}.infer: uncertainty with split_gb: such jobs write maps and probabilities alone; leave one out"),
        ({"uncertainty": True, "probabilities": True, "bundle_minutes": 1},
         f"{at}.infer: uncertainty with bundle_minutes: such jobs write maps and probabilities alone; leave one out"),
        ({"ensemble": ["a.ckpt", "a.ckpt"]},
         f"{at}.infer: ensemble ['a.ckpt', 'a.ckpt'] names one twice; name each once"),
        ({"tta": "flips"}, f"{at}.infer.tta: found 'flips', wanted 'none' or 'dihedral'"),
    ]:  # fmt: skip
        assert complaint(tmp_path, infer=infer) == message
    assert complaint(tmp_path, infer={"ensemble": ["a.ckpt"]}, checkpoint="b.ckpt") == (
        f"{at}: infer.ensemble with a checkpoint of its own; its members are all its weights: add that one to them"
    )
    assert complaint(tmp_path, infer={"ensemble": ["a.ckpt"]}, seeds=[1, 2]) == (
        f"{at}: infer.ensemble with seeds [1, 2], which change nothing: nothing is trained; leave seeds out"
    )
