import re

import made_runs
import pytest
import yaml

from hooknet.models.checkpoint import check_fit, load_checkpoint, save_checkpoint
from hooknet.prediction.card import card, markdown
from hooknet.prediction.model import open_model
from hooknet.training.weights import checkpoint_spec, new_network


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    made_runs.train_in(folder, folder, made_runs.make_run())
    return folder / "best.ckpt"


@pytest.fixture(scope="module")
def text(trained):
    return markdown(open_model(trained))


def test_it_tells_what_the_weights_are(text, trained):
    parameters = made_runs.make_run().parameter_count
    assert text.startswith("# Model card: made\n\n## What it is\n\nhooknet(0.5, 1 µm/px), ")
    assert f"{parameters:,} parameters" in text
    assert "one of 2 classes, as a map at 0.5 µm/px." in text
    assert "patches of 38 px at 0.5, 1 µm/px" in text
    assert "Pixel values are divided by 255; outside the slide is white." in text


def test_it_tells_classes_what_they_were_trained_on_and_how_they_scored(text, trained):
    found = load_checkpoint(trained)
    for value, (name, colour) in enumerate((("one", "#ff0000"), ("two", "#0000ff")), start=1):
        patches = found.spec["trained_on"]["patches"][name]
        f1 = found.extra["validation_f1"][name]
        assert f"| {name} | {value} | {colour} | {patches:,} | {f1:.3f} |\n" in text
    assert "Dataset made, experiment made." in text
    assert "1 slide of 1 patient; patches" in text
    epoch, macro = (found.extra[key] for key in ("epoch", "validation_macro_f1"))
    assert (
        f"Macro F1 {macro:.3f} on patches of the validation slides, after epoch {epoch:.0f}. These were 1 slide"
        in text
    )


def test_it_tells_the_ranges_of_the_cohort(text, trained):
    ranges = load_checkpoint(trained).spec["cohort"]["ranges"]
    low, high = ranges["eosin"]
    assert f"| eosin | {low:.4g} | {high:.4g} | 15% |" in text
    assert "| spacing µm/px | 0.5 | 0.5 | 5% |" in text


def test_it_tells_limits_versions_and_provenance(text, trained):
    spec = load_checkpoint(trained).spec
    assert "- For research only. This is no medical device" in text
    assert f"| settings of the training (fingerprint) | {spec['fingerprint']} |" in text
    for name in ("hooknet", "torch", "python"):
        assert f"| version of {name} | {spec['versions'][name]} |" in text
    assert text.endswith(" |\n")


@pytest.mark.parametrize(
    "run",
    [
        *made_runs.every_kind().values(),
        made_runs.make_run(loss_weights=(0.75, 0.25)),
        made_runs.make_run(loss_weights=None),
        made_runs.make_hdc_run(deep_weights=None),
    ],
    ids=[*made_runs.every_kind(), "hooknet, both losses", "hooknet, one loss", "hdc_hrnet, one loss"],
)
def test_an_experiment_of_the_settings_that_it_tells_takes_the_weights(run, tmp_path):
    network = new_network(run)
    save_checkpoint(tmp_path / "best.ckpt", network, checkpoint_spec(run, ()))
    text = markdown(open_model(tmp_path / "best.ckpt"))
    (told,) = re.findall(r"^\| settings of an experiment that uses them \| (.+) \|$", text, re.MULTILINE)
    other = made_runs.run_of({"dataset": "made", **yaml.safe_load(told)}, seed=1)
    check_fit(new_network(other), network.state_dict(), "best.ckpt")
    assert other.settings.read_as() == run.settings.read_as()


def test_the_same_weights_give_the_same_card(text, trained):
    assert markdown(open_model(trained)) == text


def test_of_weights_that_tell_less_less_is_told(tmp_path):
    run = made_runs.make_run()
    save_checkpoint(tmp_path / "bare.ckpt", new_network(run), checkpoint_spec(run, ()))
    model = open_model(tmp_path / "bare.ckpt")
    text = markdown(model)
    assert "The weights do not tell on how many slides and patients." in text
    assert "The weights do not tell of a validation." in text
    assert "no warning can be given of slides unlike them" in text
    assert "| one | 1 | #ff0000 | – | – |" in text
    assert [one.title for one in card(model)] == [
        "What it is", "Trained on", "Validated", "Its slides", "Intended use and limits", "Provenance",
    ]  # fmt: skip


def test_text_of_a_strange_file_stays_in_its_cell(tmp_path):
    run = made_runs.make_run()
    spec = checkpoint_spec(run, ()) | {"run": "a | b\n# c", "fingerprint": "x | y"}
    save_checkpoint(tmp_path / "odd.ckpt", new_network(run), spec)
    text = markdown(open_model(tmp_path / "odd.ckpt"))
    assert text.startswith("# Model card: a | b # c\n")
    assert "| x \\| y |" in text
