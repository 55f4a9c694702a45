from pathlib import Path

import made_config
import yaml
from made_cohort import FILES, hooknet, refuse

from hooknet.config.layout import phantom_files

OUTPUTS = {key: str(path) for key, path in phantom_files("a").items()}


def phantom(folder, **options):
    files = {key: str(path) for key, path in phantom_files("{id}").items()}
    classes = {
        name: {"value": value, "colour": "#102030"}
        for value, name in enumerate(("stroma", "fat", "in_situ", "invasive", "lymphoid"), start=1)
    }
    made_config.write(folder, {"colon": made_config.dataset(phantom=options, files=files, classes=classes)})


def arguments(slide="a"):
    places = [("--image", "slide"), ("--annotation", "annotation"), ("--truth", "truth")]
    flags = [one for flag, key in places for one in (flag, OUTPUTS[key])]
    return ["make-demo-slide", "--dataset", "colon", "--slide", slide, *flags, *FILES]


def test_three_files_are_drawn_and_the_same_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    phantom(tmp_path, size_um=500, spacing=2.0)
    assert hooknet(*arguments()).status == 0
    first = {path: Path(path).read_bytes() for path in OUTPUTS.values()}
    assert all(first.values())
    assert hooknet(*arguments()).status == 0
    assert {path: Path(path).read_bytes() for path in OUTPUTS.values()} == first


def test_world_too_small_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    phantom(tmp_path, size_um=200, spacing=2.0)
    message = refuse(*arguments())
    assert "200" in message
    assert "400" in message


def test_dataset_without_phantom_is_one_line(cohort):
    assert refuse(*arguments()) == (
        "datasets.yaml: datasets.colon has no `phantom`: its slides are brought, not drawn"
    )


def test_phantom_settings_are_those_of_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    phantom(tmp_path, size_um=500, spacing=3.0)
    assert yaml.safe_load(Path("datasets.yaml").read_text())["datasets"]["colon"]["phantom"]["spacing"] == 3.0
    assert "spacing 3 µm/px found, 0.05 to 2 wanted" in refuse(*arguments())
