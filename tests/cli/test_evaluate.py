"""Evaluation from the command line: scores that the library gives too, predictions where there are no masks."""

import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

import labutils
from labutils.cli.evaluate import table
from labutils.core.runtime import rng_for
from labutils.data import catalog
from labutils.evaluation.bootstrap import Interval
from labutils.evaluation.draws import from_model
from labutils.evaluation.evaluate import Evaluation, as_json, evaluate
from labutils.evaluation.passport import check_passport
from labutils.evaluation.scores import METRICS
from labutils.models.registry import build, make_config
from labutils.training.checkpoint import save_weights
from labutils.training.tensors import content_hash
from tests.cli.asking import SMALL, ask, files_below, refused, write_crops


def words(run, crops, *more, split="validate"):
    asked = ("evaluate", run, "--data", "lidc-crops", "--root", crops, "--split", split, "--json", "scores.json")
    return (*asked, "--samples", 3, *more)


def scores_of(folder):
    return json.loads((folder / "scores.json").read_text())


@pytest.mark.parametrize("sampler", ["model", "random-threshold", "independent-pixels"])
def test_the_scores_are_those_of_the_library(trained, crops, here, sampler):
    run, _ = trained
    answer = ask(*words(run, crops, "--sampler", sampler))
    assert answer.code == 0
    found, store = scores_of(here), catalog.load("lidc-crops", "validate", root=crops)
    network = labutils.load(run)
    wanted = as_json(evaluate(from_model(network, torch.device("cpu"), sampler), store, samples=3))
    assert found["rows"] == wanted["rows"]
    assert found["summary"] == wanted["summary"]
    assert found["definitions"] == wanted["definitions"]
    assert len(found["rows"]) == 6
    assert [path.name for path in here.iterdir()] == ["scores.json"]


def test_the_passport_names_weights_data_and_definitions(trained, crops, here):
    run, _ = trained
    ask(*words(run, crops, "--seed", 5))
    passport = scores_of(here)["passport"]
    check_passport(passport, "the scores")
    assert passport["weights_sha256"] == content_hash(labutils.load(run).state_dict())
    splits = [(part["split"], part["manifest"]) for part in passport["data"]]
    stores = [(split, catalog.load("lidc-crops", split, root=crops).manifest) for split in ("train", "validate")]
    assert splits == [*stores, stores[1]]  # trained on, chosen on, scored on
    assert passport["config"]["fit"]["epochs"] == 2
    assert passport["definitions"] == sorted(m.id for m in METRICS.values() if not (m.needs_truth or m.published_fault))
    assert (passport["seed"], passport["config"]["samples"], passport["config"]["sampler"]) == (5, 3, "model")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda run: (run / "run.json").write_text("{"), "run.json is not valid JSON"),
        (lambda run: (run / "run.json").write_text("[]"), "run.json holds no table"),
        (lambda run: (run / "passport.json").write_text('{"weights_sha256": "0"}'), "holds other weights than"),
    ],
)
def test_a_run_that_contradicts_itself_is_refused_and_nothing_is_written(
    trained, crops, here, tmp_path, damage, sentence
):
    run = shutil.copytree(trained[0], tmp_path / "copy")
    damage(run)
    assert sentence in refused(*words(run, crops))
    assert list(here.iterdir()) == []


def test_the_table_is_aligned_and_says_what_was_seen_before(trained, crops, here):
    run, _ = trained
    lines = ask(*words(run, crops)).out.splitlines()
    head = next(line for line in lines if line.startswith("metric"))
    row = next(line for line in lines if line.startswith("dice "))
    assert "95% interval" in head
    assert head.index("95%") == row.index("[")
    assert head.index("better") == row.index("higher")
    assert "note: the run was chosen on 6 of these 6 cases" in lines
    assert "note: the run was trained on 12 of these 12 cases" in ask(*words(run, crops, split="train")).out


def test_what_was_seen_before_is_told_of_parts_of_the_cases_and_of_their_patients(trained, crops, here, tmp_path):
    """The validation folder of this copy holds new patients, one trained on, and a new slice of a chosen one."""
    root = write_crops(tmp_path / "mixed", train=[31], validate=[11, 41])
    for name in ("scans", "masks/annots"):
        old = root / "validate" / name / "pid_0011_nod_0_slice_1.tif"
        old.rename(old.with_name("pid_0011_nod_0_slice_7.tif"))
        shutil.copy(crops / "train" / name / "pid_0003_nod_0_slice_0.tif", root / "validate" / name)
    out = ask(*words(trained[0], root)).out
    assert "note: the run was trained on 1 of these 5 cases" in out
    assert "note: the run was chosen on 1 of these 5 cases" in out
    (root / "validate/scans/pid_0011_nod_0_slice_0.tif").unlink()
    (root / "validate/masks/annots/pid_0011_nod_0_slice_0.tif").unlink()
    assert (
        "note: the run was chosen on other cases of the patients of 1 of these cases"
        in ask(*words(trained[0], root)).out
    )


def test_a_run_that_does_not_say_what_it_saw_is_told(trained, crops, here, tmp_path):
    run = shutil.copytree(trained[0], tmp_path / "copy")
    (run / "cases.json").unlink()
    told = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(told | {"data": {}}))
    assert "note: the run does not say which cases it saw (it has no cases.json)\n" in ask(*words(run, crops)).out


def test_a_passport_says_what_was_seen_where_no_cases_are_listed(trained, crops, here, tmp_path):
    """As with a network that comes with the package: weights and a passport, and nothing else."""
    run = tmp_path / "copy"
    run.mkdir()
    for name in ("weights.safetensors", "passport.json"):
        shutil.copy(trained[0] / name, run)
    assert "\nnote: the run was trained on these 12 cases\n" in ask(*words(run, crops, split="train")).out
    assert "\nnote: the run was chosen on these 6 cases\n" in ask(*words(run, crops)).out
    part = ask(*words(run, crops, "--limit", 4, split="train")).out
    assert "\nnote: the run was trained on cases of lidc-crops/train, where these 4 are from\n" in part
    passport = json.loads((run / "passport.json").read_text())
    passport["config"]["fit"]["keep"] = (
        "last"  # as in a comparison, where the second split is scored and chooses nothing
    )
    (run / "passport.json").write_text(json.dumps(passport))
    told = "note: the run does not say which cases it saw (it has no cases.json); it was trained on 12 cases of "
    assert f"\n{told}lidc-crops/train\n" in ask(*words(run, crops)).out
    passport["data"] = [part | {"source": "twin", "manifest": "0"} for part in passport["data"]]
    (run / "passport.json").write_text(json.dumps(passport))
    assert "note: the run does not say which cases it saw" in ask(*words(run, crops, split="train")).out


def test_patients_held_out_are_scored(crops, here, tmp_path):
    root = tmp_path / "crops"
    shutil.copytree(crops / "train", root / "train")
    ask("train", "unet", "--data", "lidc-crops", "--root", root, "--out", "run", *SMALL, "--set", "fit.epochs=1")
    answer = ask(*words("run", root, split="held-out"))
    assert "note: the run was chosen on 4 of these 4 cases" in answer.out
    assert "trained on" not in answer.out
    held = {row["case"] for row in scores_of(here)["rows"]}
    members = json.loads((here / "run" / "cases.json").read_text())
    assert held == set(members["chosen"])
    assert len(members["trained"]) == 8
    assert not held & set(members["trained"])


def test_a_run_that_held_out_nobody_is_told(trained, crops, here):
    sentence = refused(*words(trained[0], crops, split="held-out"))
    assert "the run held out no patients of lidc-crops/train" in sentence
    assert list(here.iterdir()) == []


def test_undefined_cases_are_counted_in_the_table():
    rows = [{"case": str(i), "patient": str(i), "ncc": 0.5} for i in range(3)]
    interval = Interval(mean=0.5, low=0.25, high=0.75, cases=2, patients=2, undefined=1, level=0.95)
    assert table(Evaluation(rows, {"ncc": interval}, 3)) == [
        "metric  mean  95% interval  better",
        "ncc     0.5   [0.25, 0.75]  higher  undefined in 1 of 3 cases",
    ]


def test_a_split_without_masks_is_predicted(trained, crops, here):
    run, _ = trained
    answer = ask(*words(run, crops, split="test"))
    assert answer.code == 0
    assert "predictions and no scores" in answer.out
    found = scores_of(here)
    assert set(found) == {"samples", "rows", "passport"}
    assert found["passport"]["definitions"] == []
    store, network = catalog.load("lidc-crops", "test", root=crops), labutils.load(run)
    assert [path.name for path in sorted((here / "scores-maps").iterdir())] == [f"{case}.png" for case in store.cases]
    for index, row in enumerate(found["rows"]):
        with torch.no_grad():
            probs = network.sample(store.batch([index]).image, 1, rng_for(0, "unused"))[0, 0]
        picture = cv2.imread(str(here / "scores-maps" / f"{row['case']}.png"), cv2.IMREAD_UNCHANGED)
        assert picture.dtype == np.uint8
        assert np.array_equal(picture, (probs[1] * 255).round().numpy().astype(np.uint8))
        assert (row["case"], row["patient"]) == (store.cases[index], store.patients[index])
        assert row["predicted_area_px"] == int((probs[1] > probs[0]).sum())
        assert "predicted_area_mm2" not in row  # these crops do not know their spacing


def test_maps_go_where_they_are_wanted_beside_scores(trained, crops, here):
    assert ask(*words(trained[0], crops, "--predictions", "maps")).code == 0
    assert len(list((here / "maps").iterdir())) == 6
    assert "summary" in scores_of(here)


def test_the_same_question_gets_the_same_answer(trained, crops, here):
    ask(*words(trained[0], crops, "--sampler", "random-threshold"))
    first = scores_of(here)
    ask(*words(trained[0], crops, "--sampler", "random-threshold"))
    assert scores_of(here) == first


REFUSALS = {
    "unknown dataset": (["--data", "lidc"], "dataset is 'lidc'"),
    "unknown split": (["--split", "valid"], "split of lidc-crops is 'valid'"),
    "folder is gone": (["--root", "gone"], "gone is not a folder"),
    "folder inside the dataset": (["--root", "CROPS/train"], "looks like a folder inside the dataset"),
    "sampler": (["--sampler", "best"], "sampler is 'best'; wanted one of 'model', 'random-threshold'"),
    "device": (["--device", "tpux"], "device 'tpux' is not a device name"),
    "scores go to a folder": (["--json", "."], "is a folder; wanted a file"),
    "scores go below a file": (["--json", "notes.txt/scores.json"], "folder of --json notes.txt is a file"),
    "maps go to a file": (["--predictions", "notes.txt"], "folder of --predictions notes.txt is a file"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_done_is_told_and_nothing_is_written(case, trained, crops, here):
    given, sentence = REFUSALS[case]
    (here / "notes.txt").write_text("mine")
    before = files_below(here)
    assert sentence in refused(*words(trained[0], crops), *[word.replace("CROPS", str(crops)) for word in given])
    assert files_below(here) == before


def test_a_split_without_files_is_told(trained, crops, here, tmp_path):
    shutil.copytree(crops / "train", tmp_path / "part" / "train")
    sentence = refused(*words(trained[0], tmp_path / "part"))
    assert "has no files for the split 'validate'; it has train" in sentence
    assert list(here.iterdir()) == []


def test_runs_that_are_none_are_told(trained, crops, here, tmp_path):
    assert "gone is not a run folder" in refused(*words("gone", crops))
    (tmp_path / "empty").mkdir()
    assert "empty holds no weights.safetensors; wanted a run folder" in refused(*words(tmp_path / "empty", crops))
    shutil.copytree(trained[0], tmp_path / "damaged")
    weights = tmp_path / "damaged" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7])
    assert "is not a readable safetensors file" in refused(*words(tmp_path / "damaged", crops))
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(("name", "value"), [("channels", 3), ("classes", 4)])
def test_a_model_of_other_data_is_told(crops, here, tmp_path, name, value):
    config = make_config("unet", {"width": 2, "levels": 1, name: value})
    (tmp_path / "run").mkdir()
    save_weights(tmp_path / "run" / "weights.safetensors", build("unet", config, rng_for(0, "weights")))
    assert f"the network has {value} {name} and lidc-crops/validate" in refused(*words(tmp_path / "run", crops))
    assert list(here.iterdir()) == []


def test_a_case_whose_id_leads_elsewhere_is_refused(trained, crops, here, monkeypatch):
    store = catalog.load("lidc-crops", "test", root=crops)
    wild = replace(store, cases=("../outside", *store.cases[1:]))
    monkeypatch.setattr(catalog, "load", lambda *_, **__: wild)
    assert "case '../outside' of lidc-crops/test cannot name a file" in refused(*words(trained[0], crops, split="test"))
    assert list(here.iterdir()) == []
