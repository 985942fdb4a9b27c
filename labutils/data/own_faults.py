"""Everything that is wrong with a person's own folder, each fault with its file, and how much there is in it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from labutils.data.findings import Fault, Findings
from labutils.data.own_cases import read_cases
from labutils.data.own_files import OwnFolder, list_folder


class Survey(NamedTuple):
    """What there is to know of a folder before using it."""

    faults: tuple[Fault, ...]
    notes: tuple[str, ...]
    summary: dict[str, Any]  # plain values; counts of what can be read


def faults_of(folder: str | Path) -> tuple[Fault, ...]:
    """Every fault of a folder laid out as in `labutils.data.own_files`; () where it can be used.

    Loading the folder raises a `DataError` exactly where there is a fault.

    Raises:
        DataError: there is no such folder, or no image in it.
    """
    return survey(folder).faults


def survey(folder: str | Path) -> Survey:
    """Every fault, what to know besides, and how much there is; reads every file.

    Raises:
        DataError: as for `faults_of`.
    """
    root = Path(folder).expanduser()
    findings = Findings(root, strict=False)
    listed = list_folder(root, findings)
    sizes: Counter[str] = Counter()
    cases: Counter[str] = Counter()
    for taken in read_cases(listed, findings):
        sizes["{} x {}".format(*taken.image.shape[-2:])] += len(taken.ids)
        cases[taken.case.split] += len(taken.ids)
    return Survey(tuple(findings.faults), tuple(findings.notes), _summary(listed, cases, sizes))


def _summary(folder: OwnFolder, cases: Counter[str], sizes: Counter[str]) -> dict[str, Any]:
    patients = {split: {case.patient for case in folder.cases if case.split == split} for split in folder.card.splits}
    judged = [[mask is not None for mask in case.masks] for case in folder.cases]
    raters = Counter(map(sum, judged))
    return {
        "name": folder.card.name,
        "images": len(folder.cases),
        "cases": sum(cases.values()),  # the planes of a volume are cases
        "splits": {split: {"cases": cases[split], "patients": len(patients[split])} for split in folder.card.splits},
        "images_by_rater": {rater: sum(row[k] for row in judged) for k, rater in enumerate(folder.raters)},
        "images_by_number_of_raters": {str(number): raters[number] for number in sorted(raters)},
        "cases_by_size": dict(sizes.most_common()),
    }
