"""Gigapixel masks: annotations painted and indexed, a map written; beside GDAL's own tools, and how it grows.

The annotations are a CAMELYON16 lesion file where ``../shared`` is there, else drawn with as many shapes and points.
"""

import json
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import rasterio

from benchmarks.table import Cell, Process, Table, growth, measured
from hooknet.io.rasters import quiet

SHARED = (
    Path(__file__).resolve().parents[2] / "shared" / "data" / "annotations" / "camelyon" / "tumor_044.xml"
)
SLIDE = (97_792, 221_184)
SPACING = 0.243
SHARES = (0.25, 0.5, 1.0)  # of a side: 1/16, 1/4 and all of the px
SHAPES, POINTS = 13, 25_081  # of the real file
SPACINGS = (SPACING, 0.5)

DATASETS = """
datasets:
  camelyon:
    classes:
      metastasis: {value: 1, colour: "#c1121f", groups: [metastasis]}
    files: {slide: "{id}.tif", annotation: "{id}.xml"}
    slides:
      - {id: a, patient: p1, split: training}
      - {id: b, patient: p2, split: validation}
      - {id: c, patient: p3, split: test}
"""
EXPERIMENTS = "experiments:\n  unet: {{dataset: camelyon, model: unet, spacings: [{spacing}]}}\n"

# What one writes first: GDAL paints block by block, writes, and makes the overviews.
PLAIN = """
import json, sys
import numpy as np, rasterio, shapely
from rasterio.enums import Resampling
from rasterio.features import rasterize
from rasterio.windows import Window
source, output, width, height, step = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:5]), float(sys.argv[5])
shapes = [shapely.geometry.shape(one["geometry"]) for one in json.load(open(source))["features"]]
shapes = [shapely.transform(one, lambda points: points / step) for one in shapes]
tree = shapely.STRtree(shapes)
profile = dict(driver="GTiff", width=width, height=height, count=1, dtype="uint8", tiled=True, blockxsize=512,
               blockysize=512, compress="DEFLATE", sparse_ok=True, BIGTIFF="IF_SAFER")
with rasterio.Env(GDAL_CACHEMAX=2**26, SPARSE_OK_OVERVIEW="YES"):
    with rasterio.open(output, "w", **profile) as file:
        for row in range(0, height, 1024):
            for column in range(0, width, 1024):
                w, h = min(1024, width - column), min(1024, height - row)
                found = tree.query(shapely.box(column, row, column + w, row + h))
                if found.size:
                    moved = rasterio.Affine.translation(column, row)
                    block = rasterize([shapes[one] for one in found], (h, w), transform=moved, dtype="uint8")
                    file.write(block, 1, window=Window(column, row, w, h))
    with rasterio.open(output, "r+") as file:
        file.build_overviews([2**k for k in range(1, 10) if max(width, height) / 2**k >= 256], Resampling.nearest)
"""

# A map of the middle quarter of WIDTH x HEIGHT px, in blocks of 512 row by row as inference writes them.
MAP = """
import sys
import numpy as np
from scipy import ndimage
width, height = map(int, sys.argv[2:4])
noise = np.random.default_rng(0).standard_normal((4, 1024, 1024), np.float32)
fields = [ndimage.gaussian_filter(one, 6 + 2 * k, mode="wrap") for k, one in enumerate(noise)]
labels = np.argmax([one / one.std() for one in fields], axis=0).astype(np.uint8) + np.uint8(1)
def blocks():
    for row in range(height // 4 // 512 * 512, height * 3 // 4, 512):
        for column in range(width // 4 // 512 * 512, width * 3 // 4, 512):
            yield column, row, labels[row % 1024 : row % 1024 + 512, column % 1024 : column % 1024 + 512]
"""
OURS = """
from hooknet.coordinates import RasterGrid
from hooknet.io.masks import create_mask
grid, palette = RasterGrid(width, height, 0.5, 1.0, 1.0), {k: (k, 0, 0) for k in range(5)}
with create_mask(sys.argv[1], grid, ("a", "b", "c", "d"), palette) as file:
    for column, row, block in blocks():
        file.write(column, row, block)
"""
GDALS = """
import rasterio
from rasterio.enums import Resampling
from rasterio.windows import Window
profile = dict(driver="GTiff", width=width, height=height, count=1, dtype="uint8", tiled=True, blockxsize=512,
               blockysize=512, compress="DEFLATE", sparse_ok=True, BIGTIFF="IF_SAFER")
with rasterio.Env(GDAL_CACHEMAX=2**26, SPARSE_OK_OVERVIEW="YES"):
    with rasterio.open(sys.argv[1], "w", **profile) as file:
        for column, row, block in blocks():
            file.write(block, 1, window=Window(column, row, 512, 512))
    with rasterio.open(sys.argv[1], "r+") as file:
        file.build_overviews([2**k for k in range(1, 10) if max(width, height) / 2**k >= 256], Resampling.nearest)
"""
COLUMNS = ("", "Mpx", "seconds", "processor seconds", "peak MiB")


def sparse_slide(path: Path, size: tuple[int, int]) -> None:
    """A slide of which no px is stored."""
    layout = {
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "photometric": "RGB",
        "compress": "deflate",
    }
    with (
        quiet(),
        rasterio.open(
            path, "w", driver="GTiff", width=size[0], height=size[1], count=3, dtype="uint8",
            interleave="pixel", BIGTIFF="YES", SPARSE_OK="TRUE", **layout,
        ) as file,
    ):  # fmt: skip
        per_cm = 1e4 / SPACING
        file.update_tags(TIFFTAG_XRESOLUTION=per_cm, TIFFTAG_YRESOLUTION=per_cm, TIFFTAG_RESOLUTIONUNIT=3)


def rings() -> Iterator[list[tuple[float, float]]]:
    """The points of each shape, in level-0 px of the whole slide."""
    if SHARED.is_file():
        for one in ElementTree.parse(SHARED).getroot().iter("Annotation"):
            yield [(float(point.get("X", 0)), float(point.get("Y", 0))) for point in one.iter("Coordinate")]
        return
    rng = np.random.default_rng(0)
    shares = np.sort(rng.dirichlet(np.ones(SHAPES)))
    for number, share in enumerate(shares):
        angles = np.linspace(0, 2 * math.pi, max(8, int(share * POINTS)), endpoint=False)
        # Lesions: the largest covers a twentieth of the slide, all have frayed borders.
        radius = 12_000 * math.sqrt(share / shares[-1])
        frayed = radius * (1 + 0.1 * np.sin(9 * angles + number) + 0.01 * rng.normal(size=angles.size))
        x, y = 20_000 + 55_000 * rng.random(), 20_000 + 180_000 * number / SHAPES
        yield list(zip(x + frayed * np.cos(angles), y + frayed * np.sin(angles), strict=True))


def write_annotations(path: Path, share: float) -> None:
    """The shapes on a slide of a share of the side, with a share of the points: as many per px of border."""
    lines = ["<ASAP_Annotations><Annotations>"]
    for number, ring in enumerate(rings()):
        lines.append(f'<Annotation Name="_{number}" Type="Polygon" PartOfGroup="metastasis"><Coordinates>')
        kept = ring[:: round(1 / share)]
        lines += [
            f'<Coordinate Order="{k}" X="{x * share:.6g}" Y="{y * share:.6g}"/>'
            for k, (x, y) in enumerate(kept)
        ]
        lines.append("</Coordinates></Annotation>")
    path.write_text("\n".join([*lines, "</Annotations></ASAP_Annotations>"]), encoding="utf-8")


def prepare(folder: Path, share: float) -> tuple[int, int]:
    """Slide, annotations and settings in a folder; the slide's size."""
    size = round(SLIDE[0] * share), round(SLIDE[1] * share)
    sparse_slide(folder / "a.tif", size)
    write_annotations(folder / "a.xml", share)
    (folder / "datasets.yaml").write_text(DATASETS, encoding="utf-8")
    for spacing in SPACINGS:
        (folder / f"{spacing}.yaml").write_text(EXPERIMENTS.format(spacing=spacing), encoding="utf-8")
    return size


def step(folder: Path, name: str, spacing: float, *arguments: str) -> Process:
    """One command of ours on slide a."""
    settings = ("--datasets", "datasets.yaml", "--experiments", f"{spacing}.yaml")
    return measured(
        "-m",
        "hooknet",
        "-q",
        name,
        "--dataset",
        "camelyon",
        "--slide",
        "a",
        *settings,
        *arguments,
        cwd=folder,
    )


def cells(name: str, pixels: float, process: Process) -> tuple[Cell, ...]:
    """A row of a table."""
    return name, pixels / 1e6, process.seconds, process.processor_seconds, process.peak_mib


def fitted(rows: list[tuple[Cell, ...]]) -> tuple[Cell, ...]:
    """How seconds, processor seconds and memory of rows grow with their pixels."""
    numbers = [[float(cell) for cell in row[1:]] for row in rows]
    sizes, *columns = zip(*numbers, strict=True)
    return ("growth: exponent", "", *(growth(sizes, one) for one in columns))


def painting() -> Table:
    """Every command from the annotations to the index, at three sizes."""
    found: dict[str, list[tuple[Cell, ...]]] = {}
    notes = []
    with tempfile.TemporaryDirectory() as top:
        for share in SHARES:
            folder = Path(top, str(share))
            folder.mkdir()
            size = prepare(folder, share)
            done = step(folder, "read-annotations", 0.5, "--annotation", "a.xml", "--output", "a.geojson")
            found.setdefault("read-annotations", []).append(cells("read-annotations", math.prod(size), done))
            for spacing in SPACINGS:
                pixels = math.prod(size) * (SPACING / spacing) ** 2
                name = f"rasterise at {spacing:g} µm/px"
                files = ("--output", f"{spacing}.tif", "--counts", f"{spacing}.json")
                done = step(folder, "rasterise", spacing, "--source", "a.geojson", *files)
                found.setdefault(name, []).append(cells(name, pixels, done))
            files = ("--labels", "0.5.tif", "--output", "a.parquet")
            done = step(folder, "index-centres", 0.5, "--spacing", "0.5", "--size", "70", *files)
            name = "index-centres at 0.5 µm/px"
            found.setdefault(name, []).append(cells(name, math.prod(size) * (SPACING / 0.5) ** 2, done))
        counted = [
            json.loads((folder / f"{one}.json").read_text())["pixels"]["metastasis"] for one in SPACINGS
        ]
        notes.append(
            f"Annotated: {counted[0] / 1e6:,.0f} and {counted[1] / 1e6:,.0f} Mpx of the largest slide."
        )
        wide, high = (math.ceil(one * SPACING / 0.5) for one in SLIDE)
        plain = measured(
            "-c", PLAIN, "a.geojson", "plain.tif", str(wide), str(high), str(0.5 / SPACING), cwd=folder
        )
    rows = [row for one in found.values() for row in (*one, fitted(one))]
    rows.append(
        cells("plain: rasterio.features.rasterize, blocks, overviews at 0.5 µm/px", wide * high, plain)
    )
    notes.append("Seconds are those of whole processes, from 1 to 2 of them for the start.")
    if not SHARED.is_file():
        notes.append(
            f"../shared is not there: {SHAPES} drawn shapes with {POINTS:,} points in place of CAMELYON's."
        )
    return Table("CAMELYON16 annotations on slides of up to 97,792 x 221,184 px", COLUMNS, rows, tuple(notes))


def writing() -> Table:
    """A map of which a quarter is predicted, at three sizes, and GDAL's of the largest."""
    sizes = [(round(50_000 * share), round(40_000 * share)) for share in SHARES]
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top)
        ours = [
            cells(
                "create_mask",
                wide * high,
                measured("-c", MAP + OURS, "a.tif", str(wide), str(high), cwd=folder),
            )
            for wide, high in sizes
        ]
        gdal = measured("-c", MAP + GDALS, "b.tif", *map(str, sizes[-1]), cwd=folder)
        bytes_of = [(folder / one).stat().st_size / 1e6 for one in ("a.tif", "b.tif")]
    rows = [*ours, fitted(ours), cells("plain: GDAL, default DEFLATE", math.prod(sizes[-1]), gdal)]
    notes = (
        f"The largest file has {bytes_of[0]:.0f} MB, GDAL's {bytes_of[1]:.0f} MB.",
        "A second of each is the start and the drawing.",
    )
    return Table("A map with a quarter predicted, overviews included", COLUMNS, rows, notes)


def main() -> None:
    """Print both tables."""
    print(painting())
    print(writing())
