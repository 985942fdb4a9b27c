"""Comparisons: trained, gone on with, scored and put in a table."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import labutils
from labutils.core.checks import ConfigError, DataError, InputError
from labutils.core.files import write_json
from labutils.core.runtime import rng_for
from labutils.data.fused import WAYS
from labutils.evaluation import compare
from labutils.evaluation.compare import (
    Plan,
    describe_training,
    fusion_rows,
    learned_from,
    make_comparison,
    run_one,
    settled_on,
)
from labutils.evaluation.contenders import Contender
from labutils.evaluation.draws import from_model
from labutils.evaluation.evaluate import evaluate, leave_one_rater_out
from labutils.evaluation.health import latent_health
from labutils.evaluation.passport import check_passport
from labutils.metrics.disagreement import rater_diversity
from labutils.models.registry import build
from labutils.models.samplers import rules_for
from labutils.training.fit import Callback
from labutils.training.settings import FitConfig
from labutils.training.trained import load_trained
from tests.discs import disc_store

UNET = Contender(name="U-Net", model="unet", settings={"target": "soft"})
FUSED = Contender(name="fused", model="unet", labels="staple-pooled")
GLOBAL = Contender(name="global", model="global-cm")
STOCHASTIC = Contender(name="stochastic", model="stochastic-cm")
ALSO = ("ged2_published", "dice_first")
ORIGINAL = Contender(name="original", model="original-cm", also=ALSO)
REPAIRED = Contender(name="repaired", model="original-cm", settings={"mixed": "probabilities"}, also=ALSO)


def store(split, *, identified=True, truth=True, classes=2, cases=8):
    """Discs whose first rater is the truth; with three classes, the upper half of each disc is class 2."""
    discs = disc_store(cases, split=split)
    card = replace(discs.card, identified=identified, classes=classes)
    upper = (np.arange(16) < 8)[:, None] if classes == 3 else np.zeros((16, 1), bool)
    masks, known = (labels + (labels > 0) * upper for labels in (discs.masks, discs.truth))
    return replace(discs, card=card, masks=masks.astype(np.uint8), truth=known.astype(np.uint8) if truth else None)


def plan_of(seeds=(0,), epochs=1, **changes):
    return Plan(
        train=store("train", **changes),
        test=store("test", **changes),
        shared={"width": 2, "levels": 2, "warm_up": 1},
        fit=FitConfig(epochs=epochs, batch_size=4, checkpoint_steps=1),
        seeds=seeds,
        samples=3,
        resamples=20,
    )


def compared(plan, contenders, folder):
    folders = {(c.name, seed): folder / f"{c.folder}-{seed}" for c in contenders for seed in plan.seeds}
    for contender in contenders:
        for seed in plan.seeds:
            run_one(plan, contender, seed, folders[contender.name, seed])
    return make_comparison(plan, contenders, folders)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A plan, the folder of its trainings, and the table."""
    plan, folder = plan_of(seeds=(0, 1)), tmp_path_factory.mktemp("compared")
    return plan, folder, compared(plan, [UNET, FUSED, GLOBAL, STOCHASTIC], folder)


def test_the_table_has_every_seed_of_every_row_and_the_first_is_what_others_are_compared_with(trained):
    _, _, table = trained
    assert [row["name"] for row in table["image_only"]] == ["U-Net", "fused", "global", "stochastic"]
    assert table["compared_with"] == "U-Net"
    first, *others = table["image_only"]
    assert all("minus_first" not in seed for seed in first["seeds"])
    for row in others:
        means = [seed["score"]["mean"] for seed in row["seeds"]]
        assert (row["worst"], row["best"]) == (min(means), max(means))
        assert row["median"] == pytest.approx(np.mean(means), abs=1e-6)
        for seed, base in zip(row["seeds"], first["seeds"], strict=True):
            gap = seed["score"]["mean"] - base["score"]["mean"]
            assert seed["minus_first"]["mean"] == pytest.approx(gap, abs=2e-6)
    hashes = [seed["weights_sha256"] for row in table["image_only"] for seed in row["seeds"]]
    assert len(set(hashes)) == len(hashes)


def test_a_row_s_scores_are_those_of_the_weights_in_its_folder(trained):
    """Of the clean head, by hand; and of each rater, where the first rater is the truth."""
    plan, folder, table = trained
    seed = table["image_only"][2]["seeds"][1]
    network = load_trained(folder / "global-1")
    batch = plan.test.batch(range(len(plan.test)))
    with torch.no_grad():
        found = network.clean(batch.image).argmax(dim=1) > 0
    for wanted, told in ((batch.truth, seed["score"]["mean"]), (batch.masks[:, 1], seed["raters"][1])):
        inside = (found & (wanted > 0)).sum(dim=(1, 2))
        by_hand = 2 * inside / (found.sum(dim=(1, 2)) + (wanted > 0).sum(dim=(1, 2)))
        assert told == pytest.approx(by_hand.double().mean().item(), abs=1e-6)
    assert seed["raters"][0] == pytest.approx(seed["score"]["mean"], abs=2e-6)
    assert seed["settled_on"] != 0


def test_a_row_can_be_scored_by_what_was_published_too(tmp_path):
    """The wrong sign by hand: the right score, and twice the spread of samples and raters; and what rows differ by."""
    plan = plan_of()
    rows = compared(plan, [ORIGINAL, REPAIRED], tmp_path)["image_only"]
    first, second = (row["seeds"][0] for row in rows)
    raters = torch.from_numpy(plan.test.masks > 0)
    for row, told in zip(rows, (first, second), strict=True):
        spread = told["spread"]
        assert set(spread) == {"sampler", "ged2_v", "diversity", *ALSO}
        both = spread["diversity"]["mean"] + rater_diversity(raters).mean().item()
        assert spread["ged2_published"]["mean"] == pytest.approx(spread["ged2_v"]["mean"] + 2 * both, abs=1e-5)
        assert spread["dice_first"]["low"] <= spread["dice_first"]["mean"] <= spread["dice_first"]["high"]
        assert spread["dice_first"]["mean"] != told["score"]["mean"]
        health = latent_health(labutils.load(tmp_path / f"{row['name']}-0"), plan.test, samples=2)
        assert told["nats"] == pytest.approx(health.nats, rel=1e-5, abs=1e-6)
    assert "spread_minus_first" not in first
    for metric, gap in second["spread_minus_first"].items():
        assert gap["mean"] == pytest.approx(
            second["spread"][metric]["mean"] - first["spread"][metric]["mean"], abs=2e-6
        )
        assert gap["low"] <= gap["mean"] <= gap["high"]
    assert set(second["spread_minus_first"]) == {"ged2_v", "diversity", *ALSO}


def test_a_network_that_draws_answers_is_scored_by_their_mean_and_by_their_spread(tmp_path):
    plan = plan_of()
    drawing = Contender(name="drawing", model="prob-unet", settings={"latent": 2})
    ((seed,),) = (row["seeds"] for row in compared(plan, [drawing], tmp_path)["image_only"])
    network = labutils.load(tmp_path / "drawing-0").eval()
    found = evaluate(
        from_model(network, torch.device("cpu")),
        plan.test,
        samples=3,
        seed=0,
        resamples=20,
        metrics=["dice_truth", "ged2_v"],
    )
    assert seed["score"]["mean"] == pytest.approx(found.values("dice_truth").mean(), abs=1e-6)
    assert seed["spread"]["sampler"] == "model"
    assert seed["spread"]["ged2_v"]["mean"] == pytest.approx(found.values("ged2_v").mean(), abs=1e-5)
    assert seed["nats"] > 0
    assert rules_for(network) == ("model",)


def test_scores_of_the_truth_are_left_out_where_none_is_known(tmp_path):
    plan = plan_of(identified=False, truth=False)
    table = compared(plan, [ORIGINAL], tmp_path)
    assert set(table["image_only"][0]["seeds"][0]["spread"]) == {"sampler", "ged2_v", "diversity", "ged2_published"}
    assert "ged-published-sign-v/1" in table["image_only"][0]["passport"]["definitions"]


def test_a_training_is_described_by_other_scores_only_where_it_has_them(tmp_path):
    """So that folders of trainings made before there were any are still those of their rows."""
    plan = plan_of()
    told = describe_training(plan, STOCHASTIC, 0)
    assert set(told) == {"model", "settings", "fit", "labels", "scoring", "data"}
    assert told["scoring"] == {"samples": 3, "resamples": 20}
    assert "size_px" not in told["settings"]
    told = describe_training(plan, ORIGINAL, 0)
    assert told["scoring"] == {"samples": 3, "resamples": 20, "also": list(ALSO)}
    assert told["settings"]["size_px"] == [16, 16]


def test_passports_say_what_was_learned_from_and_scored(trained):
    plan, _, table = trained
    for row in table["image_only"]:
        check_passport(row["passport"], row["name"])
        assert row["passport"]["weights_sha256"] == row["seeds"][0]["weights_sha256"]
        assert row["passport"]["data"][1]["manifest"] == plan.test.manifest
        assert (row["passport"]["data"][0]["manifest"] == plan.train.manifest) == (row["name"] != "fused")
        assert ("ged-squared-v/1" in row["passport"]["definitions"]) == ("spread" in row["seeds"][0])
    assert table["image_only"][1]["passport"]["config"]["labels"] == "staple-pooled"
    assert table["image_only"][1]["passport"]["config"]["fit"]["keep"] == "last"


def test_a_finished_training_is_left_alone_and_the_table_is_small(trained):
    plan, folder, table = trained
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert compared(plan, [UNET, FUSED, GLOBAL, STOCHASTIC], folder) == table
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert len(json.dumps(table)) < 30_000  # bytes; the scores by case stay in the folders


class Stop(Callback):
    def on_step(self, epoch, step, loss):
        if (epoch, step) == (2, 2):
            raise KeyboardInterrupt


@pytest.mark.parametrize("contender", [FUSED, GLOBAL, STOCHASTIC, ORIGINAL], ids=lambda contender: contender.name)
@pytest.mark.parametrize("when", ["training", "scoring"])
def test_a_killed_training_ends_with_the_same_bits(contender, when, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    plan = plan_of(epochs=3)
    whole = compared(plan, [contender], tmp_path / "whole")
    folder = tmp_path / "killed" / f"{contender.folder}-0"
    with monkeypatch.context() as patch:
        if when == "scoring":
            patch.setattr(compare, "_scores", stop)
        with pytest.raises(KeyboardInterrupt):
            run_one(plan, contender, 0, folder, [Stop()] if when == "training" else [])
    assert (folder / "checkpoint.safetensors").exists()
    assert not (folder / "scores.json").exists()
    again = compared(plan, [contender], tmp_path / "killed")
    for table in (whole, again):
        del table["image_only"][0]["seeds"][0]["seconds"]
    assert again == whole


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"fit": FitConfig(epochs=2, batch_size=4, checkpoint_steps=1)}, "fit.epochs = 1, not 2"),
        ({"shared": {"width": 4, "levels": 2}}, "settings.width = 2, not 4"),
        ({"samples": 4}, "scoring.samples = 3, not 4"),
        ({"train": store("train", cases=4)}, "data.split 0"),
        ({"test": store("test", cases=4)}, "data.split 1"),
    ],
)
def test_another_comparison_in_the_same_folder_is_refused(trained, change, says):
    plan, folder, _ = trained
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    with pytest.raises(ConfigError, match=f"u-net-0 holds a run with {says}"):
        run_one(replace(plan, **change), UNET, 0, folder / "u-net-0")
    with pytest.raises(ConfigError, match="labels = 'raters', not 'staple-pooled'"):
        run_one(plan, replace(UNET, labels="staple-pooled"), 0, folder / "u-net-0")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_without_a_truth_rows_are_scored_by_consensus_and_by_what_they_draw(tmp_path):
    plan = plan_of(identified=False, truth=False)
    table = compared(plan, [UNET, STOCHASTIC], tmp_path)
    assert table["score"]["name"] == "dice_left_out"
    assert table["raters_among_themselves"]["mean"] == pytest.approx(leave_one_rater_out(plan.test).mean(), abs=1e-6)
    assert table["with_masks"] == []
    unet, stochastic = (row["seeds"][0] for row in table["image_only"])
    assert unet["spread"]["sampler"] == "random-threshold"
    assert stochastic["spread"]["sampler"] == "model"
    assert unet["spread"]["diversity"]["mean"] > 0  # answers differ, though the network draws no raters
    assert "raters" not in unet
    assert table["image_only"][1]["passport"]["config"]["settings"]["raters"] == 0


def test_several_classes_are_averaged_alike_for_truth_and_raters(tmp_path):
    table = compared(plan_of(classes=3), [UNET, GLOBAL, STOCHASTIC], tmp_path)
    for row in table["image_only"]:
        assert row["passport"]["config"]["settings"]["classes"] == 3
        seed = row["seeds"][0]
        assert seed["raters"][0] == pytest.approx(seed["score"]["mean"], abs=2e-6)  # the first rater is the truth
    assert [row["name"] for row in table["with_masks"]] == [way for way in WAYS if way != "staple-disputed"]


def test_raters_are_scored_where_they_are_present():
    plan = plan_of()
    present = plan.test.present.copy()
    present[2:, 1], present[:, 2] = False, False
    masks = plan.test.masks * present[:, :, None, None]
    few = replace(plan, test=replace(plan.test, masks=masks.astype(np.uint8), present=present))
    network = build("unet", UNET.config(plan.shared, plan.train), rng_for(0, "weights")).eval()
    alone = replace(plan, test=plan.test.subset([0, 1]))
    told, whole, wanted = (compare._dice_with_raters(p, network, "model", 1) for p in (few, plan, alone))
    assert told[0] == whole[0]
    assert told[1] == pytest.approx(wanted[1])
    assert np.isnan(told[2])


def test_fusion_rows_by_hand_and_with_their_prior():
    """The first rater is the truth and is outvoted at the rim."""
    plan = plan_of()
    rows = {row["name"]: row for row in fusion_rows(plan)}
    assert tuple(rows) == WAYS
    votes = plan.test.masks.sum(axis=1) >= 2
    truth = plan.test.truth > 0
    by_hand = 2 * (votes & truth).sum(axis=(1, 2)) / (votes.sum(axis=(1, 2)) + truth.sum(axis=(1, 2)))
    assert rows["majority"]["score"]["mean"] == pytest.approx(by_hand.mean())
    assert rows["majority"]["prior"] == rows["consensus"]["prior"] == ""
    assert rows["staple"]["prior"] == "mean vote of the case, fixed"
    assert rows["dawid-skene"]["prior"].startswith("learned")


def test_one_patient_has_no_interval_and_the_table_can_be_written(tmp_path):
    plan = plan_of()
    plan = replace(plan, test=replace(plan.test, patients=("one",) * len(plan.test)))
    table = compared(plan, [UNET], tmp_path)
    assert table["image_only"][0]["seeds"][0]["score"]["low"] is None
    assert table["with_masks"][0]["score"]["low"] is None
    write_json(tmp_path / "table.json", table)


def test_labels_are_fused_once_for_all_seeds():
    train = store("train")
    assert learned_from(train, "raters") is train
    assert learned_from(train, "staple") is learned_from(train, "staple")
    assert learned_from(train, "staple").masks.shape[1] == 1


@pytest.mark.parametrize(
    ("truth", "raters", "settled"),
    [(0.8, [0.7, 0.9], 1), (0.8, [0.8, 0.5], None), (0.8, [0.8005, 0.5], None), (0.8, [None, 0.81], 1)],
)
def test_an_answer_settled_on_the_rater_who_is_nearer_than_the_truth(truth, raters, settled):
    assert settled_on(truth, raters) == settled


def test_plans_without_seeds_or_masks_and_tables_without_rows_are_refused(tmp_path):
    plan = plan_of()
    with pytest.raises(InputError, match="there is no seed"):
        replace(plan, seeds=())
    bare = replace(plan.test, masks=plan.test.masks * 0, present=np.zeros_like(plan.test.present))
    with pytest.raises(InputError, match="discs/test has no masks to score against"):
        replace(plan, test=bare)
    with pytest.raises(InputError, match="discs/train has no masks to learn from"):
        replace(plan, train=replace(bare, split="train"))
    lone = np.zeros_like(plan.test.present)
    lone[:, 0] = True
    with pytest.raises(InputError, match="discs/test has no truth and one rater a case; wanted a second one"):
        replace(plan, test=replace(plan.test, truth=None, present=lone))
    with pytest.raises(InputError, match="there is no contender"):
        make_comparison(plan, [], {})
    with pytest.raises(DataError, match=r"scores\.json cannot be read"):
        make_comparison(plan, [UNET], {("U-Net", 0): tmp_path})


@pytest.mark.parametrize("damaged", [{}, [], {"values": [0.5], "passport": {}}, {"values": None, "passport": {}}])
def test_scores_that_do_not_fit_the_cases_are_refused_by_name(tmp_path, damaged):
    plan = plan_of()
    write_json(tmp_path / "scores.json", damaged)
    with pytest.raises(DataError, match=r"scores\.json is damaged: wanted one for each of \d+ cases"):
        make_comparison(plan, [UNET], {("U-Net", 0): tmp_path})
