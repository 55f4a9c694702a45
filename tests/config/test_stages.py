import made_config
import pytest

from hooknet.config.project import load_project
from hooknet.config.run import ClassifierRun, DenseRun, RefinerRun, TissueRun, of_kind
from hooknet.errors import ConfigError

CLASSIFIER = {"dataset": "colon", "model": "classifier", "patch_size": 64}
REFINER = {"dataset": "colon", "model": "refiner", "size": 256, "parent": "patches", "parts": 2}
TISSUE = {"dataset": "colon", "model": "tissue", "inside": "gland", "outside": "stroma"}
SLIDES = [
    {"id": f"s{number}", "slide": f"s{number}.tif", "annotation": f"s{number}.xml", "split": split}
    for number, split in enumerate(["training"] * 4 + ["validation", "test"])
]


def loaded(tmp_path, **experiments):
    everything = {"patches": CLASSIFIER, "refined": REFINER, "otsu": TISSUE} | experiments
    sections = {name: one for name, one in everything.items() if one is not None}
    datasets = {"colon": made_config.dataset(slides=SLIDES)}
    return load_project(*made_config.write(tmp_path, datasets, sections))


def complaint(tmp_path, **experiments):
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, **experiments)
    return str(caught.value).removeprefix(f"{tmp_path}/experiments.yaml: ")


def test_each_model_makes_a_run_of_its_kind(tmp_path):
    project = loaded(tmp_path, dense={"dataset": "colon", "model": "unet", "spacings": [0.5]})
    kinds = {name: type(run) for name, run in project.runs.items()}
    assert kinds == {"patches": ClassifierRun, "refined": RefinerRun, "otsu": TissueRun, "dense": DenseRun}


def test_a_refiner_stands_on_the_run_of_its_seed(tmp_path):
    seeds = {"seeds": [1, 2]}
    project = loaded(tmp_path, patches=CLASSIFIER | seeds, refined=REFINER | seeds)
    assert project.runs["refined-seed2"].parent is project.runs["patches-seed2"]


def test_heat_maps_of_training_slides_come_from_the_run_that_has_not_seen_them(tmp_path):
    project = loaded(tmp_path)
    run = project.runs["refined"]
    found = run.heat_maps("training")
    assert set(found) == {"s0", "s1", "s2", "s3"}
    assert set(found.values()) == {"patches-part0of2", "patches-part1of2"}
    for slide, name in found.items():
        part = project.run(name)
        assert slide not in {one.id for one in part.slides("training")}
        assert slide in {one.id for one in part.slides("test")}
        assert [one.id for one in part.slides("validation")] == ["s4"]
    assert run.heat_maps("validation") == {"s4": "patches"}
    assert run.heat_maps("test") == {"s5": "patches"}


def test_parts_are_runs_of_their_own_that_nobody_scores(tmp_path):
    project = loaded(tmp_path)
    assert set(project.part_runs) == {"patches-part0of2", "patches-part1of2"}
    assert not set(project.part_runs) & set(project.runs)
    settings = [run.training_settings() for run in (project.runs["patches"], *project.part_runs.values())]
    assert len({str(one) for one in settings}) == 3


def test_weights_depend_on_the_grades_that_draws_go_by(tmp_path):
    def settings(grade, *levels):
        slides = [one | {"grade": grade} for one in SLIDES]
        section = CLASSIFIER | {"train": {"levels": list(levels)}}
        datasets = {"colon": made_config.dataset(slides=slides)}
        return (
            load_project(*made_config.write(tmp_path, datasets, {"one": section}))
            .runs["one"]
            .training_settings()
        )

    assert settings("I", "grade", "slide") != settings("II", "grade", "slide")
    assert settings("I", "slide") == settings("II", "slide")


def test_weights_depend_only_on_what_they_are_made_of(tmp_path):
    def weights(name, **changes):
        return loaded(tmp_path, **{name: {**everything[name], **changes}}).runs[name].training_settings()

    everything = {"patches": CLASSIFIER, "refined": REFINER, "bare": {**REFINER, "parent": None}}
    assert weights("patches", stride=32) == weights("patches")
    assert weights("patches", spacing=2.0) != weights("patches")
    assert weights("refined", parts=3) != weights("refined")
    assert weights("refined", label_spacing=2.0) == weights("refined")
    assert weights("bare", parts=3) == weights("bare")
    in_sample = {"heat_maps": "in_sample"}
    assert weights("refined", parts=3, **in_sample) == weights("refined", **in_sample)


def test_clusters_depend_on_less_than_weights(tmp_path):
    def clusters(**changes):
        section = CLASSIFIER | {"clusters": {"k": 3}} | changes
        return loaded(tmp_path, patches=section).runs["patches"].cluster_settings()

    assert clusters(train={"epochs": 3, "learning_rate": 1.0}) == clusters()
    assert clusters(clusters={"k": 3, "reduction": "poster"}) == clusters()
    assert clusters(clusters={"k": 4}) != clusters()
    assert clusters(patch_size=96) != clusters()


def test_maps_are_made_again_where_patches_are_further_apart(tmp_path):
    near, far = (loaded(tmp_path, patches=CLASSIFIER | {"stride": one}).runs["patches"] for one in (32, 64))
    assert near.settings.read_as() != far.settings.read_as()


def test_refiners_share_the_parts_of_their_parent(tmp_path):
    project = loaded(tmp_path, other=REFINER | {"network": {"name": "agunet"}})
    assert len(project.part_runs) == 2


def test_heat_maps_in_sample_need_no_parts(tmp_path):
    project = loaded(tmp_path, refined=REFINER | {"heat_maps": "in_sample"})
    assert project.part_runs == {}
    assert set(project.runs["refined"].heat_maps("training").values()) == {"patches"}


def test_a_refiner_without_a_parent_sees_no_heat_map(tmp_path):
    run = loaded(tmp_path, refined={**REFINER, "parent": None}).runs["refined"]
    assert (run.parent, run.heat_maps("training"), run.shape.inputs) == (None, {}, 3)


def test_the_foreground_says_whose_heat_maps_are_seen(tmp_path):
    everything = loaded(tmp_path).runs["refined"]
    one = loaded(tmp_path, refined=REFINER | {"foreground": ["gland"]}).runs["refined"]
    values = {name: kind.value for name, kind in one.dataset.classes.items()}
    assert (everything.foreground, everything.shape.inputs) == (
        tuple(sorted(values.values())),
        3 + len(values),
    )
    assert (one.foreground, one.shape.inputs) == ((values["gland"],), 4)


def test_masks_have_the_spacing_of_the_patches(tmp_path):
    assert loaded(tmp_path).mask_spacing("colon") == 1.0
    assert loaded(tmp_path, patches=CLASSIFIER | {"spacing": 0.7}).mask_spacing("colon") == 0.7


def test_masks_of_tissue_maps_alone_need_a_spacing(tmp_path):
    project = loaded(tmp_path, patches=None, refined=None)
    with pytest.raises(ConfigError, match=r"of its label masks; give experiments\.otsu a label_spacing"):
        project.mask_spacing("colon")


def test_a_tissue_map_is_one_map_whatever_seeds_are_shared(tmp_path):
    project = loaded(tmp_path, otsu=TISSUE | {"seeds": [4, 5]})
    assert [name for name in project.runs if name.startswith("otsu")] == ["otsu"]
    assert project.runs["otsu"].weights is None


def test_defaults_of_a_model_are_for_its_experiments_only(tmp_path):
    defaults = {"dataset": "colon", "classifier": {"spacing": 2.0, "train": {"epochs": 3}}}
    sections = {
        "patches": {"model": "classifier", "patch_size": 64, "train": {"steps": 7}},
        "dense": {"model": "unet", "spacings": [0.5]},
    }
    datasets = {"colon": made_config.dataset(slides=SLIDES)}
    project = load_project(*made_config.write(tmp_path, datasets, sections, defaults))
    found = project.experiments["patches"]
    assert (found.spacing, found.train.epochs, found.train.steps) == (2.0, 3, 7)
    assert project.experiments["dense"].train.epochs == 200


@pytest.mark.parametrize(
    ("experiments", "line"),
    [
        ({"refined": REFINER | {"parent": "pathces"}},
         "experiments.refined.parent: no classifier 'pathces'; did you mean 'patches'? possible: patches"),
        ({"refined": REFINER | {"parent": "otsu"}},
         "experiments.refined.parent: no classifier 'otsu'; possible: patches"),
        ({"refined": REFINER | {"seeds": [1, 7]}},
         "experiments.refined.parent: 'patches' has no run of seed 7; give both the same seeds and folds"),
        ({"patches": CLASSIFIER | {"checkpoint": "w.ckpt"}},
         "experiments.refined.parent: 'patches' uses its checkpoint as it is, so no heat maps can be cross-fitted; "
         "set heat_maps to in_sample, or leave the checkpoint out"),
        ({"refined": REFINER | {"foreground": ["glad"]}},
         "experiments.refined: foreground: no class 'glad'; did you mean 'gland'? possible: stroma, gland"),
        ({"refined": REFINER | {"parts": 5}},
         "experiments.refined.parts: 4 patients train, wanted one at least for each of 5 parts; lower the refiner's "
         "`parts`, or set its heat_maps to in_sample"),
        ({"patches": CLASSIFIER | {"infer": {"over": "mask"}}, "refined": REFINER},
         "experiments.patches.infer.over: 'mask', but slide 's5' names no infer_mask; add it"),
        ({"patches-part0of2": CLASSIFIER},
         "run 'patches-part0of2' would be one that makes heat maps for 'refined' too; rename the experiment"),
        ({"otsu": TISSUE | {"outside": "gland"}},
         "experiments.otsu: inside and outside are both 'gland'; wanted two classes, or no outside"),
        ({"otsu": TISSUE | {"inside": "tissue"}},
         "experiments.otsu: inside: no class 'tissue'; possible: stroma, gland"),
        ({"otsu": TISSUE | {"checkpoint": "w.ckpt"}},
         "experiments.otsu: a tissue map has no weights; leave the checkpoint out"),
        ({"patches": CLASSIFIER | {"stride": 65}},
         "experiments.patches: stride 65 is longer than patch_size 64; patches would leave gaps"),
        ({"patches": CLASSIFIER | {"train": {"levels": ["slide", "slide"]}}},
         "experiments.patches.train.levels: ['slide', 'slide'] names one twice"),
        ({"patches": CLASSIFIER | {"spacings": [1.0]}},
         "experiments.patches.spacings: unknown key; did you mean 'spacing'? possible: "),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_in_a_line(tmp_path, experiments, line):
    assert complaint(tmp_path, **experiments).startswith(line)


def test_a_run_of_another_kind_is_told_to_a_command(tmp_path):
    run = loaded(tmp_path).runs["patches"]
    assert of_kind(run, ClassifierRun, "train-classifier") is run
    with pytest.raises(
        ConfigError, match="run patches: found model classifier, train wants unet, hooknet, mrn or hdc_hrnet;"
    ):
        of_kind(run, DenseRun, "train")


def test_heat_maps_in_masks_need_a_mask_for_every_slide(tmp_path):
    slides = [one | {"infer_mask": "m.png"} if one["split"] == "test" else one for one in SLIDES]
    sections = {"patches": CLASSIFIER | {"infer": {"over": "mask"}}, "refined": REFINER}
    datasets = {"colon": made_config.dataset(slides=slides)}
    with pytest.raises(
        ConfigError, match="'patches' infers over 'mask', but slide 's0' names no infer_mask, and heat"
    ):
        load_project(*made_config.write(tmp_path, datasets, sections))


def test_no_more_than_one_class_is_left_out_of_the_foreground(tmp_path):
    classes = made_config.CLASSES | {"fat": {"value": 3, "colour": "#f2cc8f"}}
    datasets = {"colon": made_config.dataset(slides=SLIDES, classes=classes)}
    sections = {"patches": CLASSIFIER, "refined": REFINER | {"foreground": ["gland"]}}
    with pytest.raises(
        ConfigError, match="foreground: leaves out stroma, fat, which nothing would tell apart; leave"
    ):
        load_project(*made_config.write(tmp_path, datasets, sections))
    sections["refined"] = REFINER | {"foreground": ["gland", "fat"]}
    assert load_project(*made_config.write(tmp_path, datasets, sections)).runs["refined"].foreground == (2, 3)


def test_a_tissue_map_has_no_probabilities_for_thresholds_of_objects(tmp_path):
    classes = {
        **made_config.CLASSES,
        "gland": {**made_config.CLASSES["gland"], "objects": {"low": 0.3, "high": 0.6}},
    }
    datasets = {"colon": made_config.dataset(slides=SLIDES, classes=classes)}
    with pytest.raises(
        ConfigError, match="found 'tissue', which has no probabilities, but objects of class 'gland'"
    ):
        load_project(*made_config.write(tmp_path, datasets, {"patches": CLASSIFIER, "otsu": TISSUE}))
