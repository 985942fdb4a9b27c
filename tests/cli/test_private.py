"""From DICOM files to scores, nothing that identifies a person comes out: not in a file, a figure or a word."""

import logging

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from labutils.data import dicom_twin
from labutils.data.splits import save_split
from tests.cli.asking import SMALL, ask
from tests.data.canaries import found_in, plant
from tests.data.conftest import LIDC_SCANS

PREPARED = ("--form", "crops", "--set", "crops.min_readers=1", "--set", "crops.area_px=null")


@pytest.fixture
def words(tmp_path, monkeypatch):
    """Two scans in folders 0 and 1 of ``dicom``, every header full of canaries; the words to look for."""
    planted, make = set(), dicom_twin._dataset

    def dataset(*facts):
        one = make(*facts)
        planted.update(plant(one))
        return one

    monkeypatch.setattr(dicom_twin, "_dataset", dataset)
    (tmp_path / "dicom").mkdir()
    for number, scan in enumerate(LIDC_SCANS):  # names of folders are the user's own; here they hold no id
        dicom_twin.write_scan(tmp_path / "twin", scan).rename(tmp_path / "dicom" / str(number))
    assert {word for _, word in found_in([tmp_path / "dicom"], planted)} == planted
    return planted


@pytest.fixture
def titles(monkeypatch):
    """Every text of every figure that is saved."""
    drawn, save = [], Figure.savefig

    def savefig(figure, *where, **how):
        drawn.extend(text.get_text() for text in figure.findobj(Text))
        return save(figure, *where, **how)

    monkeypatch.setattr(Figure, "savefig", savefig)
    return drawn


def commands(dicom, here):
    """From DICOM files to a table, as few cases as will do."""
    lidc, run = here / "lidc", here / "run"
    data, few = ("--data", "lidc-crops", "--root", lidc), ("--limit", 4, "--samples", 2)
    split = ("--split", here / "split.json")
    return {
        "prepare": ("data", "prepare-lidc", dicom, lidc, *split, *PREPARED),
        "verify": ("data", "verify", "lidc-crops", "--root", lidc),
        "train": ("train", "unet", *data, "--out", run, *SMALL, "--set", "fit.epochs=1", "--limit", 4, "--track"),
        "evaluate": (
            *("evaluate", run, *data, "--split", "validate", *few),
            *("--json", here / "scores.json", "--predictions", here / "maps"),
        ),
        "report": (
            *("report", *data, "--split", "validate", *few),
            *("--out", here / "table.json", "--run", f"first={run}", "--title", "Two scans"),
        ),
    }


def test_nothing_that_identifies_a_person_comes_out(words, titles, tmp_path, here, monkeypatch, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    cache = tmp_path / "cache"
    monkeypatch.setenv("LABUTILS_CACHE", str(cache))
    save_split(here / "split.json", {"train": ["LIDC-IDRI-0957"], "validate": ["LIDC-IDRI-0078"]})
    asked, slice_file = commands(tmp_path / "dicom", here), tmp_path / "dicom" / "1" / "020.dcm"
    content = slice_file.read_bytes()
    slice_file.write_bytes(content[: len(content) // 2])
    said = [ask(*asked["prepare"])]  # of a scan that is skipped something is said, too
    assert "020.dcm is cut short" in said[0].out
    slice_file.write_bytes(content)
    said += [ask(*words) for words in asked.values()]
    assert {answer.code for answer in said} == {0}, said
    everything = [*titles, *map(repr, said), caplog.text, *capfd.readouterr()]
    assert not [word for word in words if any(word in text for text in everything)]
    made = {path.name for folder in (here, cache) for path in folder.rglob("*")}
    assert made >= {"run.json", "mlflow.db", "scores.json", "table.json", "maps", "epoch-0001.png", "index.json"}
    assert titles
    assert not found_in([here, cache], words)
