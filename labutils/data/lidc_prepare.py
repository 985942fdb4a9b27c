"""From a folder of DICOM series to prepared folders of LIDC-IDRI, patient by patient: resumable, the same every time.

Everything is built in ``<out>.unfinished`` and renamed at the end, so `out` is whole or absent. A patient is done when
its record is written, after its files; a run that was stopped, however hard, goes on with the next patient. Which
patient comes first, and how many workers there are, changes no byte.

A scan whose series is damaged, incomplete or stored twice is skipped, and named with the reason in the report. When it
has been mended, the same command adds it: a prepared folder is opened again for what it lacks.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from labutils.core.checks import ConfigError, DataError, require
from labutils.core.config import differences, to_dict
from labutils.core.files import only_one, read_json, sha256_of_bytes, write_json
from labutils.data.lidc_native import NativeConfig, native_crops
from labutils.data.lidc_protocol import Made
from labutils.data.lidc_raters import SPLIT_FILE
from labutils.data.lidc_report import FILTERS, FOLDER_OF_SPLIT, FORMS, Report, write_report
from labutils.data.lidc_resampled import ResampledConfig, resampled_crops
from labutils.data.lidc_scans import by_patient, find_scans, open_scan
from labutils.data.prepared import TWIN_FILE
from labutils.data.splits import read_split
from labutils.scale import run_units

VERSION = 1  # raise it when the same series would give other files


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """Which forms are made, and how."""

    forms: tuple[str, ...] = ("crops", "four")
    crops: NativeConfig = field(default_factory=NativeConfig)
    four: ResampledConfig = field(default_factory=ResampledConfig)

    def __post_init__(self) -> None:
        known = bool(self.forms) and set(self.forms) <= set(FORMS) and len(set(self.forms)) == len(self.forms)
        require(known, f"forms is {self.forms}; wanted one or more of {', '.join(FORMS)}", ConfigError)


class _Patient(NamedTuple):
    """One unit of work."""

    patient: str
    scans: dict[int, tuple[Path, ...]]
    split: str
    root: Path  # of the DICOM files; not told in reports
    working: Path
    config: PrepareConfig

    @property
    def record(self) -> Path:
        return self.working / "records" / f"{self.patient}.json"


def prepare_lidc(
    dicom: str | Path,
    out: str | Path,
    config: PrepareConfig | None = None,
    *,
    split: Mapping[str, Sequence[str]] | None = None,
    workers: int = 1,
    progress: bool = False,
) -> Report:
    """Prepare every scan of LIDC-IDRI in the folder `dicom`; see the module for what a stopped run leaves.

    Args:
        dicom: holds the series, in any folders; read only.
        out: the folder to make, with a folder ``lidc_crops``, ``lidc_four`` or both in it. A folder that an earlier
            call made with the same settings is opened for scans that it lacks.
        config: which forms, and how; None for the published protocols.
        split: patients of "train", "validate" and "test"; None for the split of this package.
        workers: processes at once; they change no byte.
        progress: show a bar on standard error.
    Raises:
        DataError: `dicom` holds no scan of the collection, a patient is in no split, `out` holds something else or
            was made with other settings, or another process is at work on it.
        ConfigError: the settings are not as `PrepareConfig` wants them.
    """
    config, out = config or PrepareConfig(), Path(out)
    split = read_split(SPLIT_FILE) if split is None else split
    found = find_scans(dicom)
    out.parent.mkdir(parents=True, exist_ok=True)
    with only_one(out.parent / f".{out.name}.lock", f"another process is preparing {out}; wait for it to end"):
        working = _open_working(out, _settings(config, split))
        units = [
            _Patient(patient, scans, _split_of(patient, split), Path(dicom), working, config)
            for patient, scans in by_patient(found).items()
        ]
        todo = _left_to_do(units, working)
        run_units(_prepare_patient, todo, workers=workers, describe=lambda unit: unit.patient, progress=progress)
        report = write_report(working, config.forms, found.foreign)
        _mark_twin(Path(dicom), working, config.forms)
        os.rename(working, out)
    return report


def _mark_twin(dicom: Path, working: Path, forms: Sequence[str]) -> None:
    """What is made of a stand-in is one."""
    if (dicom / TWIN_FILE).is_file():
        for form in forms:
            write_json(working / FORMS[form] / TWIN_FILE, read_json(dicom / TWIN_FILE))


def _settings(config: PrepareConfig, split: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    chosen = to_dict(config)
    forms = {name: chosen[name] for name in sorted(config.forms)}
    return {"version": VERSION, "forms": forms, "split": {name: sorted(ids) for name, ids in sorted(split.items())}}


def _open_working(out: Path, settings: dict[str, Any]) -> Path:
    """The folder that is worked in: the one a stopped run left, a prepared one opened again, or a new one."""
    working = out.with_name(f"{out.name}.unfinished")
    for folder in (working, out):
        if folder.exists():
            record = folder / "settings.json"
            ours = folder.is_dir() and record.is_file()
            require(ours, f"{folder} exists and was not prepared here; choose another folder", DataError)
            _require_same_settings(folder, read_json(record), settings)
    require(not (working.exists() and out.exists()), f"both {out} and {working} exist; remove one of them", DataError)
    if out.exists():
        os.rename(out, working)
    if not working.exists():
        write_json(working / "settings.json", settings)
    return working


def _require_same_settings(folder: Path, before: dict[str, Any], settings: dict[str, Any]) -> None:
    if before == settings:
        return
    told = differences(*({key: value for key, value in one.items() if key != "split"} for one in (before, settings)))
    reason = told or "its patients were split in another way"
    raise DataError(f"{folder} was prepared with other settings ({reason}); choose another folder")


def _split_of(patient: str, split: Mapping[str, Sequence[str]]) -> str:
    name = next((name for name, ids in split.items() if patient in ids), None)
    require(name is not None, f"{patient} is in no split; wanted every patient in one", DataError)
    return str(name)


def _left_to_do(units: Sequence[_Patient], working: Path) -> list[_Patient]:
    """The patients without a record of just their scans, none of them skipped; what no record lists is removed."""
    todo, listed = [], set()
    for unit in units:
        if unit.record.is_file():
            before = read_json(unit.record)
            if before["scans"] == sorted(unit.scans) and not before["skipped"]:
                continue
            unit.record.unlink()
        todo.append(unit)
    for path in (working / "records").glob("*.json"):
        listed |= {file for form in read_json(path)["forms"].values() for file in form["files"]}
    for folder in FORMS.values():
        for path in (working / folder).rglob("*"):
            if path.is_file() and path.relative_to(working).as_posix() not in listed:
                path.unlink()
    return todo


def _prepare_patient(unit: _Patient) -> None:
    """Write the files of one patient, and then its record."""
    made: dict[str, list[Made]] = {name: [] for name in unit.config.forms}
    skipped: dict[str, str] = {}
    taken: Counter[str] = Counter()
    for number, folders in sorted(unit.scans.items()):
        try:
            for name, one in _made_of_scan(number, folders, unit.config, taken).items():
                made[name].append(one)
        except DataError as error:
            skipped[str(number)] = str(error).replace(f"{unit.root}{os.sep}", "")
    forms = {name: _write(unit, name, parts) for name, parts in made.items()}
    write_json(unit.record, {"scans": sorted(unit.scans), "skipped": skipped, "split": unit.split, "forms": forms})


def _made_of_scan(
    number: int, folders: tuple[Path, ...], config: PrepareConfig, taken: Counter[str]
) -> dict[str, Made]:
    """All forms of one scan, or an error and none of them: `taken` changes only where everything was made."""
    if len(folders) > 1:
        raise DataError(f"{folders[0]} and {folders[1]} hold the same series; wanted it once")
    scan = open_scan(number, folders[0])
    made, counted = {}, taken.copy()
    if "crops" in config.forms:
        made["crops"] = native_crops(scan, config.crops)
    if "four" in config.forms:
        made["four"] = resampled_crops(scan, config.four, counted)
    taken.update(counted - taken)
    return made


def _write(unit: _Patient, form: str, parts: list[Made]) -> dict[str, Any]:
    """Write the files of one form and return its part of the record."""
    folder = unit.working / FORMS[form] / FOLDER_OF_SPLIT[form][unit.split]
    hashes = {}
    for file in (file for part in parts for file in part.files):
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(file.content)
            stream.flush()
            os.fsync(stream.fileno())
        hashes[path.relative_to(unit.working).as_posix()] = sha256_of_bytes(file.content)
    removed = sum((part.removed for part in parts), Counter[str]())
    return {
        "files": hashes,
        "images": sum(len(part.images) for part in parts),
        "removed": {name: removed[name] for name in FILTERS[form]},
        "rows": [row for part in parts for row in part.rows],
    }
