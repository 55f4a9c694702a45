"""Look at slides with their annotations, maps and what systems get wrong, in a browser.

Serves a page on this machine only, until Ctrl-C; reads, and writes nothing.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hooknet.cli.options import DATASETS_FILE, EXPERIMENTS_FILE, Datasets, Experiments, project

if TYPE_CHECKING:
    from hooknet.config.project import Project


def run(
    results: Annotated[Path, typer.Argument(help="Folder that the workflow wrote.")] = Path("results"),
    dataset: Annotated[
        str | None, typer.Option(help="Name of a dataset, where the datasets file has several.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to serve on; 0 takes a free one.")] = 8765,
    browser: Annotated[bool, typer.Option(help="Also open the page in the browser.")] = True,
    datasets: Datasets = DATASETS_FILE,
    experiments: Experiments = EXPERIMENTS_FILE,
) -> None:
    """Serve until interrupted."""
    from hooknet.errors import ConfigError
    from hooknet.viewer.catalogue import view_dataset
    from hooknet.viewer.server import ViewerServer
    from hooknet.viewer.service import TileService

    everything = project(datasets, experiments)
    name = _dataset_of(everything, dataset)
    if not results.is_dir():
        raise ConfigError(
            f"{results}: no such folder, wanted that of the results; run the workflow, or name its folder"
        )
    service = TileService(view_dataset(everything, name, results / "slides" / name, results / "runs"))
    slides = service.viewed.slides
    with contextlib.closing(service), ViewerServer(service, port) as server:
        print(f"{name}: {len(slides)} slides at {server.url} (Ctrl-C ends)", flush=True)
        if not any(one.has_maps for one in slides):
            print("no maps yet, so only slides and what was annotated are shown", flush=True)
        if browser:
            _open(server.url)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


def _dataset_of(everything: Project, dataset: str | None) -> str:
    """The dataset that is meant; ConfigError where that is not clear."""
    from hooknet.errors import ConfigError

    names = list(everything.datasets)
    if dataset is None and len(names) > 1:
        raise ConfigError(
            f"{everything.datasets_file}: found {len(names)} datasets ({', '.join(names)}), wanted to know which; "
            "name it with --dataset"
        )
    return dataset or names[0]


def _open(url: str) -> None:
    """Open the page where there is a screen; a browser for terminals would take this one."""
    import webbrowser

    if not sys.platform.startswith("linux") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(url)
