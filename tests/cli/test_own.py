"""Anybody's own folder at the command line: verified, and given wherever a dataset's name goes."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest

from labutils.evaluation.leaderboard import read_table
from tests.cli.asking import SMALL, ask, files_below, refused
from tests.own_folders import save, write_discs, write_table, write_volumes


@pytest.fixture
def mine(here):
    """A folder of pictures below the folder to stand in."""
    return write_discs(here / "mine", cases=12)


def test_a_good_folder_is_counted(mine):
    before = files_below(mine)
    answer = ask("data", "verify", "mine")
    lines = answer.out.splitlines()
    assert answer.code == 0
    assert lines[-1] == "no fault: the folder can be used"
    assert [line for line in lines if line.startswith("note: ")] != []
    rows = dict(line.split("  ", 1) for line in lines if "  " in line)
    assert {head: text.strip() for head, text in rows.items()}.items() >= {
        "dataset": "mine", "cases": "12", "rater anna": "9 images", "16 x 16 px": "12 cases",
    }.items()  # fmt: skip
    assert files_below(mine) == before


def test_every_fault_is_a_line_and_the_exit_code_says_so(mine):
    save(mine / "masks" / "anna" / "d01.png", np.full((16, 16), 9, np.uint8))
    save(mine / "masks" / "ben" / "d01.png", np.zeros((8, 8), np.uint8))
    answer = ask("data", "verify", mine)
    assert answer.code == 2
    assert answer.out.splitlines()[:2] == [
        "masks/anna/d01.png: holds the value 9; wanted 0 and 1, or 0 and 255, only",
        "masks/ben/d01.png: is 8 x 8 pixels and its image 16 x 16; wanted them equal",
    ]
    assert answer.out.splitlines()[-1] == "2 faults"
    told = json.loads(ask("data", "verify", mine, "--json").out)
    assert ask("data", "verify", mine, "--json").code == 2
    assert told["faults"][0] == {
        "path": "masks/anna/d01.png", "what": "holds the value 9", "wanted": "0 and 1, or 0 and 255, only",
    }  # fmt: skip
    assert told["summary"]["cases"] == 12
    assert told["notes"]


def test_one_of_each_is_counted_as_one(here):
    write_discs(here / "one", cases=1, raters=("anna", "ben"))
    rows = dict(line.split("  ", 1) for line in ask("data", "verify", "one").out.splitlines() if "  " in line)
    counts = {head: text.strip() for head, text in rows.items() if head != "dataset"}
    assert counts == {
        "cases": "1", "train": "1 case of 1 patient", "rater ben": "1 image",
        "1 rater": "1 image", "16 x 16 px": "1 case",
    }  # fmt: skip


def test_odd_names_neither_break_a_line_nor_reach_the_terminal(mine):
    save(mine / "masks" / "anna" / "a\n\x1b[31mb.png", np.zeros((16, 16), np.uint8))
    answer = ask("data", "verify", mine)
    assert answer.out.splitlines()[0].startswith(r"masks/anna/a\n\x1b[31mb.png: has a name with control characters")
    assert "\x1b" not in answer.out
    assert r"a\x1b[31mb is not a folder" in refused("data", "verify", "./a\x1b[31mb")
    assert r"dataset is 'a\x1b[31mb'" in refused("data", "verify", "a\x1b[31mb")


def test_what_is_no_folder_is_one_sentence(here):
    assert "nowhere is not a folder; wanted one that holds images/" in refused("data", "verify", "./nowhere")
    assert "or the path of your own folder" in refused("data", "verify", "nowhere")


def test_a_card_is_shown(mine):
    out = ask("data", "show", "./mine").out
    assert "anna, ben, cleo" in out
    assert "found; splits with files: train, validate, test" in out


def test_a_run_names_the_card_and_no_place(mine, here):
    train = ("train", "unet", "--data", mine, "--out", "run", *SMALL, "--set", "fit.epochs=1")
    assert ask(*train).code == 0
    told = json.loads((here / "run" / "run.json").read_text())
    assert told["data"]["name"] == "mine"
    assert told["data"]["root"] is None
    assert {part["source"] for part in told["data"]["splits"]} == {"your copy"}
    mine.rename(here / "moved")
    (here / "moved" / "dataset.toml").write_text('name = "mine"')
    assert "is finished already" in ask(*train[:3], "./moved", *train[4:]).out  # the same data at another place
    words = ("--data", "moved", "--split", "test", "--samples", 2)
    assert ask("evaluate", "run", *words, "--json", "scores.json").code == 0
    told = ask("report", *words, "--run", "net=run", "--out", "table.json")
    assert told.code == 0
    assert "1 run on " in told.out
    table = read_table("table.json")
    assert table["data"]["name"] == "mine"
    for path in here.glob("**/*.json"):
        text = path.read_text()
        assert path.name == "run.json" or str(here) not in text  # run.json keeps the command as it was typed


def test_patients_are_held_out_where_no_split_is_to_validate_on(mine, here):
    write_table(mine, "case,split", *(f"d{i:02d},train" for i in range(12)))
    assert ask("train", "unet", "--data", "mine", "--out", "run", *SMALL, "--set", "fit.epochs=1").code == 0
    answer = ask("evaluate", "run", "--data", "mine", "--split", "held-out", "--samples", 2, "--json", "scores.json")
    assert "of 3 patients from mine/train, patients held out" in answer.out


def test_predictions_of_volumes_are_volumes(here):
    write_volumes(here / "scans", count=8, planes=2)
    write_table(here / "scans", "case,split", *(f"v{i},{'test' if i > 5 else 'train'}" for i in range(8)))
    assert ask("train", "unet", "--data", "scans", "--out", "run", *SMALL, "--set", "fit.epochs=1").code == 0
    words = ("evaluate", "run", "--data", "scans", "--split", "test", "--samples", 2, "--json", "s.json")
    assert "are in maps, as volumes too" in ask(*words, "--predictions", "maps").out
    for name in ("v6.nii.gz", "v7.nii.gz"):
        image, back = nibabel.load(here / "scans" / "images" / name), nibabel.load(here / "maps" / name)
        assert back.shape == image.shape
        np.testing.assert_allclose(back.affine, image.affine, atol=1e-5)
        assert 0 <= np.asarray(back.dataobj).min() <= np.asarray(back.dataobj).max() <= 1
    assert "volumes" not in ask(*words, "--predictions", "one", "--limit", 1).out


@pytest.mark.parametrize("command", ["train", "evaluate", "report"])
def test_a_root_beside_a_folder_is_one_sentence(mine, trained, command):
    words = {
        "train": ("train", "unet", "--out", "run"),
        "evaluate": ("evaluate", trained[0], "--split", "test", "--json", "s.json"),
        "report": ("report", "--split", "test", "--out", "t.json"),
    }[command]
    sentence = "root is ., and mine names a folder already; wanted one of them"
    assert sentence in refused(*words, "--data", "mine", "--root", ".")


def test_a_fault_stops_a_training_before_anything_is_written(mine, here):
    save(mine / "masks" / "anna" / "d01.png", np.full((16, 16), 9, np.uint8))
    words = ("train", "unet", "--data", "mine", "--out", "run")
    assert "mine/masks/anna/d01.png: holds the value 9; wanted 0 and 1" in refused(*words)
    assert not (here / "run").exists()
