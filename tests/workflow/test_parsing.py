"""Planning opens neither slides nor annotations, whatever their number."""

import ctypes
import os
import struct

import made_config
import pytest
import yaml
from made_workflow import EXPERIMENTS, snakemake

IN_OPEN = 0x20
EVENT = struct.Struct("iIII")
SPLITS = {"a1": "training", "b1": "validation", "c1": "test"}


@pytest.fixture
def brought(tmp_path):
    """A cohort of the user's own, whose slides and annotations are no images and no XML at all."""
    for folder in ("config", "data"):
        (tmp_path / folder).mkdir()
    for name in SPLITS:
        for suffix in ("svs", "xml", "png"):
            (tmp_path / "data" / f"{name}.{suffix}").write_text("not what its name says")
    (tmp_path / "config" / "slides.tsv").write_text(
        "\n".join(["id\tsplit", *map("\t".join, SPLITS.items())]) + "\n"
    )
    dataset = made_config.dataset(
        slides="config/slides.tsv",
        files={"slide": "data/{id}.svs", "annotation": "data/{id}.xml", "truth": "data/{id}.png"},
    )
    for name, content in (("datasets", {"datasets": {"tiny": dataset}}), ("experiments", EXPERIMENTS)):
        (tmp_path / "config" / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return tmp_path


class Opened:
    """The files of a folder that any process opens, whatever it is written in: the kernel tells (inotify)."""

    def __init__(self, folder):
        libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor = libc.inotify_init1(os.O_NONBLOCK)
        assert libc.inotify_add_watch(self.descriptor, os.fsencode(folder), IN_OPEN) >= 0, ctypes.get_errno()

    def names(self):
        """Those since the last call; opening the folder itself has no name and does not count."""
        found = set()
        while True:
            try:
                events = os.read(self.descriptor, 2**16)
            except BlockingIOError:
                return found - {""}
            place = 0
            while place < len(events):
                *_, length = EVENT.unpack_from(events, place)
                place += EVENT.size + length
                found.add(events[place - length : place].rstrip(b"\0").decode())


def test_planning_opens_no_slide_and_no_annotation(brought):
    slides, settings = Opened(brought / "data"), Opened(brought / "config")
    found = snakemake(brought, "-n")
    assert found.returncode == 0, found.stdout
    assert "read_annotations" in found.stdout
    assert slides.names() == set()
    assert settings.names() == {"datasets.yaml", "experiments.yaml", "slides.tsv"}


def test_the_first_job_of_a_slide_does_open_it(brought):
    """Else the test above could not fail."""
    slides = Opened(brought / "data")
    found = snakemake(brought, "--nocolor", "results/slides/tiny/a1/slide.json")
    assert "data/a1.svs" in found.stdout
    assert slides.names() == {"a1.svs"}
