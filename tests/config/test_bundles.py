from dataclasses import replace
from itertools import pairwise

import made_runs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hooknet.config.bundles import bundles, file_mb, numbers_of
from hooknet.config.datasets import SlideSettings
from hooknet.config.dense import InferOptions
from hooknet.config.resources import Needs
from hooknet.config.steps import PhantomOptions


def run_of(minutes):
    return made_runs.make_run(
        model="unet", spacings=(0.5,), patch_size=30,
        network={"filters": 1, "depth": 2, "convolutions": 1, "batch_norm": False},
        infer={"bundle_minutes": minutes},
    )  # fmt: skip


def slides(folder, sizes):
    """Slides whose files have so many bytes, all of them holes."""
    found = []
    for number, size in enumerate(sizes):
        path = folder / f"s{number}.tif"
        with path.open("wb") as file:
            file.truncate(size)
        found.append(SlideSettings(id=f"s{number}", slide=str(path)))
    return found


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(0, 10**11), max_size=12), minutes=st.floats(1, 1000))
def test_bundles_keep_all_slides_in_their_order_and_their_time(tmp_path_factory, sizes, minutes):
    run = run_of(minutes)
    made = slides(tmp_path_factory.mktemp("sizes"), sizes)
    found = bundles(run, made, [file_mb(run.dataset, slide) for slide in made])
    assert [slide for one in found for slide in one] == made
    for one in found:
        megabytes = sum(file_mb(run.dataset, slide) for slide in one)
        assert len(one) == 1 or Needs(run).infer_minutes(megabytes) <= minutes
    # As few as there can be in this order: no bundle has room for the slide that follows it.
    for one, after in pairwise(found):
        megabytes = sum(file_mb(run.dataset, slide) for slide in (*one, after[0]))
        assert Needs(run).infer_minutes(megabytes) > minutes


def test_a_slide_that_is_added_at_the_end_changes_no_full_bundle(tmp_path):
    run = run_of(60)
    made = slides(tmp_path, [10**10] * 9)
    before, after = bundles(run, made[:-1], [10_000] * 8), bundles(run, made, [10_000] * 9)
    assert len(before) > 2
    assert after[: len(before) - 1] == before[:-1]
    assert numbers_of(after)["s0"] == 1
    assert numbers_of(after)["s8"] == len(after)


def test_generated_slides_count_by_their_px_before_they_are_there():
    run = run_of(60)
    phantom = replace(
        run, dataset=run.dataset.model_copy(update={"phantom": PhantomOptions(size_um=5000, spacing=0.5)})
    )
    slide = SlideSettings(id="p", slide="results/demo/slides/p.tif")
    assert file_mb(phantom.dataset, slide) == pytest.approx(10000**2 / 10e6)


def test_a_run_shares_out_slides_or_bundles_them_not_both():
    with pytest.raises(
        ValueError, match=r"split_gb gives a slide several jobs, bundle_minutes .* leave one out"
    ):
        InferOptions(split_gb=1, bundle_minutes=60)
