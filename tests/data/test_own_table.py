"""What ``cases.csv`` and ``dataset.toml`` can say wrongly: each fault with its line or setting."""

from __future__ import annotations

import numpy as np
import pytest

from labutils.data.findings import Findings
from labutils.data.own_card import OwnSettings
from labutils.data.own_faults import faults_of
from labutils.data.own_files import list_folder
from tests.own_folders import require_told, retold, save_volume, settings, write_table, write_volumes

EMPTY = np.zeros((16, 16, 1), np.uint8)

TABLES = {  # what is done to a good folder of pictures, and the fault that it makes
    "patient in two splits": (
        lambda r: retold(r, (4, "d03,p0,test")),
        "cases.csv: patient 'p0' is in test and train; wanted every patient in one split",
    ),
    "case twice": (
        lambda r: retold(r, (5, "d00,p0,train")),
        "cases.csv: line 6 names case 'd00' again, after line 2; wanted one line",
    ),
    "line without file": (
        lambda r: retold(r, (5, "x,p9,train")),
        "cases.csv: line 6 names case 'x', which has no file in images; wanted the name of an image without its ending",
    ),
    "file without line": (
        lambda r: retold(r, (4, "")),
        "images/d03.png: case 'd03' has no line in cases.csv; wanted a line for every image",
    ),
    "unknown column": (
        lambda r: retold(r, (0, "case,pateint,split")),
        "cases.csv: has a column 'pateint'; wanted only case, patient, split, spacing_row_mm, spacing_column_mm, "
        "commas between them",
    ),
    "no column case": (
        lambda r: write_table(r, "patient", *"abcd"),
        "cases.csv: has no column 'case'; wanted the name of each image without its ending",
    ),
    "column twice": (
        lambda r: retold(r, (0, "case,split,split")),
        "cases.csv: has 2 columns 'split'; wanted each column once",
    ),
    "half a spacing": (
        lambda r: write_table(r, "case,spacing_row_mm", *(f"d0{i},1" for i in range(4))),
        "cases.csv: has the column 'spacing_row_mm' alone; wanted spacing_row_mm and spacing_column_mm, or neither",
    ),
    "short line": (
        lambda r: retold(r, (5, "d00")),
        "cases.csv: line 6 has 1 cell; wanted 3, as the first line",
    ),
    "unknown split": (
        lambda r: retold(r, (4, "d03,p3,val")),
        "cases.csv: line 5, case 'd03' has the split 'val'; wanted train or validate or test",
    ),
    "empty patient": (
        lambda r: retold(r, (4, "d03,,test")),
        "cases.csv: line 5, case 'd03' has an empty patient; wanted a patient for every case, or no such column",
    ),
    "empty case": (
        lambda r: retold(r, (5, ",p3,test")),
        "cases.csv: line 6 has an empty case; wanted the name of an image without its ending",
    ),
    "no table": (
        lambda r: (r / "cases.csv").write_bytes(b"case\n\xff\n"),
        "cases.csv: is no text in UTF-8 (byte 5); wanted a file of text in UTF-8",
    ),
    "open quote": (
        lambda r: (r / "cases.csv").write_text('case\n"d00\n'),
        "cases.csv: does not parse; wanted commas between cells, and a quote after each that is opened",
    ),
    "table that is a folder": (
        lambda r: [(r / "cases.csv").unlink(), (r / "cases.csv").mkdir()],
        "cases.csv: is a folder; wanted a file of text",
    ),
    "settings that are no text": (
        lambda r: (r / "dataset.toml").write_bytes(b"name = '\xff'"),
        "dataset.toml: is no text in UTF-8 (byte 8); wanted a file of text in UTF-8",
    ),
    "settings that lead nowhere": (
        lambda r: (r / "dataset.toml").symlink_to(r / "gone.toml"),
        "dataset.toml: is a link that leads nowhere; wanted a file of text",
    ),
    "patient of two lines": (
        lambda r: retold(r, (4, 'd03,"p\n3",test')),
        r"cases.csv: line 5, case 'd03' has the patient 'p\n3'; wanted a name of plain text",
    ),
    "unknown setting": (
        lambda r: settings(r, "license = 'MIT'"),
        "dataset.toml: has a setting 'license'; "
        "wanted only name, title, licence, citation, identified, classes, window",
    ),
    "setting of another kind": (
        lambda r: settings(r, "identified = 'yes'"),
        "dataset.toml: identified is 'yes'; wanted true or false",
    ),
    "window upside down": (
        lambda r: settings(r, "window = [5, 5.0]"),
        "dataset.toml: window is [5, 5]; wanted [low, high] with low below high",
    ),
    "one class": (lambda r: settings(r, "classes = 1"), "dataset.toml: classes is 1; wanted 2 to 255"),
    "name that leads away": (
        lambda r: settings(r, "name = '../x'"),
        "dataset.toml: name is '../x'; wanted letters, digits, '.', '_' and '-'",
    ),
    "settings that do not parse": (
        lambda r: settings(r, "name = "),
        "dataset.toml: does not parse (Invalid value (at end of document)); wanted lines such as licence = 'CC BY 4.0'",
    ),
}


def spaced(root, *spacings):
    write_table(root, "case,spacing_row_mm,spacing_column_mm", *spacings)


SPACINGS = {
    "negative": (["d00,1,-1", "d01,1,1", "d02,1,1", "d03,1,1"], "line 2, case 'd00' has the spacing '-1'"),
    "text": (["d00,1,1", "d01,one,1", "d02,1,1", "d03,1,1"], "line 3, case 'd01' has the spacing 'one'"),
    "half": (["d00,1,1", "d01,1,", "d02,1,1", "d03,1,1"], "line 3, case 'd01' has the spacing ''"),
    "some": (["d00,,", "d01,1,1", "d02,1,1", "d03,1,1"], "case 'd00' has no spacing and case 'd01' has one"),
}


@pytest.mark.parametrize("name", TABLES)
def test_what_is_wrong_with_the_table_or_the_settings_is_told(pictures, name):
    assert faults_of(pictures) == ()
    harm, sentence = TABLES[name]
    harm(pictures)
    require_told(pictures, sentence)


@pytest.mark.parametrize("name", SPACINGS)
def test_what_is_wrong_with_spacings_is_told(pictures, name):
    lines, told = SPACINGS[name]
    spaced(pictures, *lines)
    wanted = "all or none" if name == "some" else "a length in mm above 0, in both columns"
    require_told(pictures, f"cases.csv: {told}; wanted {wanted}")
    assert len(faults_of(pictures)) == 1  # one cause, one fault


def test_a_case_that_the_table_lacks_is_not_told_to_lack_a_spacing_too(pictures):
    spaced(pictures, "d00,1,1", "d01,1,1", "d02,1,1")
    assert [str(fault) for fault in faults_of(pictures)] == [
        "images/d03.png: case 'd03' has no line in cases.csv; wanted a line for every image"
    ]


def test_pictures_beside_a_volume_need_spacings_even_without_a_table(pictures):
    (pictures / "cases.csv").unlink()
    save_volume(pictures / "images" / "v.nii", EMPTY)
    save_volume(pictures / "masks" / "anna" / "v.nii", EMPTY)
    settings(pictures, "window = [0, 255]")
    require_told(pictures, "cases.csv: case 'd00' has no spacing and case 'v' has one; wanted all or none")


def test_every_wrong_setting_is_told(pictures):
    settings(
        pictures,
        "\n".join(
            (
                'name = "../../evil"',
                "classes = 1",
                "window = [3, 3]",
                'identified = "yes"',
                "licence = ''",
                "title = 5",
                "Title = 'A'",
                "citation = 'B'",
            )
        ),
    )
    assert [str(fault).split(";")[0] for fault in faults_of(pictures)] == [
        "dataset.toml: name is '../../evil'",
        "dataset.toml: classes is 1",
        "dataset.toml: window is [3, 3]",
        "dataset.toml: identified is 'yes'",
        "dataset.toml: licence is empty",
        "dataset.toml: title is 5",
        "dataset.toml: has a setting 'Title'",
    ]


def test_settings_beside_a_wrong_one_hold(pictures):
    settings(pictures, "classes = 3\nname = '../x'")
    findings = Findings(pictures, strict=False)
    assert list_folder(pictures, findings).settings == OwnSettings(classes=3)
    assert [fault.what for fault in findings.faults] == ["name is '../x'"]


@pytest.mark.parametrize("text", ["window = [3, 3]", "window = 3", "window ="])
def test_volumes_are_not_told_to_lack_a_window_that_is_wrong(tmp_path, text):
    root = write_volumes(tmp_path, count=3)
    settings(root, text)
    assert [fault.path for fault in faults_of(root)] == ["dataset.toml"]
