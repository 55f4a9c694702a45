"""Turn NIfTI volumes with labels (MR, CT) into slices, masks and a dataset that all other commands read.

Layouts: acdc (patientNNN/patientNNN_frameNN.nii.gz, _gt, Info.cfg), mnms (CODE/CODE_sa.nii.gz, CODE_sa_gt.nii.gz, a
CSV file with the columns External code, ED, ES), brats (BraTS2021_NNNNN/BraTS2021_NNNNN_t1, _t1ce, _t2, _flair, _seg),
synapse (img/imgNNNN.nii.gz, label/labelNNNN.nii.gz), each anywhere below the folder.

Written are OUTPUT/slices/VOLUME_zNNN.slice.tif, OUTPUT/masks/VOLUME_zNNN.png, OUTPUT/slides.tsv, and
OUTPUT/datasets.yaml, which the other commands take as --datasets. Pixels stay as they were scanned, with their spacing;
an experiment's `spacings` (in µm/px: 1500 is 1.5 mm) bring all to one. Run again after an interruption: it goes on.

Example: hooknet import-volumes --layout acdc --folder ACDC/database/training --output data/acdc --name acdc
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def run(
    layout: Annotated[Literal["acdc", "mnms", "brats", "synapse"], typer.Option(help="How the files lie.")],
    folder: Annotated[Path, typer.Option(help="Folder with the volumes.")],
    output: Annotated[Path, typer.Option(help="Folder to write to.")],
    name: Annotated[str, typer.Option(help="Name of the dataset.")],
) -> None:
    """Write slices, masks, sheet and dataset."""
    from hooknet.groundtruth.volumes.cohort import import_volumes
    from hooknet.groundtruth.volumes.layouts import LAYOUTS
    from hooknet.inference.telling import progress

    with progress(name, "volumes", "import") as tell:
        import_volumes(LAYOUTS[layout], folder, output, name, tell)
