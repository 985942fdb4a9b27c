"""A leaderboard from the command line: folds, rows, going on after the minutes are over, and refusals."""

import json

import pytest
import torch

import labutils
from labutils.core.files import read_json
from labutils.data import catalog
from labutils.data.folds import by_patient
from labutils.evaluation.draws import from_model
from labutils.evaluation.evaluate import evaluate
from labutils.evaluation.leaderboard import KEPT, by_drew, difference, read_table
from tests.cli.asking import ask, files_below, refused

TINY = ("--set", "fit.batch_size=8", "--set", "fit.epochs=1")
NETWORKS = ("--only", "stochastic segmentation network", "--only", "U-Net with dropout")


def words(crops, *more):
    return ("leaderboard", "--data", "lidc-crops", "--root", crops, "--samples", 3, *TINY, *more)


@pytest.fixture(scope="module")
def ranked(crops, tmp_path_factory):
    """A folder with two folds of trainings, what was said while it was made, and the command."""
    folder = tmp_path_factory.mktemp("ranked")
    asked = words(crops, "--folds", 2, *NETWORKS, "--out", folder / "runs", "--json", folder / "table.json")
    answer = ask(*asked)
    assert answer.code == 0, answer
    return asked, folder, answer


def test_every_case_of_both_splits_is_scored_once_by_every_row(ranked):
    _, folder, answer = ranked
    table = read_table(folder / "table.json")
    assert [row["name"] for row in table["rows"]] == [
        "blank", "mean training mask", "Otsu", "rater majority", "oracle sampler",
        "U-Net with dropout", "U-Net with dropout, dropout", "stochastic segmentation network",
    ]  # fmt: skip
    assert len(set(table["patients"])) == 9
    assert table["data"]["split"] == "train and validate"
    assert all(
        len(scores["ged2_v"]) == len(table["cases"]) == len(table["drew"]) for scores in table["values"].values()
    )
    strata = by_drew(table, "blank", "ged2_v")
    assert sum(interval.cases for interval in strata.values()) == len(table["cases"])
    assert difference(table, "rater majority", "blank", "dice").mean > 0
    assert "| blank |" in answer.out


def test_settings_of_a_network_s_own_are_told_before_it_trains(ranked):
    _, _, answer = ranked
    notes = [line for line in answer.out.splitlines() if line.startswith("note: ")]
    assert notes == [
        "note: U-Net with dropout trains with settings of its own: fit.lr=0.0025, fit.warmup=0.05",
        "note: stochastic segmentation network trains with settings of its own: fit.lr=0.003",
    ]
    assert answer.out.index(notes[0]) < answer.out.index("(1 of 4 trainings)")


def test_no_network_scores_a_patient_it_learned_from(ranked):
    _, folder, _ = ranked
    table = read_table(folder / "table.json")
    row = next(row for row in table["rows"] if row["name"] == "stochastic segmentation network")
    learned, scored = row["passport"]["data"][:-1], row["passport"]["data"][-1]
    assert [part["split"] for part in learned] == [f"train and validate, without fold {n} of 2" for n in (1, 2)]
    assert sum(part["patients"] for part in learned) == scored["patients"] == 9
    assert row["draw_s"] > 0
    assert len(row["passport"]["config"]["seconds"]) == 2


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("stochastic segmentation network", "model"),
        ("U-Net with dropout", "model"),
        ("U-Net with dropout, dropout", "dropout"),
    ],
)
def test_every_case_has_the_score_of_the_network_that_learned_without_its_patient(crops, ranked, name, rule):
    """The network is looked up by what its own passport says that it learned from."""
    _, folder, _ = ranked
    table, scores = read_table(folder / "table.json"), {}
    stores = [catalog.load("lidc-crops", split, root=crops) for split in ("train", "validate")]
    division = by_patient(stores, 2)
    runs = [path.parent for path in (folder / "runs").glob(f"{name.split(',')[0].lower().replace(' ', '-')}*/run.json")]
    learned = {read_json(run / "passport.json")["data"][0]["manifest"]: run for run in runs}
    for fold in division.folds:
        held = division.store.subset(fold.held)
        assert not set(held.patients) & set(fold.train.patients)
        draw = from_model(labutils.load(learned[fold.train.manifest]), torch.device("cpu"), rule)
        rows = evaluate(draw, held, samples=3, metrics=KEPT, resamples=10).rows
        scores |= {row["case"]: [row[metric] for metric in KEPT] for row in rows}
    for index, case in enumerate(table["cases"]):
        kept = [table["values"][name][metric][index] for metric in KEPT]
        assert kept == pytest.approx(scores[case], abs=1e-5, nan_ok=True)


def test_a_finished_leaderboard_is_told_again_and_left_alone(ranked):
    asked, folder, _ = ranked
    table = json.loads((folder / "table.json").read_text())
    before = [entry for entry in files_below(folder / "runs") if entry[0] != ".leaderboard"]
    answer = ask(*asked)
    assert answer.code == 0
    assert answer.out.count("finished already") == 4
    assert [entry for entry in files_below(folder / "runs") if entry[0] != ".leaderboard"] == before
    again = json.loads((folder / "table.json").read_text())
    for row in (*table["rows"], *again["rows"]):
        assert row.pop("draw_s") > 0  # timed anew
    assert again == table


def test_other_answers_are_drawn_from_the_same_networks(ranked, tmp_path):
    asked, _, _ = ranked
    more = ("--samples", 5, "--metric", "ged2_v", "--json", tmp_path / "five.json")
    answer = ask(*asked, *more)
    assert answer.code == 0, answer
    table = read_table(tmp_path / "five.json")
    assert (table["samples"], set(table["definitions"])) == (5, {"ged2_v"})
    assert answer.out.count("finished already") == 4


def test_minutes_end_it_and_the_same_command_goes_on_to_the_same_networks(crops, ranked, tmp_path):
    _, folder, _ = ranked
    more = ("--folds", 2, "--only", "stochastic segmentation network")
    asked = words(crops, *more, "--out", tmp_path / "runs", "--json", tmp_path / "table.json")
    told = []
    while not (tmp_path / "table.json").exists():
        answer = ask(*asked, "--minutes", 1e-6)
        assert answer.code == 0, answer
        told.append(answer.out)
        assert len(told) < 20
    assert "the minutes are over: 0 of 2 trainings done; give the command again" in told[0]
    first, again = (read_table(path / "table.json") for path in (folder, tmp_path))
    hashes = [
        next(row for row in table["rows"] if row["name"] == "stochastic segmentation network")["passport"][
            "weights_sha256"
        ]
        for table in (first, again)
    ]
    assert hashes[0] == hashes[1]


def test_one_split_is_scored_by_what_learned_from_train(crops, tmp_path):
    more = ("--split", "validate", "--only", "U-Net", "--set", "model.convs=1")
    answer = ask(*words(crops, *more, "--out", tmp_path / "runs", "--json", tmp_path / "table.json"))
    assert answer.code == 0, answer
    table = read_table(tmp_path / "table.json")
    assert [row["name"] for row in table["rows"][5:]] == [
        "U-Net", "U-Net, random threshold", "U-Net, independent pixels", "U-Net, symmetries", "U-Net, ensemble of 4",
    ]  # fmt: skip
    assert len(set(table["patients"])) == 3
    one, all_four = table["rows"][5], table["rows"][-1]
    assert all_four["parameters"] == 4 * one["parameters"]
    assert one["passport"]["weights_sha256"] != all_four["passport"]["weights_sha256"]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ((), "wanted either --split, to score, or --folds"),
        (("--split", "validate", "--folds", 2), "wanted either --split, to score, or --folds"),
        (("--split", "train"), "--split is 'train', which is learned from"),
        (("--folds", 10), "folds is 10 for 9 patients; wanted 2 to 9"),
        (("--folds", 2, "--only", "V-Net"), "'V-Net'"),
        (("--folds", 2, "--networks", "huge"), "'huge'"),
        (("--folds", 2, "--metric", "luck"), "--metric is 'luck'; wanted one of 'dice_truth', 'dice', "),
        (
            ("--folds", 2, "--metric", "dice", "--metric", "ged"),
            "--metric is 'ged'; wanted one of 'dice_truth', 'dice', ",
        ),
        (
            ("--folds", 2, "--set", "fit.seed=1"),
            "fit.seed is not free in a leaderboard: trainings have the seeds 0, 1 and so on",
        ),
        (
            ("--folds", 2, "--set", "fit.patience=1"),
            "fit.patience is not free in a leaderboard: every network trains to the last epoch",
        ),
        (("--folds", 2, "--set", "model.widths=1"), "no model of the leaderboard has a setting 'widths'"),
        (("--folds", 2, "--set", "model.width=1"), "is what the row 'U-Net' stands for"),
    ],
)
def test_a_wrong_request_is_one_sentence_and_writes_nothing(crops, tmp_path, more, sentence):
    out = tmp_path / "runs"
    assert sentence in refused(*words(crops, *more, "--out", out, "--json", tmp_path / "table.json"))
    assert not out.exists()
