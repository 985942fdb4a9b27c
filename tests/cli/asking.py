"""Asking the command line in this process, and tiny prepared crops to ask it about."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tifffile
from typer.testing import CliRunner

from labutils.cli.main import app

SMALL = ("--set", "model.width=4", "--set", "model.levels=2", "--set", "fit.batch_size=4")


class Answer(NamedTuple):
    code: int
    out: str
    err: str


def ask(*words) -> Answer:
    """What the command line answers, in this process."""
    result = CliRunner().invoke(app, [str(word) for word in words], prog_name="labutils")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Answer(result.exit_code, result.stdout, result.stderr)


def refused(*words) -> str:
    """The one sentence with which a command is refused."""
    answer = ask(*words)
    assert answer.code == 2, answer
    assert answer.err.startswith("labutils: ")
    assert answer.err.count("\n") == 1
    assert "Traceback" not in answer.err
    return answer.err


def files_below(folder):
    return sorted((str(path.relative_to(folder)), path.stat().st_mtime_ns) for path in folder.rglob("*"))


def write_slice(split, name, rng, *, size=16, masks=True):
    """One crop: a bright disc that two or three raters draw."""
    rows, columns = np.mgrid[:size, :size]
    distance = np.hypot(rows - size / 2 + rng.uniform(-2, 2), columns - size / 2 + rng.uniform(-2, 2))
    scan = (distance < 4) * 3.0 + rng.normal(0, 0.3, (size, size))
    scan = (scan - scan.mean()) / scan.std()
    for folder in ("scans", "masks/annots") if masks else ("scans",):
        (split / folder).mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(split / "scans" / name, scan[None].astype(np.float32))
    if masks:
        drawn = np.stack([distance < 4 + shift for shift in (-0.5, 0, 0.7)[: rng.integers(2, 4)]], axis=-1)
        tifffile.imwrite(split / "masks" / "annots" / name, drawn[None], photometric="minisblack")


def write_crops(root, **patients):
    """A dataset with two slices of each patient of each split; "test" is images alone."""
    rng = np.random.default_rng(0)
    for split, numbers in patients.items():
        for number in numbers:
            for index in range(2):
                name = f"pid_{number:04d}_nod_0_slice_{index}.tif"
                write_slice(root / split, name, rng, masks=split != "test")
    return root
