"""Maps of the planes of volumes, put back into volumes that lie as the files they came from."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from labutils.data.own_cases import plane_ids
from labutils.data.own_files import OwnFolder, is_volume
from labutils.data.pictures import read_gray
from labutils.data.volumes import read_grid, write_volume


def join_maps(folder: OwnFolder, maps: Path, cases: Collection[str]) -> list[Path]:
    """Write ``<name>.nii.gz`` beside the maps for each volume of which every plane has one; give the files.

    Args:
        folder: where the volumes are.
        maps: holds ``<case>.png``, 8 bits, for each of `cases`; 255 stands for 1.
        cases: ids of cases; a volume with a plane that is not among them is left out.
    Returns:
        The files, float32 in [0, 1] in steps of 1/255, each in the grid of its volume's file.
    Raises:
        DataError: a map or a volume's header cannot be read.
    """
    written, known = [], set(cases)
    for case in (case for case in folder.cases if is_volume(case.image)):
        grid = read_grid(case.image)
        ids = plane_ids(case.name, grid.planes[0])
        if known.issuperset(ids):
            planes = np.stack([read_gray(maps / f"{plane}.png") for plane in ids])
            written.append(maps / f"{case.name}.nii.gz")
            write_volume(written[-1], planes.astype(np.float32) / 255, grid)
    return written
