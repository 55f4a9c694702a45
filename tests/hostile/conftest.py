import contextlib
import shutil

import hostile_cases
import made_cohort
import pytest

# Torch's training is slow to start, and only weights need a run.
BEFORE_TRAINING = (
    "check-slide",
    "read-annotations",
    "rasterise",
    "detect-tissue",
    "index-centres",
    "make-splits",
)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A cohort on which everything before training has run, with a made-up map; not to be changed."""
    folder = tmp_path_factory.mktemp("prepared")
    made_cohort.write(folder)
    with contextlib.chdir(folder):
        for arguments in made_cohort.all_steps():
            if arguments[0] in BEFORE_TRAINING:
                outcome = made_cohort.hooknet(*arguments)
                assert outcome.status == 0, (arguments, outcome)
        hostile_cases.make_map()
        for role in ("labels", "truth"):
            assert made_cohort.hooknet(*made_cohort.step("evaluate", role=role)).status == 0
    return folder


@pytest.fixture
def cohort(prepared, tmp_path, monkeypatch):
    """A copy of it to work in; the test runs there."""
    folder = tmp_path / "work"
    shutil.copytree(prepared, folder)
    monkeypatch.chdir(folder)
    return folder
