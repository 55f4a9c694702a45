import made_config
import numpy as np

from hooknet.config.project import load_project
from hooknet.evaluation.cohort import compare_systems
from hooknet.evaluation.slides import write_counts

SLIDES = [
    {"id": "a", "split": "training"},
    {"id": "b", "split": "validation"},
    *({"id": f"t{n}", "split": "test", "grade": grade} for n, grade in enumerate(("I", "II", "II", None))),
]
RIGHT = {"unet": [80, 95, 70, 88], "hooknet": [85, 96, 90, 89], "otsu": [40, 50, 60, 90]}


def test_grades_are_those_of_the_sheet_and_tissue_masks_are_not_in_tukeys_test(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    experiments = {
        "unet": made_config.experiment(),
        "hooknet": made_config.experiment(spacings=[1.0]),
        "otsu": {"dataset": "colon", "model": "tissue", "inside": "gland"},
    }
    project = load_project(
        *made_config.write(tmp_path, {"colon": made_config.dataset(slides=SLIDES)}, experiments)
    )
    for run, right in RIGHT.items():
        for number, one in enumerate(right):
            counts = np.array([[0, one, 100 - one], [0, 100 - one, one]], np.int64)
            path = tmp_path / "runs" / run / "counts" / "labels" / f"t{number}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_counts(path, {f"t{number}": counts}, ("stroma", "gland"))
    found = compare_systems(project, "colon", {one.id: one.side for one in project.dataset("colon").slides},
                            tmp_path / "runs")["labels"]  # fmt: skip
    of_unet = found.per_slide[(found.per_slide["system"] == "unet") & (found.per_slide["class"] == "gland")]
    assert of_unet[["grade", "n"]].values.tolist() == [["all", 4], ["I", 1], ["II", 2]]
    np.testing.assert_allclose(of_unet["recall_mean"], [0.8325, 0.8, 0.825])
    assert set(found.comparisons["first"]) | set(found.comparisons["second"]) == set(RIGHT)
    assert found.tukey[["first", "second"]].values.tolist() == [["unet", "hooknet"]] * 2
