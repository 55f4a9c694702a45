"""A search's candidates, its rungs within the budget, and what it refuses."""

import json
from itertools import pairwise

import made_config
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooknet.config import layout
from hooknet.config.candidates import Candidate, Rungs, Work, rung_sizes, share_out
from hooknet.config.project import load_project, missing_files
from hooknet.errors import ConfigError

SEARCH = {
    "dataset": "colon",
    "spacings": [1.0, 2.0, 4.0],
    "patch_size": 92,
    "network": {"filters": 4, "depth": 2},
    "train": {"epochs": 30, "steps": 2, "batch": 2},
}


def load(folder, **changed):
    return load_project(*made_config.write(folder, search={"fields": {**SEARCH, **changed}}))


def test_sizes_fall_by_the_reduction_down_to_two():
    assert rung_sizes(9, 3) == (9, 3, 2)
    assert rung_sizes(6, 3) == (6, 2)
    assert rung_sizes(8, 2) == (8, 4, 2)
    assert rung_sizes(3, 3) == (3, 2)


def test_work_is_what_all_trials_cost_by_hand():
    """Three singles of 1 and two combinations of 1.5 for 4 epochs, then two trials for 8 more, at most 2 each."""
    assert Work(3.0, 1.5, 2.0).of(Rungs((4, 12), (5, 2)), 2) == 4 * (3 + 2 * 1.5) + 8 * 2 * 2.0


@given(
    trials=st.integers(3, 30), reduction=st.integers(2, 4), budget=st.floats(1.0, 5.0), epochs=st.integers(40, 300),
    dear=st.floats(1.0, 1.5),
)  # fmt: skip
def test_rungs_never_cost_more_than_the_budget_and_one_epoch_more_would(
    trials, reduction, budget, epochs, dear
):
    sizes, work = rung_sizes(trials, reduction), Work(2.0, dear, dear)
    try:
        rungs = share_out(sizes, trials - 2, reduction, budget * epochs, epochs, work)
    except ConfigError:
        shortest = Rungs(tuple(min(epochs, reduction**at) for at in range(len(sizes))), sizes)
        assert work.of(shortest, trials - 2) > budget * epochs
        return
    assert work.of(rungs, trials - 2) <= budget * epochs
    assert list(rungs.epochs) == sorted(rungs.epochs)
    assert max(rungs.epochs) <= epochs
    longer = Rungs(
        tuple(min(epochs, (rungs.epochs[0] + 1) * reduction**at) for at in range(len(sizes))), sizes
    )
    assert rungs.epochs[0] == epochs or work.of(longer, trials - 2) > budget * epochs


def test_a_budget_too_small_for_an_epoch_each_is_refused(tmp_path):
    with pytest.raises(
        ConfigError, match=r"search\.fields: its budget gives 7 trials not one of 2 epochs each"
    ):
        load(tmp_path, train={"epochs": 2, "steps": 2, "batch": 2})


@pytest.mark.parametrize("weight", [1.0, 0.75])
@pytest.mark.parametrize("spacings", [[1.0, 2.0], [1.0, 4.0], [1.0, 2.0, 4.0]])
def test_the_budget_holds_whoever_goes_on(tmp_path, spacings, weight):
    """Of equal parameters a single view may cost more than any combination; then it may be those that go on."""
    changed = {"spacings": spacings, "branches": [2], "target_weights": [weight], "train": {"epochs": 100}}
    settings = load(tmp_path, **changed, network={"filters": 16, "depth": 2}).searches["fields"].settings
    each = [settings.settings_of(one).network_settings(2).shape for one in settings.candidates]
    costs = [one.multiply_accumulates() for one in each]
    least = min(costs)
    for entrants in range(1, settings.all_entrants + 1):
        rungs = settings.rungs_of(entrants)
        entered = len(spacings) + entrants
        cost = rungs.epochs[0] * sum(costs[:entered])
        for (before, after), size in zip(pairwise(rungs.epochs), rungs.sizes[1:], strict=True):
            cost += (after - before) * sum(sorted(costs[:entered])[-size:])
        assert cost <= settings.budget * 100 * least


def test_candidates_are_single_views_and_what_can_be_hooked_in_all_variants(tmp_path):
    search = load(tmp_path, spacings=[1.0, 2.0, 3.0], target_weights=[0.5, 1.0]).searches["fields"]
    assert list(search.runs) == [
        "fields_1", "fields_2", "fields_3", "fields_1_2_concat_0.5", "fields_1_2_concat_1",
    ]  # fmt: skip
    assert search.runs["fields_3"].settings.model == "unet"
    assert search.runs["fields_1_2_concat_0.5"].network.all_loss_weights == (0.5, 0.5)


def test_contexts_share_what_the_target_leaves():
    assert Candidate(3, (1.0, 2.0, 4.0), "concat", 0.5).loss_weights == (0.5, 0.25, 0.25)
    assert Candidate(1, (1.0,)).loss_weights is None


def test_all_candidates_have_about_as_many_parameters(tmp_path):
    search = load(tmp_path, network={"depth": 2, "parameters": 200_000}).searches["fields"]
    for run in search.runs.values():
        assert run.parameter_count == pytest.approx(200_000, rel=0.1)


def test_a_star_hooks_every_context_into_the_target(tmp_path):
    search = load(tmp_path, network={"filters": 4, "depth": 2, "hook_layout": "star"}).searches["fields"]
    hooks = search.runs["fields_1_2_4_concat_0.75"].network.all_hooks
    assert [(one.source, one.source_depth, one.target, one.target_depth) for one in hooks] == [
        (1, 1, 0, 2),
        (2, 0, 0, 2),
    ]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"spacings": [1.0]}, "search.fields.spacings"),
        ({"spacings": [1.0, 3.0]}, "can be hooked together by networks of depth 2"),
        ({"merges": ["glue"]}, "search.fields.merges"),
        ({"dataset": "nobody"}, "search.fields.dataset: no dataset 'nobody'"),
        ({"network": {"filters": 4, "depth": 2, "merge": "add"}}, "network.merge is what a search looks for"),
        ({"target_weights": [0.0]}, "search.fields.target_weights"),
        ({"seeds": [1]}, "search.fields.seeds: unknown key"),
        ({"spacings": [1.0, 512.0]}, "search.fields: with 512 µm/px: augment.elastic_um 3 bends nothing"),
        ({"patch_size": 61}, "search.fields: a 61 px patch"),
        # Combinations are left out for their spacings alone.
        (
            {"patch_size": 48},
            "a 48 px patch is 5 px at the bottleneck, about whose centre no hook can be cropped",
        ),
        (
            {"network": {"depth": 2, "parameters": 1_500}},
            "a network of 1,500 parameters; one filter makes 1,760",
        ),
        (
            {"spacings": [1.0, 1.0000001, 2.0]},
            "search.fields.spacings: [1.0, 1.0000001, 2.0] names one twice",
        ),
        ({"target_weights": [0.5, 0.50000001]}, "names one twice (six digits tell them apart)"),
        ({"infer": {"ensemble": ["a.ckpt"]}}, "search.fields: infer.ensemble has weights of its own"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_a_line(tmp_path, changed, told):
    with pytest.raises(ConfigError) as error:
        load(tmp_path, **changed)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_masks_are_as_fine_as_the_finest_view(tmp_path):
    project = load(tmp_path)
    assert project.mask_spacing("colon") == 1.0
    assert project.read_spacings("colon") == [1.0, 2.0, 4.0]


def test_what_was_decided_for_becomes_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load(tmp_path).runs == {}
    path = layout.decision_path("fields")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"trained_in_full": ["fields_1_4_concat_0.75", "fields_1"]}))
    project = load(tmp_path)
    assert list(project.runs) == ["fields_1_4_concat_0.75", "fields_1"]
    assert project.runs["fields_1"].settings.train.epochs == 30


@pytest.mark.parametrize("text", ["{", '{"trained_in_full": ["fields_7"]}', "[]", '{"trained_in_full": 3}'])
def test_a_decision_of_another_search_is_none(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    path = layout.decision_path("fields")
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert load(tmp_path).runs == {}


def test_a_dataset_with_folds_needs_the_fold_that_tests(tmp_path):
    datasets = {"colon": made_config.dataset(slides=made_config.folds(0, 1, 2))}
    files = made_config.write(tmp_path, datasets, search={"fields": SEARCH})
    with pytest.raises(ConfigError, match="give it the `fold` that tests"):
        load_project(*files)
    files = made_config.write(tmp_path, datasets, search={"fields": {**SEARCH, "fold": 1}})
    assert next(iter(load_project(*files).searches["fields"].runs)) == "fields_1-fold1"


def test_an_encoder_of_a_search_is_looked_for_before_any_job(tmp_path):
    own = {"make": "gone.py:f", "weights": "gone.pt", "strides": [2, 4], "channels": [3, 4], "parameters": 9}
    network = {"filters": 4, "encoder": own, "hook_layout": "star"}
    project = load(tmp_path, patch_size=96, network=network)
    assert len(project.searches["fields"].runs) == 7
    lines = [one for one in missing_files(project) if ": search." in one]
    assert lines[0].endswith(
        "search.fields.network.encoder.make: found no file 'gone.py'; correct the path (paths start at the working "
        "directory)"
    )
    assert "search.fields.network.encoder.weights: found no file 'gone.pt'" in lines[1]
