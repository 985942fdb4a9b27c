"""``labutils data prepare-lidc``: DICOM series become prepared folders, with a table of what was removed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import typer

from labutils.core.config import from_dict
from labutils.core.words import quantity
from labutils.data.lidc_prepare import PrepareConfig, prepare_lidc
from labutils.data.lidc_report import (
    FILTERS,
    FORMS,
    FormReport,
    Report,
    compared_with_published,
    require_published_totals,
)
from labutils.data.lidc_scans import SCANS
from labutils.data.splits import read_split

TABLES = ("crops", "four")  # of settings


class Request(NamedTuple):
    """What is asked for, as options name it."""

    dicom: Path
    out: Path
    forms: list[str]  # [] for all
    split_file: Path | None
    workers: int
    any_totals: bool  # whether the whole collection may have other totals than the published ones


def prepare(request: Request, settings: Mapping[str, Any]) -> None:
    """Prepare every scan and say what each filter removed; see `labutils.data.lidc_prepare.prepare_lidc`."""
    dicom, out, forms, split_file, workers, any_totals = request
    config = from_dict(PrepareConfig, {**settings, **({"forms": forms} if forms else {})}, "prepare-lidc")
    split = None if split_file is None else read_split(split_file)
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
        _compare(report, out, any_totals)


def _compare(report: Report, out: Path, any_totals: bool) -> None:
    """Show the published totals beside ours, or say why they are not compared, and refuse others."""
    if "four" in report.forms and report.scans < SCANS:
        typer.echo(f"totals are compared with the published ones when all {SCANS:,} scans are prepared")
    for one in compared_with_published(report):
        typer.echo(f"{one.what:<10}{_total(one.found)}; published {_total(one.published)}")
    if not any_totals:
        require_published_totals(report, out / FORMS["four"])


def _total(counts: tuple[int, int]) -> str:
    return f"{counts[0]:,} images of {counts[1]} patients"


def _table(folder: Path, name: str, form: FormReport) -> list[str]:
    removed = [_line(f"- {FILTERS[name][one]} ({one})", count) for one, count in form.removed.items()]
    kept = [
        _line(f"  {one}", count, f"of {quantity(form.patients[one], 'patient')}") for one, count in form.images.items()
    ]
    return [str(folder), _line("candidate images", form.candidates), *removed, _line("images", form.kept), *kept]


def _line(what: str, count: int, more: str = "") -> str:
    return f"  {what:<56}{count:>8,}  {more}".rstrip()
