"""DICOM series become prepared folders: the same bytes however often it was stopped, nothing of a damaged series."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pydicom
import pytest

from labutils.core.checks import ConfigError, DataError
from labutils.core.files import read_json
from labutils.data import catalog, lidc_report
from labutils.data.lidc_crops import read_metadata
from labutils.data.lidc_native import NativeConfig
from labutils.data.lidc_prepare import SPLIT_FILE, PrepareConfig, prepare_lidc
from labutils.data.lidc_report import FormReport, Report, compared_with_published, require_published_totals
from labutils.data.splits import read_split
from labutils.data.working_folder import working_folder
from tests.data.canaries import found_in, plant
from tests.data.conftest import LIDC_SCANS

FOUR = PrepareConfig(forms=("four",))
PREPARE = """
import sys
from labutils.data.lidc_prepare import prepare_lidc
prepare_lidc(sys.argv[1], sys.argv[2])
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def prepared(lidc_dicom, tmp_path_factory):
    """The prepared folder and its report."""
    out = tmp_path_factory.mktemp("prepared") / "lidc"
    return out, prepare_lidc(lidc_dicom, out)


@pytest.fixture
def dicom(lidc_dicom, tmp_path):
    """A copy of the series that a test may damage; files are linked, folders are its own."""
    return Path(shutil.copytree(lidc_dicom, tmp_path / "dicom", copy_function=os.link))


def series_of(dicom, patient):
    return next(path.parent for path in (dicom / patient).rglob("001.dcm"))


def test_both_forms_are_read_by_their_readers(prepared):
    out, report = prepared
    assert report.scans == 2
    assert not report.skipped
    split_of = {patient: split for split, ids in read_split(SPLIT_FILE).items() for patient in ids}
    for name, form in (("lidc-crops", "crops"), ("lidc-crops-hu", "crops"), ("lidc-four", "four")):
        counts = report.forms[form]
        assert counts.kept == counts.candidates - sum(counts.removed.values()) > 0
        for split in catalog.available(name, out):
            if counts.images[split]:
                store = catalog.load(name, split, root=out)
                assert len(store) == counts.images[split]
                assert {split_of[patient] for patient in store.patients} == {split}
                assert len(set(store.patients)) == counts.patients[split]


def test_the_table_of_nodules_is_read(prepared):
    out, report = prepared
    rows = read_metadata(out / "lidc_crops")
    assert sum(len(row.areas_px) for row in rows) == report.forms["crops"].kept
    assert all(row.pixel_mm for row in rows)


def test_two_workers_give_the_same_bytes(prepared, lidc_dicom, tmp_path):
    prepare_lidc(lidc_dicom, tmp_path / "lidc", workers=2)
    assert contents(tmp_path / "lidc") == contents(prepared[0])


def test_relative_paths_hold_in_workers_that_began_elsewhere(lidc_dicom, tmp_path, monkeypatch):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        os.symlink(lidc_dicom, f"dicom-{name}")
        report = prepare_lidc(f"dicom-{name}", f"lidc-{name}", FOUR, workers=2)
        assert not report.skipped
        assert len(list(Path(f"lidc-{name}").rglob("*_l0.png"))) == report.forms["four"].kept > 0


def test_killed_twice_and_started_again_it_gives_the_same_bytes(prepared, lidc_dicom, tmp_path):
    out, working = tmp_path / "lidc", tmp_path / "lidc.unfinished"
    command = [sys.executable, "-c", PREPARE, str(lidc_dicom), str(out)]
    for written in (3, 40):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while len(list(working.rglob("*.tif"))) < written:
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < until
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not out.exists()
    (working / "lidc_crops" / "train").mkdir(parents=True, exist_ok=True)
    (working / "lidc_crops" / "train" / "scans").mkdir(exist_ok=True)
    (working / "lidc_crops" / "train" / "scans" / "pid_0957_nod_9_slice_9.tif").write_bytes(b"half")
    (working / "lidc_crops" / ".pid.tif.abc.part").write_bytes(b"half")
    prepare_lidc(lidc_dicom, out)
    assert not working.exists()
    assert contents(out) == contents(prepared[0])


def test_a_second_call_changes_nothing(prepared, lidc_dicom):
    out, report = prepared
    before = contents(out)
    assert prepare_lidc(lidc_dicom, out) == report
    assert contents(out) == before


def cut(path):
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[: len(content) // 2])


def test_a_damaged_series_is_named_and_skipped_and_added_when_it_is_mended(prepared, dicom, lidc_dicom, tmp_path):
    series = series_of(dicom, "LIDC-IDRI-0957")
    cut(series / "020.dcm")
    out = tmp_path / "lidc"
    report = prepare_lidc(dicom, out)
    assert report.scans == 1
    ((scan, reason),) = report.skipped.items()
    assert scan == f"LIDC-IDRI-0957, scan {LIDC_SCANS[0]}"
    assert "020.dcm is cut short" in reason
    assert str(tmp_path) not in reason
    assert not [name for name in contents(out) if "0957" in name and "records" not in name]
    shutil.copy(series_of(lidc_dicom, "LIDC-IDRI-0957") / "020.dcm", series / "020.dcm")
    assert not prepare_lidc(dicom, out).skipped
    assert contents(out) == contents(prepared[0])


def test_a_slice_that_cannot_be_decoded_leaves_nothing_of_its_scan(dicom, tmp_path):
    for path in series_of(dicom, "LIDC-IDRI-0957").glob("*.dcm"):
        one = pydicom.dcmread(path)
        one.BitsStored, one.PixelData = 16, one.PixelData[:-2]
        path.unlink()
        one.save_as(path)
        with open(path, "ab") as stream:
            stream.write(b"\x00" * 4)  # so that the file is as long as it should be
    report = prepare_lidc(dicom, tmp_path / "lidc")
    (reason,) = report.skipped.values()
    assert "cannot be decoded" in reason
    assert not [name for name in contents(tmp_path / "lidc") if "0957" in name and "records" not in name]


def test_a_series_stored_twice_is_skipped(dicom, tmp_path):
    shutil.copytree(series_of(dicom, "LIDC-IDRI-0957"), dicom / "copy")
    report = prepare_lidc(dicom, tmp_path / "lidc")
    (reason,) = report.skipped.values()
    assert "hold the same series; wanted it once" in reason


def test_other_settings_are_refused_and_named(prepared, lidc_dicom):
    out, _ = prepared
    with pytest.raises(DataError, match=r"other settings \(forms.crops.min_readers = 2, not 3\)"):
        prepare_lidc(lidc_dicom, out, PrepareConfig(crops=NativeConfig(min_readers=3)))
    split = {"train": ["LIDC-IDRI-0957"], "test": ["LIDC-IDRI-0078"]}
    with pytest.raises(DataError, match="split in another way"):
        prepare_lidc(lidc_dicom, out, split=split)


def test_a_folder_of_something_else_is_left_alone(lidc_dicom, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="was not prepared here"):
        prepare_lidc(lidc_dicom, tmp_path / "mine")
    assert contents(tmp_path / "mine") == {"thesis.txt": b"years of work"}


def test_files_of_a_person_in_a_prepared_folder_stay(lidc_dicom, dicom, tmp_path):
    out = tmp_path / "lidc"
    (series_of(dicom, "LIDC-IDRI-0957") / "020.dcm").unlink()
    assert prepare_lidc(dicom, out).skipped
    mine = {
        "lidc_crops/NOTES.txt": b"mine",
        "lidc_four/images/x.png": b"mine",
        "lidc_crops/test/scans/pid.tif": b"mine",
    }
    for name, content in mine.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(content)
    prepare_lidc(dicom, out)
    assert not prepare_lidc(lidc_dicom, out).skipped
    assert mine.items() <= contents(out).items()


def test_a_prepared_folder_stays_in_use_until_what_it_lacks_is_added(lidc_dicom, dicom, tmp_path, monkeypatch):
    out = tmp_path / "lidc"
    (series_of(dicom, "LIDC-IDRI-0957") / "020.dcm").unlink()
    prepare_lidc(dicom, out)
    before = contents(out)

    def stop(_unit):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("labutils.data.lidc_prepare._prepare_patient", stop)
        with pytest.raises(KeyboardInterrupt):
            prepare_lidc(lidc_dicom, out)
    assert contents(out) == before
    assert working_folder(out).is_dir()
    assert not prepare_lidc(lidc_dicom, out).skipped
    assert not working_folder(out).exists()
    assert before.items() - contents(out).items()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lidc.lock", "dicom", "lidc"]


def unmarked(folder):
    """A copy of series that says nothing of a twin."""
    for mark in folder.rglob("TWIN.json"):
        mark.unlink()
    return folder


def test_twins_and_scans_are_never_mixed(dicom, lidc_dicom, tmp_path):
    twin = tmp_path / "twin"
    prepare_lidc(lidc_dicom, twin, FOUR)
    assert {path.name for path in twin.rglob("TWIN.json")} == {"TWIN.json"}
    with pytest.raises(DataError, match="source = 'twin', not 'your copy'"):
        prepare_lidc(unmarked(dicom), twin, FOUR)
    own = tmp_path / "own"
    prepare_lidc(dicom, own, FOUR)
    assert not list(own.rglob("TWIN.json"))
    (series_of(dicom, "LIDC-IDRI-0957") / "TWIN.json").write_text("{}")
    with pytest.raises(DataError, match="holds scans and twins of scans"):
        prepare_lidc(dicom, tmp_path / "both", FOUR)


def test_a_mark_above_a_linked_folder_counts(dicom, tmp_path):
    (unmarked(dicom) / "TWIN.json").write_text("{}")
    (tmp_path / "linked").mkdir()
    os.symlink(dicom / "LIDC-IDRI-0957", tmp_path / "linked" / "one")
    prepare_lidc(tmp_path / "linked", tmp_path / "lidc", FOUR)
    assert (tmp_path / "lidc" / "lidc_four" / "TWIN.json").is_file()


def test_nothing_is_written_among_the_dicom_files(dicom):
    before = sorted(dicom.rglob("*"))
    with pytest.raises(DataError, match="which is only read"):
        prepare_lidc(dicom, dicom / "out")
    assert sorted(dicom.rglob("*")) == before


def test_a_patient_in_no_split_is_refused(lidc_dicom, tmp_path):
    with pytest.raises(DataError, match="LIDC-IDRI-0078 is in no split"):
        prepare_lidc(lidc_dicom, tmp_path / "lidc", split={"train": ["LIDC-IDRI-0957"]})


def test_a_given_split_is_followed(lidc_dicom, tmp_path):
    split = {"train": ["LIDC-IDRI-0957"], "validate": [], "test": ["LIDC-IDRI-0078"]}
    report = prepare_lidc(lidc_dicom, tmp_path / "lidc", FOUR, split=split)
    assert set(report.forms) == {"four"}
    assert (tmp_path / "lidc" / "lidc_four" / "train" / "images" / "LIDC-IDRI-0957").is_dir()
    assert not (tmp_path / "lidc" / "lidc_crops").exists()


@pytest.mark.parametrize("forms", [(), ("crops", "crops"), ("pickle",)])
def test_unknown_forms_are_refused(forms):
    with pytest.raises(ConfigError, match="wanted one or more of crops, four"):
        PrepareConfig(forms=forms)


@pytest.mark.parametrize(("form", "filters"), lidc_report.FILTERS.items())
def test_the_record_beside_the_images_says_what_was_removed(prepared, form, filters):
    out, report = prepared
    counts = report.forms[form]
    record = read_json(out / lidc_report.FORMS[form] / "preparation.json")
    assert list(counts.removed) == list(filters)
    assert record["removed"] == counts.removed
    assert {split: one["images"] for split, one in record["splits"].items()} == counts.images
    assert {split: one["patients"] for split, one in record["splits"].items()} == counts.patients
    images_and_masks = [name for name in contents(out / lidc_report.FORMS[form]) if name.endswith((".tif", ".png"))]
    assert record["files"] == len(images_and_masks)


def report_of(scans, images, patients):
    splits = ("train", "validate", "test")
    form = FormReport(sum(images), {}, dict(zip(splits, images, strict=True)), dict(zip(splits, patients, strict=True)))
    return Report(scans, {}, 0, {"four": form})


def test_the_whole_collection_is_compared_with_the_published_totals():
    (row,) = compared_with_published(report_of(1018, (7000, 3000, 2815), (500, 144, 100)))
    assert (row.found, row.published) == ((12815, 744), (12816, 744))
    published = report_of(1018, (8843, 1993, 1980), (530, 111, 103))
    rows = compared_with_published(published)
    assert [row.what for row in rows] == ["all", "train", "validate", "test"]
    assert all(row.found == row.published for row in rows)
    assert compared_with_published(published._replace(scans=1017)) == []
    assert compared_with_published(published._replace(forms={})) == []


def test_other_totals_of_the_whole_collection_are_refused(tmp_path):
    published = report_of(1018, (8843, 1993, 1980), (530, 111, 103))
    require_published_totals(published, tmp_path)
    with pytest.raises(DataError, match=r"12,815 images of 744 patients in 'all', and 12,816 of 744"):
        require_published_totals(report_of(1018, (8843, 1993, 1979), (530, 111, 103)), tmp_path)
    with pytest.raises(DataError, match=r"8,842 images of 530 patients in 'train', and 8,843 of 530"):
        require_published_totals(report_of(1018, (8842, 1994, 1980), (530, 111, 103)), tmp_path)
    require_published_totals(report_of(1017, (1, 1, 1), (1, 1, 1)), tmp_path)  # a part of the collection has none


def test_nothing_that_identifies_a_person_leaves_the_headers(dicom, tmp_path, caplog, capfd):
    words = set()
    for path in dicom.rglob("*.dcm"):
        one = pydicom.dcmread(path)
        words |= plant(one)
        path.unlink()
        one.save_as(path)
    assert {word for _, word in found_in([dicom], words)} == words
    flat = tmp_path / "flat"  # names of folders and files are the user's own; here they hold no id
    for number, patient in enumerate(sorted(path for path in dicom.iterdir() if path.is_dir())):
        shutil.move(series_of(dicom, patient.name), flat / f"{number}")
    cut(flat / "0" / "020.dcm")  # a series that is refused says something, too
    report = prepare_lidc(flat, tmp_path / "out" / "lidc")
    assert report.skipped
    said = repr(report) + caplog.text + "".join(capfd.readouterr())
    assert not [word for word in words if word in said]
    assert not found_in([tmp_path / "out"], words)
