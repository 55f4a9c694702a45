import made_runs
import pytest

from hooknet.io.masks import Mask
from hooknet.models.checkpoint import save_checkpoint
from hooknet.objects.quantities import read_quantities
from hooknet.prediction.model import Asked, open_model
from hooknet.prediction.predicting import Options, Predicting, duration, volume
from hooknet.training.weights import checkpoint_spec, new_network

MODELS = made_runs.every_kind()


@pytest.mark.parametrize("name", MODELS)
def test_networks_of_every_kind_predict(tmp_path, noise_slide, name):
    run = MODELS[name]
    save_checkpoint(tmp_path / "best.ckpt", new_network(run), checkpoint_spec(run, ()))
    model = open_model(tmp_path / "best.ckpt", Asked("everything"))
    told = []
    Predicting(model, {"noise": noise_slide[0]}, tmp_path / "out", Options(spacing=0.5), told.append).run()
    with Mask.open(tmp_path / "out/noise/map.tif") as mask:
        labels = mask.read(0, 0, mask.grid.width, mask.grid.height)
    assert (labels > 0).all()
    areas = read_quantities(tmp_path / "out/noise/areas.csv")["noise"]
    assert sum(areas[one].area_mm2 for one in ("one", "two")) == pytest.approx(labels.size * 0.25 / 1e6)
    assert told[-1].startswith("1 of 1 slides to predict: about ")


def test_nothing_is_left_to_measure_where_all_is_there(tmp_path, noise_slide):
    run = made_runs.make_run()
    save_checkpoint(tmp_path / "best.ckpt", new_network(run), checkpoint_spec(run, ()))
    told = []
    for _ in range(2):
        model = open_model(tmp_path / "best.ckpt")
        Predicting(
            model, {"noise": noise_slide[0]}, tmp_path / "out", Options(spacing=0.5), told.append
        ).run()
    assert told[-1] == "0 of 1 slides to predict"
    assert told[-2].endswith("; is there")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (99, "99 s"), (150, "2 min"), (5999, "100 min"), (9000, "2.5 h")]
)
def test_durations_read_well(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(10, "1 KB"), (863_400, "863 KB"), (2.34e6, "2.3 MB"), (36e6, "36 MB"), (1.25e9, "1.2 GB")],
)
def test_sizes_read_well(size, text):
    assert volume(size) == text


def test_a_slide_that_cannot_be_tried_leaves_the_estimate_to_the_next(tmp_path, noise_slide, monkeypatch):
    from hooknet.errors import SlideError
    from hooknet.prediction import predicting

    run = made_runs.make_run()
    save_checkpoint(tmp_path / "best.ckpt", new_network(run), checkpoint_spec(run, ()))
    tried = []
    speed_on = predicting.speed_on

    def failing_first(model, network, one, memory):
        tried.append(one.slide.id)
        if len(tried) == 1:
            raise SlideError("torn")
        return speed_on(model, network, one, memory)

    monkeypatch.setattr(predicting, "speed_on", failing_first)
    told, options = [], Options(spacing=0.5, dry=True)
    slides = {"a": noise_slide[0], "b": noise_slide[0]}
    Predicting(open_model(tmp_path / "best.ckpt"), slides, tmp_path / "out", options, told.append).run()
    assert tried == ["a", "b"]
    assert told[-1].startswith("2 of 2 slides to predict: about ")
