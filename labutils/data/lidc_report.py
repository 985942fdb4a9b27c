"""What became of a folder of DICOM series: how many images each filter removed, and the tables beside the images."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from labutils.core.checks import DataError
from labutils.core.files import read_json, sha256_of_bytes, write_json
from labutils.data import lidc_four, lidc_native, lidc_resampled
from labutils.data.lidc_four import RECORD
from labutils.data.lidc_scans import SCANS

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


def require_published_totals(report: Report) -> None:
    """Compare the crops of the whole collection with the totals that were published.

    The published patients of each split are not known here, so only totals compare; a report on a part of the
    collection, or without this form, compares with nothing.

    Raises:
        DataError: images or patients are others.
    """
    if report.scans < SCANS or "four" not in report.forms:
        return
    form = report.forms["four"]
    found = form.kept, sum(form.patients.values())
    images, patients = zip(*lidc_four.EXPECTED.values(), strict=True)
    if found != (wanted := (sum(images), sum(patients))):
        raise DataError(
            f"the whole collection gave {found[0]} images of {found[1]} patients; the published crops are {wanted[0]} "
            f"of {wanted[1]}"
        )


def write_report(working: Path, names: Sequence[str], foreign: int) -> Report:
    """Write the tables over all records of a folder that is being prepared, and return the report."""
    records = {path.stem: read_json(path) for path in sorted((working / "records").glob("*.json"))}
    skipped = {
        f"{patient}, scan {number}": reason
        for patient, record in records.items()
        for number, reason in record["skipped"].items()
    }
    scans = sum(len(record["scans"]) - len(record["skipped"]) for record in records.values())
    forms = {name: _form_report(name, records) for name in names}
    for name in names:
        folder = working / FORMS[name]
        folder.mkdir(exist_ok=True)
        files = {path: digest for record in records.values() for path, digest in record["forms"][name]["files"].items()}
        manifest = sha256_of_bytes(repr(sorted(files.items())).encode())
        one = forms[name]
        splits = {split: {"images": one.images[split], "patients": one.patients[split]} for split in one.images}
        record = {"files": len(files), "sha256": manifest, "candidates": one.candidates, "removed": one.removed}
        write_json(folder / RECORD, record | {"splits": splits})
    if "crops" in names:
        _write_table(working / FORMS["crops"] / "meta" / "metadata.csv", records)
    report = Report(scans, skipped, foreign, forms)
    write_json(working / RECORD, {"scans": scans, "skipped": skipped})
    return report


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
    path.parent.mkdir(exist_ok=True)
    path.write_text(stream.getvalue(), encoding="utf-8")
