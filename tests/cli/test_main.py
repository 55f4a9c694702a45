import subprocess
import sys
from importlib.metadata import version

import pytest
from made_cohort import hooknet
from typer.testing import CliRunner

from hooknet.cli import main

NAMES = [name.replace("_", "-") for name in main.COMMANDS]
HEAVY = (
    "torch", "lightning", "rasterio", "openslide", "scipy", "pandas", "geopandas", "pyarrow", "matplotlib", "shapely",
    "numpy", "pydantic", "snakemake",
)  # fmt: skip


def test_help_lists_the_commands_in_the_order_of_the_pipeline():
    text = CliRunner().invoke(main.app, ["--help"], env={"COLUMNS": "200"}).output
    places = [text.index(f"\n  {name} ") for name in NAMES]
    assert places == sorted(places)
    assert NAMES[:35] == [
        "make-demo-slide", "check-slide", "read-annotations", "rasterise", "detect-tissue", "index-centres",
        "make-splits", "train-trial", "rank-views", "promote-trials", "decide-views",
        "train", "card", "infer", "join-bands", "infer-bundle", "unbundle", "fit-clusters",
        "train-classifier", "classify-patches", "train-refiner", "refine", "paint-tissue", "export", "evaluate",
        "measure-boundaries", "measure-volume", "measure-calibration", "quantify", "overview", "detect-objects",
        "match-objects", "compare", "report", "verdict",
    ]  # fmt: skip


def test_version_is_that_of_the_package():
    outcome = CliRunner().invoke(main.app, ["--version"])
    assert (outcome.exit_code, outcome.output) == (0, f"hooknet {version('hooknet')}\n")


@pytest.mark.parametrize("name", NAMES)
def test_every_command_explains_itself_and_all_its_options(name):
    import typer

    command = typer.main.get_command(main.app).commands[name]
    assert len(command.help.split(".")[0]) > 20
    for parameter in command.params:
        assert len(getattr(parameter, "help", None) or "") > 10, f"{name}: {parameter.name}"
    outcome = CliRunner().invoke(main.app, [name, "--help"])
    assert outcome.exit_code == 0
    assert "Usage" in outcome.output


def test_starting_imports_nothing_heavy():
    script = f"import sys, hooknet.cli.main; print([one for one in {HEAVY!r} if one in sys.modules])"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


@pytest.mark.parametrize("arguments", [["--help"], ["infer", "--help"], ["train", "-h"]])
def test_help_imports_nothing_heavy(arguments):
    script = (
        f"import sys; sys.argv = ['hooknet', *{arguments!r}]\nfrom hooknet.cli.main import main\n"
        f"try:\n    main()\nfinally:\n    print([one for one in {(*HEAVY, 'rich')!r} if one in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "Usage: hooknet" in found.stdout
    assert found.stdout.endswith("[]\n")


def test_no_command_shows_help_and_unknown_commands_are_refused():
    assert "make-demo-slide" in hooknet().out + hooknet().err
    assert hooknet("trian").status == 2
    assert hooknet("train").status == 2  # no options


def test_package_runs_as_a_module():
    found = subprocess.run(
        [sys.executable, "-m", "hooknet", "--help"], capture_output=True, text=True, check=True
    )
    assert "read-annotations" in found.stdout


def failing(monkeypatch, error):
    """What the front door makes of an error in a command."""

    def fail():
        raise error

    monkeypatch.setattr(main, "app", fail)
    return hooknet()


def test_full_disk_is_one_line(monkeypatch):
    outcome = failing(monkeypatch, OSError(28, "No space left on device", "results/x.tif"))
    assert outcome.status == 2
    assert outcome.err == "hooknet: results/x.tif: No space left on device; free space, then run again\n"


def test_forbidden_folder_is_one_line(monkeypatch):
    outcome = failing(monkeypatch, PermissionError(13, "Permission denied", "results"))
    assert outcome.err == (
        "hooknet: results: Permission denied; correct the path or its permissions, then run again\n"
    )


def test_bugs_of_ours_keep_their_traceback(monkeypatch):
    for bug in (ValueError("x"), OSError("no number"), KeyError("x")):
        with pytest.raises(type(bug)):
            failing(monkeypatch, bug)


def test_full_disk_below_the_error_of_a_library_is_one_line(monkeypatch):
    error = RuntimeError("unexpected pos 64 vs 0")
    error.__context__ = OSError(28, "No space left on device")
    assert failing(monkeypatch, error).err == "hooknet: No space left on device; free space, then run again\n"


def test_handled_trouble_below_a_bug_does_not_hide_it(monkeypatch):
    error = ValueError("x")
    error.__context__ = FileNotFoundError(2, "No such file or directory", "a")
    with pytest.raises(ValueError, match="x"):
        failing(monkeypatch, error)


def test_messages_of_several_lines_become_one(monkeypatch):
    from hooknet.errors import SlideError

    assert failing(monkeypatch, SlideError("a\n  b")).err == "hooknet: a b\n"


def test_reader_that_has_seen_enough_is_no_error_of_ours(cohort):
    command = f"{sys.executable} -m hooknet check --datasets datasets.yaml --experiments experiments.yaml"
    script = f"{command} | true; echo ${{PIPESTATUS[0]}}"
    found = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert "Traceback" not in found.stderr
    assert found.stdout in ("0\n", "1\n")
