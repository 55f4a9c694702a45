"""Look whether the maps of an encoder of your own lie where they should, and print the section that states it.

Runs the named code. Needs no data: points and shifts of noise are looked at; a map half a px off is told in one line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    make: Annotated[str, typer.Argument(help="What makes it: module:function, or path/to/file.py:function.")],
    options: Annotated[str, typer.Option(help="Its keyword arguments as JSON: '{\"width\": 64}'.")] = "{}",
    weights: Annotated[
        Path | None,
        typer.Option(help="Weights that have to fit it (.safetensors, or a state dict of torch)."),
    ] = None,
    channels: Annotated[int, typer.Option(help="Channels of the images.", min=1)] = 3,
) -> None:
    """Print the section of an experiments file."""
    import json

    from hooknet.errors import ConfigError
    from hooknet.models.encoder_check import look_at

    try:
        keywords = json.loads(options)
    except ValueError:
        keywords = None
    if not isinstance(keywords, dict):
        raise ConfigError(f"--options: found {options[:60]!r}, wanted JSON like '{{\"width\": 64}}'")
    found = look_at(make, keywords, weights, channels)
    of = found.spec
    for stride, (x, y) in zip(of.strides, found.offsets, strict=True):
        print(f"# stride {stride}: ({x:+.2f}, {y:+.2f}) px (x, y) off in its own px")
    if of.rim is None:
        print(
            "# what lies beyond a view reaches all of it: tiles will be as large as patches, and may show seams"
        )
    stated = {
        "make": make,
        "options": keywords,
        "weights": None if weights is None else str(weights),
        "strides": list(of.strides),
        "channels": list(of.channels),
        "unit": of.unit,
        "rim": of.rim,
        "parameters": of.parameters,
    }
    print("network:\n  encoder:")
    for key, value in stated.items():
        if value not in ({}, None):
            print(f"    {key}: {json.dumps(value)}")
