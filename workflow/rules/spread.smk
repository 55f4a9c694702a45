"""Functions that name how slides are spread over jobs: a large one over several, several small ones in one."""

from functools import cache
from math import ceil

from hooknet.config.bundles import bundles, file_mb, numbers_of


def slide_mb(dataset, slide):
    """MB of a slide's file, wherever it is."""
    if IN_BUCKET and dataset.phantom is None:
        return workflow.inputfile(slide.slide).storage_object.size() / 1e6
    return file_mb(dataset, slide)


def bands_of(wildcards):
    """As many bands as the slide's file has parts of ``infer.split_gb``."""
    run = EVERY_RUN[wildcards.run]
    megabytes = slide_mb(run.dataset, slide_of(wildcards))
    count = max(1, ceil(megabytes / 1000 / run.settings.infer.split_gb))
    return [f"{number}of{count}" for number in range(1, count + 1)]


def map_bands(wildcards):
    folder = layout.run_folder(wildcards.run) / "bands" / wildcards.slide
    return [folder / f"{band}.tif" for band in bands_of(wildcards)]


def probability_bands(wildcards):
    return [path.parent / "probabilities" / path.name for path in map_bands(wildcards)]


@cache
def bundles_at(name, stamp):
    """The slides of a run as they share jobs: its test slides, any other alone; ``stamp`` of the sheet of splits."""
    run = EVERY_RUN[name]
    tested = test_slides(run)
    ids = {slide.id for slide in tested}
    others = tuple((one,) for one in run.dataset.slides if one.id not in ids)
    sizes = [slide_mb(run.dataset, slide) for slide in tested]
    return bundles(run, tested, sizes) + others


def bundles_of(name):
    return bundles_at(name, splits_stamp(EVERY_RUN[name]))


@cache
def bundle_numbers(name, stamp):
    return numbers_of(bundles_at(name, stamp))


def bundle_slides(wildcards):
    return bundles_of(wildcards.run)[int(wildcards.bundle) - 1]


def bundle_images(wildcards):
    return [slide.slide for slide in bundle_slides(wildcards)]


def bundle_tissue(wildcards):
    if EVERY_RUN[wildcards.run].settings.predicts_over != "tissue":
        return []
    return [
        slide_folder(wildcards.run, slide.id) / "tissue.tif"
        for slide in bundle_slides(wildcards)
    ]


def bundle_masks(wildcards):
    if EVERY_RUN[wildcards.run].settings.predicts_over != "mask":
        return []
    return [slide.infer_mask for slide in bundle_slides(wildcards)]


def bundle_labels(wildcards):
    return [
        slide_folder(wildcards.run, slide.id) / f"{role}.tif"
        for slide in bundle_slides(wildcards)
        for role in layout.roles_of(slide)
    ]


def bundle_folder(wildcards):
    stamp = splits_stamp(EVERY_RUN[wildcards.run])
    number = bundle_numbers(wildcards.run, stamp)[slide_of(wildcards).id]
    return layout.run_folder(wildcards.run) / "bundles" / str(number)
