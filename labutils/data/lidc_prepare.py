"""From a folder of DICOM series to prepared folders of LIDC-IDRI, patient by patient: resumable, the same every time.

Work is done beside `out` (`labutils.data.working_folder`), so `out` is whole or absent. A patient is done when its
record is written, after its files; a run that was stopped, however hard, goes on with the next patient. Which patient
comes first, and how many workers there are, changes no byte.

A scan whose series is damaged, incomplete or stored twice is skipped, and named with the reason in the report. When it
has been mended, the same command adds it: a prepared folder is opened again for what it lacks.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from labutils.core.checks import ConfigError, DataError, require
from labutils.core.config import to_dict
from labutils.core.files import atomic_write, only_one, read_json, sha256_of_bytes, write_json
from labutils.data.lidc_native import NativeConfig, native_crops
from labutils.data.lidc_protocol import Made
from labutils.data.lidc_raters import SPLIT_FILE
from labutils.data.lidc_report import FILTERS, FOLDER_OF_SPLIT, FORMS, Report, read_report, write_tables
from labutils.data.lidc_resampled import ResampledConfig, resampled_crops
from labutils.data.lidc_scans import FoundScans, by_patient, find_scans, open_scan
from labutils.data.prepared import source_of
from labutils.data.splits import read_split
from labutils.data.store import Source
from labutils.data.working_folder import open_working, publish, require_same_settings, working_folder
from labutils.scale import run_units

FILE_NAMES = {  # of images and masks, below the folder of their form; the number is the patient's
    "crops": re.compile(r"[a-z]+/(?:scans|hu|masks/annots|masks/GT)/pid_(\d{4})_nod_\d+_slice_\d+\.tif"),
    "four": re.compile(r"[a-z]+/(?:images|gt)/LIDC-IDRI-(\d{4})/z-[-0-9.e+]+_c\d+(?:_l\d)?\.png"),
}
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
    # absolute, as a worker that is used again may stand in another folder
    config, out, dicom = config or PrepareConfig(), Path(out).absolute(), Path(dicom).absolute()
    inside = out.resolve().is_relative_to(dicom.resolve())
    require(not inside, f"{out} lies inside of {dicom}, which is only read; choose another folder", DataError)
    split = read_split(SPLIT_FILE) if split is None else split
    found = find_scans(dicom)
    settings = _settings(config, split, _source(dicom, found))
    out.parent.mkdir(parents=True, exist_ok=True)
    with only_one(out.parent / f".{out.name}.lock", f"another process is preparing {out}; wait for it to end"):
        require_same_settings(out, settings)
        patients = {
            patient: _Patient(patient, scans, _split_of(patient, split), dicom, working_folder(out), config)
            for patient, scans in by_patient(found).items()
        }
        there = working_folder(out) if working_folder(out).exists() else out
        todo = [unit for unit in patients.values() if _left_to_do(unit, there)]
        if todo or there != out:
            working = open_working(out, settings)
            _remove_files_of({unit.patient for unit in todo}, working)
            run_units(_prepare_patient, todo, workers=workers, describe=lambda unit: unit.patient, progress=progress)
            write_tables(working, config.forms, settings["source"])
            publish(out)
        return read_report(out, config.forms, found.foreign)


def _settings(config: PrepareConfig, split: Mapping[str, Sequence[str]], source: Source) -> dict[str, Any]:
    chosen = to_dict(config)
    forms = {name: chosen[name] for name in sorted(config.forms)}
    splits = {name: sorted(ids) for name, ids in sorted(split.items())}
    return {"version": VERSION, "source": source, "forms": forms, "split": splits}


def _source(dicom: Path, found: FoundScans) -> Source:
    """Where the pixels come from: a series is a twin's where it, or a folder it lies in, is marked as one."""
    folders = [folder.resolve() for several in found.folders.values() for folder in several]
    marked = {any(source_of(one) == "twin" for one in (folder, *folder.parents)) for folder in folders}
    require(len(marked) == 1, f"{dicom} holds scans and twins of scans; wanted one or the other", DataError)
    return "twin" if True in marked else "your copy"


def _split_of(patient: str, split: Mapping[str, Sequence[str]]) -> str:
    name = next((name for name, ids in split.items() if patient in ids), None)
    require(name is not None, f"{patient} is in no split; wanted every patient in one", DataError)
    return str(name)


def _left_to_do(unit: _Patient, folder: Path) -> bool:
    """Whether a patient has a scan that `folder` does not hold.

    Raises:
        DataError: one is to be added, and another that `folder` holds is not there to be made with it.
    """
    record = folder / "records" / f"{unit.patient}.json"
    if not record.is_file():
        return True
    before = read_json(record)
    held = {number for number in before["scans"] if str(number) not in before["skipped"]}
    if held >= set(unit.scans):
        return False
    missing = sorted(held - set(unit.scans))
    require(not missing, f"{unit.patient} was prepared from scan {missing} as well; wanted all its scans", DataError)
    return True


def _remove_files_of(patients: Collection[str], working: Path) -> None:
    """Remove what a stop, or an earlier call, has left of some patients; files of anybody else stay."""
    for patient in patients:
        (working / "records" / f"{patient}.json").unlink(missing_ok=True)
    for path in working.rglob(".*.part"):  # begun when the stop came
        path.unlink()
    for form, folder in FORMS.items():
        for path in (working / folder).rglob("*"):
            match = FILE_NAMES[form].fullmatch(path.relative_to(working / folder).as_posix())
            if match is not None and f"LIDC-IDRI-{match[1]}" in patients:
                path.unlink()


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
    record = unit.working / "records" / f"{unit.patient}.json"
    write_json(record, {"scans": sorted(unit.scans), "skipped": skipped, "split": unit.split, "forms": forms})


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
        with atomic_write(path) as stream:
            stream.write(file.content)
        hashes[path.relative_to(unit.working).as_posix()] = sha256_of_bytes(file.content)
    removed = sum((part.removed for part in parts), Counter[str]())
    return {
        "files": hashes,
        "images": sum(len(part.images) for part in parts),
        "removed": {name: removed[name] for name in FILTERS[form]},
        "rows": [row for part in parts for row in part.rows],
    }
