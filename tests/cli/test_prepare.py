"""From DICOM files to prepared folders by one command, and what it says."""

import re

from labutils.cli import prepare
from labutils.data import catalog
from labutils.data.dicom_twin import write_scan
from labutils.data.lidc_report import FILTERS, FormReport, Report
from tests.cli.asking import ask, refused


def test_one_command_makes_both_forms_and_says_what_was_removed(tmp_path):
    series = write_scan(tmp_path / "dicom", 698)
    out = tmp_path / "lidc"
    settings = ("--set", "crops.min_readers=1", "--set", "crops.area_px=null")
    answer = ask("data", "prepare-lidc", tmp_path / "dicom", out, *settings)
    assert answer.code == 0, answer
    assert "1 scan prepared, 0 skipped\n" in answer.out
    assert "compared with the published ones when all 1,018 scans" in answer.out
    for filters in FILTERS.values():
        for name, what in filters.items():
            assert re.search(rf"- {what} \({name}\) +[\d,]+\n", answer.out)
    for name in ("lidc-crops", "lidc-crops-hu", "lidc-four"):
        assert any(found for _, found in catalog.searched(name, out)), name
    (series / "001.dcm").write_bytes(b"")
    again = ask("data", "prepare-lidc", tmp_path / "dicom", tmp_path / "other", "--form", "four")
    assert again.code == 0
    assert "skipped      LIDC-IDRI-0957, scan 698: " in again.out
    assert "mend what was skipped" in again.out
    assert not (tmp_path / "other" / "lidc_crops").exists()


def test_what_cannot_be_prepared_is_refused(tmp_path):
    assert "there is no folder" in refused("data", "prepare-lidc", tmp_path / "nowhere", tmp_path / "out")
    command = ("data", "prepare-lidc", tmp_path, tmp_path / "out")
    assert "no setting 'radius'" in refused(*command, "--set", "crops.radius=1")
    assert "wanted one or more of crops, four" in refused(*command, "--form", "pickle")
    assert not (tmp_path / "out").exists()


def test_other_totals_than_the_published_ones_are_an_error_unless_accepted(tmp_path, monkeypatch):
    kept = {"train": 8843, "validate": 1993, "test": 1979}
    patients = {"train": 530, "validate": 111, "test": 103}
    report = Report(1018, {}, 0, {"four": FormReport(12815, {}, kept, patients)})
    monkeypatch.setattr(prepare, "prepare_lidc", lambda *_, **__: report)
    command = ("data", "prepare-lidc", tmp_path, tmp_path / "out", "--form", "four")
    answer = ask(*command)
    assert answer.code == 2
    assert re.search(r"all +12,815 images of 744 patients; published 12,816 images of 744 patients\n", answer.out)
    assert "wanted as many (or --any-totals)" in answer.err
    assert ask(*command, "--any-totals").code == 0
    assert ask(*command, "--set", "four.outline=false").code == 0
