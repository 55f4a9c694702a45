"""Maps as pictures for other programs: OME-TIFF with its values, and RGB in the colours of the classes.

Both are pyramids of flat directories, which OpenSlide reads level by level (of pyramids in SubIFDs it sees one).
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
import tifffile
from numpy.typing import NDArray

from hooknet.coordinates import blocks
from hooknet.io.atomic import atomic
from hooknet.io.masks import Mask
from hooknet.io.spool import Spool, told_of
from hooknet.io.tiles import CLASSIC_LIMIT, TILE, Plane, overviews, write_tiff

BLOCK = 2 * TILE
WHITE = (255, 255, 255)
MICRONS_PER_CM = 1e4


def write_ome(mask: Mask, path: str | Path) -> None:
    """Write the values of a mask as OME-TIFF, uint8, min-is-black, with the size of a px and the names of values."""
    path = Path(path)
    with atomic(path) as partial, Spool(path) as spool:
        base = _copy(mask, spool)
        levels = overviews(base)
        images = [[base], *([one] for one in levels)]
        write_tiff(partial, path, images, mask.grid.spacing, _ome_xml(mask, path.name))


def write_colours(mask: Mask, path: str | Path) -> None:
    """Write a mask as an RGB pyramid in the colours of its classes, white where it is 0."""
    path = Path(path)
    table = np.full((256, 3), WHITE, np.uint8)
    for value, colour in mask.palette.items():
        table[value] = colour
    per_cm = MICRONS_PER_CM / mask.grid.spacing
    big = 3 * mask.grid.width * mask.grid.height >= CLASSIC_LIMIT
    with atomic(path) as partial, Spool(path) as spool:
        base = _copy(mask, spool)
        planes = [base, *overviews(base)]
        with told_of(path), tifffile.TiffWriter(partial, bigtiff=big, ome=False, shaped=False) as writer:
            for plane in planes:
                writer.write(
                    _coloured(plane, table),
                    shape=(plane.height, plane.width, 3),
                    dtype=np.uint8,
                    photometric="rgb",
                    tile=(TILE, TILE),
                    compression="zlib",
                    subfiletype=0 if plane is base else 1,
                    resolution=(per_cm, per_cm) if plane is base else None,
                    resolutionunit="centimeter" if plane is base else None,
                    software=False,
                    metadata=None,
                )


def _copy(mask: Mask, spool: Spool) -> Plane:
    """The mask as tiles in a spool."""
    plane = Plane(spool, mask.grid.width, mask.grid.height)
    for block in blocks(mask.grid.width, mask.grid.height, BLOCK):
        if not mask.is_empty(*block):
            plane.write(block[0], block[1], mask.read(*block))
    plane.flush()
    return plane


def _coloured(plane: Plane, table: NDArray[np.uint8]) -> Iterator[bytes]:
    """Packed tiles of RGB; those of one colour are packed once."""
    known: dict[int, bytes] = {}
    down, across = plane.counts.shape
    for key in itertools.product(range(down), range(across)):
        tile = plane.tile(key)
        value = int(tile[0, 0])
        if (tile == value).all():
            if value not in known:
                known[value] = _packed(table[tile])
            yield known[value]
        else:
            yield _packed(table[tile])


def _packed(tile: NDArray[np.uint8]) -> bytes:
    packer = zlib.compressobj(1)
    return packer.compress(tile.tobytes()) + packer.flush()


def _ome_xml(mask: Mask, name: str) -> str:
    """What OME says of an image, in ASCII; sizes of px are in µm where no unit is said."""
    grid = mask.grid
    values = "".join(
        f"<M K={quoteattr(str(value))}>{_text(one)}</M>" for value, one in enumerate(mask.names, start=1)
    )
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:schemaLocation="http://www.openmicroscopy.org/Schemas/OME/2016-06 '
        'http://www.openmicroscopy.org/Schemas/OME/2016-06/ome.xsd">'
        f'<Image ID="Image:0" Name={quoteattr(name)}>'
        f'<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="{grid.width}" SizeY="{grid.height}" '
        f'SizeC="1" SizeZ="1" SizeT="1" PhysicalSizeX="{grid.spacing!r}" PhysicalSizeY="{grid.spacing!r}">'
        '<Channel ID="Channel:0:0" SamplesPerPixel="1"/><TiffData IFD="0" PlaneCount="1"/></Pixels>'
        '<AnnotationRef ID="Annotation:0"/></Image>'
        '<StructuredAnnotations><MapAnnotation ID="Annotation:0" Namespace="hooknet/classes">'
        f"<Value>{values}</Value></MapAnnotation></StructuredAnnotations></OME>"
    )
    return text.encode("ascii", "xmlcharrefreplace").decode()


def _text(name: str) -> str:
    return name.replace("&", "&amp;").replace("<", "&lt;")
