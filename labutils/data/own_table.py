"""``cases.csv`` of a person's own folder: patient, split and spacing of its cases, every fault told with its line."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from labutils.core.files import kind_of
from labutils.core.words import controls, quantity
from labutils.data.findings import Findings, read_text

FILE = "cases.csv"
SPACING = ("spacing_row_mm", "spacing_column_mm")
COLUMNS = ("case", "patient", "split", *SPACING)
SPLITS = ("train", "validate", "test")


class Row(NamedTuple):
    """What the table says of a case; None where it has no such column, or the cell is at fault."""

    line: int  # of the file, the header being 1
    patient: str | None
    split: str | None
    spacing_mm: tuple[float, float] | None  # None where it is empty, too
    spaced: bool = False  # whether there is a spacing, if only a wrong one


def read_table(path: Path, findings: Findings) -> dict[str, Row] | None:
    """The rows by case; None where there is no table, or none that can be used."""
    text = read_text(path, findings) if kind_of(path) else None
    if text is None:
        return None
    lines = _lines(text)
    if lines is None:
        findings.fault(path, "does not parse", "commas between cells, and a quote after each that is opened")
        return None
    columns = [cell.strip() for cell in lines[0]] if lines else []
    return _rows(path, columns, lines, findings) if _usable(path, columns, findings) else None


def _lines(text: str) -> list[list[str]] | None:
    try:
        return list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error:
        return None


def _usable(path: Path, columns: list[str], findings: Findings) -> bool:
    """Whether the header names what belongs to a case; every column that is wrong is a fault."""
    for name in sorted(set(columns)):
        if name not in COLUMNS:
            findings.fault(path, f"has a column {name!r}", f"only {', '.join(COLUMNS)}, commas between them")
        elif columns.count(name) > 1:
            findings.fault(path, f"has {columns.count(name)} columns {name!r}", "each column once")
    if "case" not in columns:
        findings.fault(path, "has no column 'case'", "the name of each image without its ending")
    if len(there := [name for name in SPACING if name in columns]) == 1:
        findings.fault(path, f"has the column {there[0]!r} alone", f"{' and '.join(SPACING)}, or neither")
    return "case" in columns and len(set(columns)) == len(columns)


def _rows(path: Path, columns: list[str], lines: list[list[str]], findings: Findings) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for number, cells in enumerate(lines[1:], start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(columns):
            told = f"line {number} has {quantity(len(cells), 'cell')}"
            findings.fault(path, told, f"{len(columns)}, as the first line")
            continue
        named = dict(zip(columns, (cell.strip() for cell in cells), strict=True))
        case = named["case"]
        if not case:
            findings.fault(path, f"line {number} has an empty case", "the name of an image without its ending")
        elif case in rows:
            findings.fault(path, f"line {number} names case {case!r} again, after line {rows[case].line}", "one line")
        else:
            rows[case] = _row(path, number, named, findings)
    return rows


def _row(path: Path, number: int, cells: Mapping[str, str], findings: Findings) -> Row:
    where = f"line {number}, case {cells['case']!r}"
    patient, split = cells.get("patient"), cells.get("split")
    if patient == "":
        findings.fault(path, f"{where} has an empty patient", "a patient for every case, or no such column")
        patient = None
    elif patient is not None and controls(patient):
        findings.fault(path, f"{where} has the patient {patient!r}", "a name of plain text")
    if split is not None and split not in SPLITS:
        findings.fault(path, f"{where} has the split {split!r}", " or ".join(SPLITS))
        split = None
    texts = [cells.get(name, "") for name in SPACING]
    if not any(texts):
        return Row(number, patient, split, None)
    spacing = [_length(text) for text in texts]
    for text in dict.fromkeys(text for text, value in zip(texts, spacing, strict=True) if value is None):
        findings.fault(path, f"{where} has the spacing {text!r}", "a length in mm above 0, in both columns")
    row, column = spacing
    return Row(number, patient, split, None if row is None or column is None else (row, column), spaced=True)


def _length(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
