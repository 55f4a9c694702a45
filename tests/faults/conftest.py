from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import fault_jobs
import fault_kills
import fault_projects
import pytest
from fault_jobs import Job


@dataclass(frozen=True)
class Project:
    """A complete run: its jobs, and what is judged of it."""

    folder: Path
    jobs: list[Job]
    wanted: dict[str, str]

    def of_each_step(self) -> list[Job]:
        """The first job of each command."""
        return list({job.step: job for job in reversed(self.jobs)}.values())[::-1]

    def differences(self, folder: Path | None = None) -> list[str]:
        return fault_kills.differences(folder or self.folder, self.wanted)


@pytest.fixture(scope="session")
def tiny(finished):
    return Project(finished, fault_jobs.planned(finished), fault_kills.contents(finished))


@pytest.fixture(scope="session")
def every_step(tmp_path_factory):
    """A complete run that goes through every step of the pipeline; not to be changed."""
    folder = tmp_path_factory.mktemp("every_step")
    fault_projects.write(folder)
    jobs = fault_jobs.planned(folder)
    fault_jobs.run_all(folder, jobs)
    return Project(folder, jobs, fault_kills.contents(folder))


@pytest.fixture
def project(tiny, tmp_path):
    """A copy to work in."""
    folder = tmp_path / "run"
    shutil.copytree(tiny.folder, folder, symlinks=True)
    return Project(folder, tiny.jobs, tiny.wanted)
