import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import made_cohort
import made_config
import made_slides
import pytest
from made_cohort import FILES, RUN, SLIDES, hooknet, refuse


@pytest.fixture
def slides(tmp_path, monkeypatch):
    """A cohort of which nothing is made yet but the folder of results."""
    made_cohort.write(tmp_path)
    (tmp_path / "results").mkdir()
    monkeypatch.chdir(tmp_path)


@contextmanager
def viewing(*arguments):
    """The command in a process of its own, its URL, and what it said so far."""
    command = [sys.executable, "-m", "hooknet", "view", "--port", "0", "--no-browser", *FILES, *arguments]
    # Jobs in the background of a script are deaf to Ctrl-C, and so would be the process here.
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        said = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/", said)
        assert found, (said, process.stderr.read() if process.poll() is not None else "")
        yield process, found[0], said
    finally:
        process.kill()
        process.communicate()


def data(url):
    with urllib.request.urlopen(f"{url}data.js", timeout=20) as response:
        return json.loads(
            response.read().decode().removeprefix("window.HOOKNET = ").rstrip().removesuffix(";")
        )


@pytest.mark.usefixtures("slides")
def test_slides_and_maps_are_served_until_ctrl_c():
    for path in (SLIDES / "c" / "labels.tif", RUN / "maps" / "c.tif"):
        path.parent.mkdir(parents=True)
        made_slides.write_mask(path, made_cohort.truth(), spacing=1.0)
    before = made_cohort.snapshot(Path())
    with viewing("results") as (process, url, said):
        assert said.startswith("colon: 3 slides at ")
        told = data(url)
        assert told["systems"] == ["unet"]
        keys = {one["id"]: [layer["key"] for layer in one["layers"]] for one in told["slides"]}
        assert keys == {"a": ["he"], "b": ["he"], "c": ["he", "labels", "map-0", "diff-0"]}
        with urllib.request.urlopen(f"{url}tiles/2/diff-0/8/0_0", timeout=20) as response:
            assert response.read().startswith(b"\x89PNG")
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=20)
        assert (process.returncode, error) == (0, "")
    assert made_cohort.snapshot(Path()) == before


@pytest.mark.usefixtures("slides")
def test_without_maps_there_are_slides():
    with viewing() as (process, url, _):
        assert process.stdout.readline() == "no maps yet, so only slides and what was annotated are shown\n"
        assert [[layer["key"] for layer in one["layers"]] for one in data(url)["slides"]] == [["he"]] * 3


@pytest.mark.usefixtures("slides")
def test_no_results_is_one_line():
    os.rmdir("results")
    assert refuse("view", "--no-browser", *FILES) == (
        "results: no such folder, wanted that of the results; run the workflow, or name its folder"
    )


@pytest.mark.usefixtures("slides")
def test_of_several_datasets_one_has_to_be_named(tmp_path):
    both = {name: made_cohort.settings() for name in ("colon", "breast")}
    made_config.write(tmp_path, both, made_cohort.EXPERIMENTS)
    assert "found 2 datasets (colon, breast), wanted to know which" in refuse("view", "--no-browser", *FILES)
    assert "no dataset 'colom'" in refuse("view", "--no-browser", "--dataset", "colom", *FILES)


@pytest.mark.usefixtures("slides")
def test_a_port_in_use_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"port {port} of 127.0.0.1: it is in use" in refuse(
            "view", "--no-browser", "--port", port, *FILES
        )


@pytest.mark.usefixtures("slides")
def test_a_port_that_is_none():
    outcome = hooknet("view", "--no-browser", "--port", 65536, *FILES)
    assert outcome.status == 2
    assert "65535" in outcome.err
