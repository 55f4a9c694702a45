import contextlib
import shutil

import made_cohort
import pytest


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A cohort on which every command has run; not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    made_cohort.write(folder)
    with contextlib.chdir(folder):
        for arguments in made_cohort.all_steps():
            outcome = made_cohort.hooknet(*arguments)
            assert outcome.status == 0, (arguments, outcome)
    return folder


@pytest.fixture
def cohort(finished, tmp_path, monkeypatch):
    """A copy of the finished cohort to work in; the test runs there."""
    folder = tmp_path / "work"
    shutil.copytree(finished, folder)
    monkeypatch.chdir(folder)
    return folder
