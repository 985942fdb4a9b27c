"""Networks that learn from windows of larger images: what they are scored on, and what is refused."""

import json

import pytest
import torch

import labutils
from labutils.data import catalog
from labutils.data.crop import middle
from labutils.evaluation.draws import from_model
from labutils.evaluation.evaluate import as_json, evaluate
from labutils.evaluation.leaderboard import read_table
from tests.cli.asking import SMALL, ask, refused

WINDOWS = ("--set", "fit.crop_px=12")


@pytest.fixture(scope="module")
def windowed(crops, tmp_path_factory):
    """A run that learned from windows of 12 x 12 pixels of images of 16 x 16."""
    run = tmp_path_factory.mktemp("windows") / "run"
    answer = ask(
        "train", "hier-prob-unet", "--data", "lidc-crops", "--root", crops, "--out", run, *WINDOWS,
        "--set", "model.width=2", "--set", "model.latents=[1]", "--set", "fit.epochs=1", "--set", "fit.batch_size=4",
    )  # fmt: skip
    assert answer.code == 0, answer
    return run


def test_the_network_is_built_for_windows(windowed):
    assert labutils.load(windowed).config.levels == 5  # 16 pixels bring 5 levels down to one, 12 as well
    assert json.loads((windowed / "run.json").read_text())["fit"]["crop_px"] == 12


def test_the_middle_is_scored_and_that_is_said(windowed, crops, here):
    asked = ("evaluate", windowed, "--data", "lidc-crops", "--root", crops, "--split", "validate", "--samples", 3)
    answer = ask(*asked, "--json", "scores.json")
    assert answer.code == 0, answer
    assert "windows of 12 x 12 pixels, so the middle of each case is scored" in answer.out
    store = middle(catalog.load("lidc-crops", "validate", root=crops), 12)
    wanted = as_json(evaluate(from_model(labutils.load(windowed), torch.device("cpu"), "model"), store, samples=3))
    assert json.loads((here / "scores.json").read_text())["rows"] == wanted["rows"]
    told = refused(*asked, "--json", "other.json", "--predictions", "maps")
    assert "learned from windows of 12 x 12 pixels; wanted no maps of larger images" in told
    assert [path.name for path in here.iterdir()] == ["scores.json"]


def test_a_report_is_of_runs_that_see_the_same(windowed, trained, crops, here):
    asked = ("report", "--data", "lidc-crops", "--root", crops, "--split", "validate", "--samples", 2)
    one = ("--run", f"windows={windowed}")
    assert ask(*asked, *one, "--out", "table.json").code == 0
    store = middle(catalog.load("lidc-crops", "validate", root=crops), 12)
    assert read_table("table.json")["rows"][0]["passport"]["data"][-1]["manifest"] == store.manifest
    told = refused(*asked, *one, "--run", f"whole={trained[0]}", "--out", "other.json")
    assert "fit.crop_px of the runs differs (windows: 12, whole: 0)" in told


@pytest.mark.parametrize(
    "command",
    [
        ("leaderboard", "--split", "validate", "--only", "stochastic segmentation network", "--samples", 2),
        ("compare", "--split", "validate", "--rows", "drawing", "--only", "U-Net, vote fraction", "--seeds", 1),
    ],
)
def test_a_table_of_trainings_is_of_the_middle_as_well(command, crops, here):
    asked = (*command, "--data", "lidc-crops", "--root", crops, "--out", "runs", "--set", "fit.epochs=1")
    answer = ask(*asked, *WINDOWS, "--json", "table.json")
    assert answer.code == 0, answer
    table = json.loads((here / "table.json").read_text())
    store = middle(catalog.load("lidc-crops", "validate", root=crops), 12)
    assert store.manifest in json.dumps(table)


def test_a_search_chooses_on_the_middle_and_windows_that_do_not_fit_are_refused(crops, here):
    asked = ("--data", "lidc-crops", "--root", crops, "--set", "fit.epochs=1")
    answer = ask("search", *asked, "--out", "study", "--trials", 1, *WINDOWS)
    assert answer.code == 0, answer
    told = refused("train", "unet", *asked, *SMALL, "--out", "run", "--set", "fit.crop_px=17")
    assert "a window of 17 x 17 pixels was asked for of images of 16 x 16" in told
