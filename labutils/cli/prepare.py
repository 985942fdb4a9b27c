"""``labutils data prepare-lidc``: DICOM series become prepared folders, with a table of what was removed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import typer

from labutils.core.config import from_dict
from labutils.core.words import quantity
from labutils.data.lidc_prepare import PrepareConfig, prepare_lidc
from labutils.data.lidc_report import FILTERS, FORMS, FormReport, Report, compared_with_published
from labutils.data.lidc_scans import SCANS
from labutils.data.splits import read_split
from labutils.data.working_folder import working_folder

TABLES = ("crops", "four")  # of settings


class Request(NamedTuple):
    """What is asked for, as options name it."""

    dicom: Path
    out: Path
    forms: list[str]  # [] for all
    split_file: Path | None
    workers: int


def prepare(request: Request, settings: Mapping[str, Any]) -> None:
    """Prepare every scan and say what each filter removed; see `labutils.data.lidc_prepare.prepare_lidc`."""
    dicom, out, forms, split_file, workers = request
    config = from_dict(PrepareConfig, {**settings, **({"forms": forms} if forms else {})}, "prepare-lidc")
    split = None if split_file is None else read_split(split_file)
    typer.echo(f"working in {working_folder(out)}; when it is stopped, the same command goes on")
    report = prepare_lidc(dicom, out, config, split=split, workers=workers, progress=True)
    typer.echo(f"{quantity(report.scans, 'scan')} prepared, {len(report.skipped)} skipped")
    for scan, reason in report.skipped.items():
        typer.echo(f"skipped      {scan}: {reason}")
    if report.foreign:
        typer.echo(f"passed over  {report.foreign} series that are no CT scan of LIDC-IDRI")
    for name, form in report.forms.items():
        typer.echo("\n".join(_table(out / FORMS[name], name, form)))
    if report.skipped:
        typer.echo(f"mend what was skipped and give the same command again: {out} is opened for what it lacks")
    if config.four == PrepareConfig().four:  # other settings have no published totals
        typer.echo("\n".join(_compared(report)))


def _compared(report: Report) -> list[str]:
    """The published totals beside ours, or why they are not compared."""
    if "four" in report.forms and report.scans < SCANS:
        return [f"totals are compared with the published ones when all {SCANS:,} scans are prepared"]
    return [
        f"{one.what:<10}{one.found[0]:>8,} images of {one.found[1]} patients; published {one.published[0]:,} of "
        f"{one.published[1]}: {'equal' if one.found == one.published else 'DIFFERENT'}"
        for one in compared_with_published(report)
    ]


def _table(folder: Path, name: str, form: FormReport) -> list[str]:
    removed = [_line(f"- {FILTERS[name][one]} ({one})", count) for one, count in form.removed.items()]
    kept = [
        _line(f"  {one}", count, f"of {quantity(form.patients[one], 'patient')}") for one, count in form.images.items()
    ]
    return [str(folder), _line("candidate images", form.candidates), *removed, _line("images", form.kept), *kept]


def _line(what: str, count: int, more: str = "") -> str:
    return f"  {what:<56}{count:>8,}  {more}".rstrip()
