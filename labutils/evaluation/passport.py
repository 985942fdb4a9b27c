"""Passports: all one needs to know to believe a number, or to get it again."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

import labutils
from labutils.core.checks import DataError
from labutils.data.store import Store

PACKAGES = ("torch", "numpy", "scipy", "opencv-python-headless", "lightning-fabric", "safetensors", "pylidc")
FIELDS = ("config", "data", "seed", "code", "packages", "device", "definitions", "weights_sha256")


def package_versions(names: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Installed versions, with Python and labutils; a package that is not there is left out."""
    found = {"python": platform.python_version(), "labutils": labutils.__version__}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def code_version() -> dict[str, Any]:
    """The git commit of the package and whether the tree had changes; None for both outside a repository."""
    folder = Path(labutils.__file__).parent
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return {"commit": commit, "changed": bool(_git(folder, "status", "--porcelain", "--", "."))}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "changed": None}


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def device_name(device: torch.device) -> str:
    """The device as people call it: the GPU's name, or the processor's kind and the number of threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU ({platform.machine()}, {torch.get_num_threads()} threads)"


def describe_store(store: Store) -> dict[str, Any]:
    """What a passport says of the cases of a split."""
    return {
        "name": store.card.name,
        "split": store.split,
        "source": store.source,
        "cases": len(store),
        "patients": len(set(store.patients)),
        "manifest": store.manifest,
    }


def make_passport(
    *,
    config: Mapping[str, Any],
    data: Sequence[Mapping[str, Any]],
    seed: int,
    device: torch.device,
    definitions: Sequence[str],
    weights_sha256: str | None,
) -> dict[str, Any]:
    """A passport as plain values.

    Args:
        config: every setting of the model, its training and its scoring.
        data: for each split used, what `describe_store` says.
        seed: what all chance derives from.
        device: what it ran on.
        definitions: ids of the metric definitions used.
        weights_sha256: hash of the weights; None where there are none (a reference row).
    """
    return {
        "config": dict(config),
        "data": [dict(part) for part in data],
        "seed": seed,
        "code": code_version(),
        "packages": package_versions(),
        "device": device_name(device),
        "definitions": sorted(definitions),
        "weights_sha256": weights_sha256,
    }


def check_passport(passport: Any, where: str) -> None:
    """Refuse a result whose passport lacks a field.

    Raises:
        DataError: the passport is not a table or lacks a field, named.
    """
    if not isinstance(passport, Mapping):
        raise DataError(f"{where} carries no passport")
    for name in FIELDS:
        if name not in passport:
            raise DataError(f"{where}: its passport lacks {name!r}")
