import made_runs
import pytest

from hooknet.config.run import DenseRun
from hooknet.errors import CheckpointError
from hooknet.models.checkpoint import save_checkpoint
from hooknet.prediction.model import Asked, open_model, tissue_of
from hooknet.training.weights import checkpoint_spec, new_network

MODELS = made_runs.every_kind()


def saved(folder, run, **spec):
    path = folder / "best.ckpt"
    save_checkpoint(path, new_network(run), checkpoint_spec(run, ()) | spec)
    return path


@pytest.mark.parametrize("name", MODELS)
def test_the_run_is_the_one_that_was_trained(tmp_path, name):
    run = MODELS[name]
    found = open_model(saved(tmp_path, run)).run
    assert isinstance(found, DenseRun)
    assert found.network == run.network
    assert found.settings.read_as() == run.settings.read_as()
    assert found.dataset.label_map.palette() == run.dataset.label_map.palette()
    assert found.name == "made"


def test_what_is_predicted_is_what_is_asked_for_else_what_was_said(tmp_path):
    path = saved(tmp_path, made_runs.make_run(infer={"over": "everything", "exports": ["asap"]}))
    assert open_model(path).run.settings.infer.over == "everything"
    asked = open_model(path, Asked("tissue", probabilities=True)).run.settings.infer
    assert (asked.over, asked.probabilities, asked.exports) == ("tissue", True, ())
    masked = saved(tmp_path, made_runs.make_run(infer={"over": "mask", "bundle_minutes": 5}))
    assert open_model(masked).run.settings.infer.over == "tissue"


def test_ranges_and_tissue_are_those_that_stand_in_the_file(tmp_path):
    path = saved(
        tmp_path,
        made_runs.make_run(),
        cohort={"slides": 2, "ranges": {"spacing": [0.25, 0.5]}},
        tissue={"spacing": 4.0},
    )
    model = open_model(path)
    assert model.ranges == {"spacing": (0.25, 0.5)}
    assert tissue_of(model).spacing == 4.0


def test_weights_without_them_have_none(tmp_path):
    model = open_model(saved(tmp_path, made_runs.make_run()))
    assert model.ranges is None
    assert tissue_of(model).spacing == 8.0


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"cohort": {"ranges": {"eosin": [2, 1]}}}, "damaged (ranges of the cohort are no pairs of numbers)"),
        (
            {"cohort": {"ranges": {"eosin": [1, True]}}},
            "damaged (ranges of the cohort are no pairs of numbers)",
        ),
        ({"trained_on": {"patches": {"one": "many"}}}, "damaged (patches of trained_on are no counts)"),
        ({"settings": {}}, "weights of a None, wanted those of a unet"),
        (
            {"classes": [{"name": "one", "value": 7, "colour": "#ff0000"}]},
            "its settings are not those of this version",
        ),
    ],
)
def test_nonsense_is_refused(tmp_path, spec, told):
    with pytest.raises(CheckpointError) as caught:
        open_model(saved(tmp_path, made_runs.make_run(), **spec))
    assert told in str(caught.value)


def test_settings_of_tissue_that_cannot_be_are_refused(tmp_path):
    model = open_model(saved(tmp_path, made_runs.make_run(), tissue={"spacing": -1}))
    with pytest.raises(CheckpointError, match="damaged \\(tissue: "):
        tissue_of(model)
