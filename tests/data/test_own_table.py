"""What ``cases.csv`` and ``dataset.toml`` can say wrongly: each fault with its line or setting."""

from __future__ import annotations

import pytest

from labutils.data.own_faults import faults_of
from tests.own_folders import require_told, retold, settings, write_table

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
        "cases.csv: line 6 has 1 cells; wanted 3, as the first line",
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
        "cases.csv: does not parse; wanted commas between cells, in UTF-8",
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
