"""What became of a folder of DICOM series: how many images each filter removed, and the tables beside the images."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from labutils.core.checks import DataError
from labutils.core.files import atomic_write, read_json, sha256_of_bytes, write_json
from labutils.data import lidc_four, lidc_native, lidc_resampled
from labutils.data.dicom_twin import WHAT
from labutils.data.lidc_scans import SCANS
from labutils.data.prepared import RECORD, TWIN_FILE
from labutils.data.store import Source

FORMS = {"crops": "lidc_crops", "four": "lidc_four"}  # what to ask for, and the folder it becomes
FILTERS = {"crops": lidc_native.FILTERS, "four": lidc_resampled.FILTERS}
FOLDER_OF_SPLIT = {
    "crops": {"train": "train", "validate": "validate", "test": "test"},
    "four": {"train": "train", "validate": "val", "test": "test"},
}


class Report(NamedTuple):
    """What became of a folder of DICOM series."""

    scans: int  # that were prepared
    skipped: dict[str, str]  # "<patient>, scan <id>": why
    foreign: int  # series of no scan of the collection
    forms: dict[str, FormReport]


class FormReport(NamedTuple):
    """What became of the candidate images of one form."""

    candidates: int
    removed: dict[str, int]  # images by the first filter that refused them, in the order of the filters
    images: dict[str, int]  # by split
    patients: dict[str, int]  # with an image, by split

    @property
    def kept(self) -> int:
        """Images of all splits."""
        return sum(self.images.values())


class Compared(NamedTuple):
    """Images and patients of what was prepared, and of what was published."""

    what: str
    found: tuple[int, int]
    published: tuple[int, int]


def compared_with_published(report: Report) -> list[Compared]:
    """The lesion crops of the whole collection beside the published ones: totals, and splits of as many patients.

    [] for a part of the collection, or without this form. Splits compare where they have the published numbers of
    patients, as they do when the published lists of patients were given.
    """
    if report.scans < SCANS or "four" not in report.forms:
        return []
    form = report.forms["four"]
    images, patients = zip(*lidc_four.EXPECTED.values(), strict=True)
    rows = [Compared("all", (form.kept, sum(form.patients.values())), (sum(images), sum(patients)))]
    if form.patients == {split: count for split, (_, count) in lidc_four.EXPECTED.items()}:
        rows += [
            Compared(split, (form.images[split], form.patients[split]), published)
            for split, published in lidc_four.EXPECTED.items()
        ]
    return rows


def require_published_totals(report: Report, folder: Path) -> None:
    """Assert that the whole collection gave as many lesion crops as published, as `compared_with_published` counts.

    Args:
        report: of a preparation with the published settings.
        folder: of the form, for the sentence.
    Raises:
        DataError: a total differs. What was prepared stays.
    """
    for what, found, published in compared_with_published(report):
        if found != published:
            raise DataError(
                f"{folder} is whole and stays, but holds {found[0]:,} images of {found[1]} patients in {what!r}, and "
                f"{published[0]:,} of {published[1]} were published; wanted as many (or --any-totals)"
            )


def read_report(folder: Path, names: Sequence[str], foreign: int) -> Report:
    """The report on a prepared folder, or on one in preparation, from its records."""
    records = _records(folder)
    skipped = {
        f"{patient}, scan {number}": reason
        for patient, record in records.items()
        for number, reason in record["skipped"].items()
    }
    scans = sum(len(record["scans"]) - len(record["skipped"]) for record in records.values())
    return Report(scans, skipped, foreign, {name: _form_report(name, records) for name in names})


def write_tables(working: Path, names: Sequence[str], source: Source) -> None:
    """Write what goes beside the images: of each form a record, the mark of a twin, and the table of nodules."""
    records = _records(working)
    for name in names:
        folder, form = working / FORMS[name], _form_report(name, records)
        folder.mkdir(exist_ok=True)
        files = {path: digest for record in records.values() for path, digest in record["forms"][name]["files"].items()}
        manifest = sha256_of_bytes(repr(sorted(files.items())).encode())
        splits = {split: {"images": form.images[split], "patients": form.patients[split]} for split in form.images}
        record = {"files": len(files), "sha256": manifest, "candidates": form.candidates, "removed": form.removed}
        write_json(folder / RECORD, record | {"splits": splits})
        if source == "twin":
            write_json(folder / TWIN_FILE, {"twin_of": "what is prepared from DICOM files of LIDC-IDRI", "what": WHAT})
    if "crops" in names:
        _write_table(working / FORMS["crops"] / "meta" / "metadata.csv", records)


def _records(folder: Path) -> dict[str, Any]:
    """What was written of each patient, in order."""
    return {path.stem: read_json(path) for path in sorted((folder / "records").glob("*.json"))}


def _form_report(name: str, records: Mapping[str, Any]) -> FormReport:
    removed, images, patients = Counter[str](), Counter[str](), Counter[str]()
    for record in records.values():
        form, split = record["forms"][name], record["split"]
        removed.update(form["removed"])
        images[split] += form["images"]
        patients[split] += form["images"] > 0
    in_order = {one: removed[one] for one in FILTERS[name]}
    kept = {split: images[split] for split in FOLDER_OF_SPLIT[name]}
    here = {split: patients[split] for split in FOLDER_OF_SPLIT[name]}
    return FormReport(sum(in_order.values()) + sum(kept.values()), in_order, kept, here)


def _write_table(path: Path, records: Mapping[str, Any]) -> None:
    rows = [row for record in records.values() for row in record["forms"]["crops"]["rows"]]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, lidc_native.COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with atomic_write(path) as file:
        file.write(stream.getvalue().encode())
