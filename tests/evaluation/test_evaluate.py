"""Scores of draws: references by hand, independence of other cases, memory, JSON."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from labutils.core.checks import InputError
from labutils.core.runtime import rng_for
from labutils.data.discs import CARD
from labutils.data.store import Store
from labutils.evaluation import draws
from labutils.evaluation.evaluate import as_json, evaluate, evaluate_parts, leave_one_rater_out, predictions
from labutils.evaluation.scores import METRICS, metrics_for
from labutils.metrics.overlap import dice
from tests.discs import disc_store
from tests.training.test_fit import make

STORE = disc_store(8, split="validate")


def test_every_metric_is_scored_with_its_definition():
    got = evaluate(draws.oracle_sampler(2), STORE, samples=4, resamples=50)
    assert set(got.summary) == set(metrics_for(STORE))
    table = as_json(got)
    assert set(table["definitions"]) == set(metrics_for(STORE))
    assert len({metric.id for metric in METRICS.values()}) == len(METRICS)
    assert json.loads(json.dumps(table, allow_nan=False)) == table


def test_published_faults_are_scored_only_where_they_are_asked_for():
    known, unknown = replace(STORE, truth=STORE.masks[:, 0].copy()), replace(STORE, truth=None)
    assert set(metrics_for(known, faults=True)) - set(metrics_for(known)) == {"ged2_published", "dice_first"}
    assert set(metrics_for(unknown, faults=True)) - set(metrics_for(unknown)) == {"ged2_published"}
    one = evaluate(draws.oracle_sampler(2), known, samples=1, metrics=["dice_first", "dice_truth"])
    assert one.values("dice_first").tolist() == one.values("dice_truth").tolist()
    many = evaluate(draws.oracle_sampler(2), known, samples=8, metrics=["dice_first", "dice_truth"])
    assert many.values("dice_first").tolist() != many.values("dice_truth").tolist()


def test_the_truth_is_scored_where_it_is_known():
    known, unknown = replace(STORE, truth=STORE.masks[:, 0].copy()), replace(STORE, truth=None)
    assert set(metrics_for(known)) - set(metrics_for(unknown)) == {"dice_truth"}
    first_rater = lambda batch, n, rng: draws._labels_to_probs(batch.masks[:, :1], 2).expand(-1, n, -1, -1, -1)  # noqa: E731
    assert evaluate(first_rater, known, samples=2, resamples=10).summary["dice_truth"].mean == 1
    with pytest.raises(InputError, match="no truth to score against"):
        evaluate(first_rater, unknown, samples=2, resamples=10, metrics=["dice_truth"])


def test_a_blank_answer_by_hand():
    """Three raters with a disc each: Dice 0, and GED = 2 * 1 - 0 - diversity of the raters."""
    got = evaluate(draws.blank(2), STORE, samples=3, metrics=["dice", "ged2_v", "rater_diversity", "diversity"])
    assert got.summary["dice"].mean == 0
    assert got.summary["diversity"].mean == 0
    assert got.values("ged2_v") == pytest.approx(2 - got.values("rater_diversity"))


def test_the_raters_majority_is_perfect_on_dice_and_not_on_ged():
    got = evaluate(draws.rater_majority(2), STORE, samples=3, metrics=["dice", "iou", "hd95", "ged2_v"])
    assert got.summary["dice"].mean == got.summary["iou"].mean == 1
    assert got.summary["hd95"].mean == 0
    assert got.summary["ged2_v"].mean > 0.05


def test_the_oracle_sampler_beats_the_majority_and_blank_is_worst():
    scores = {
        name: evaluate(draw, STORE, samples=16, metrics=["ged2_v"]).summary["ged2_v"].mean
        for name, draw in [
            ("perfect", draws.oracle_sampler(2)),
            ("majority", draws.rater_majority(2)),
            ("blank", draws.blank(2)),
        ]
    }
    assert scores["perfect"] < scores["majority"] < scores["blank"]


def test_the_oracle_sampler_scores_what_its_definition_gives():
    """Draws with replacement from R raters: V is the raters' diversity / S, U is the diversity's V less its U."""
    store = disc_store(60)
    got = evaluate(draws.oracle_sampler(2), store, samples=8, metrics=["ged2_v", "ged2_u", "rater_diversity"])
    diversity = got.values("rater_diversity")
    expected = {"ged2_v": diversity / 8, "ged2_u": diversity - diversity * 3 / 2}
    for metric, wanted in expected.items():
        gap = got.values(metric) - wanted
        assert abs(gap.mean()) < 3 * gap.std() / np.sqrt(len(gap)), metric


def test_one_sample_leaves_the_u_statistic_undefined():
    got = evaluate(draws.oracle_sampler(2), STORE, samples=1, metrics=["ged2_u", "ged2_v"])
    assert got.summary["ged2_u"].undefined == len(STORE)
    assert as_json(got)["rows"][0]["ged2_u"] is None
    assert got.summary["ged2_v"].undefined == 0


def test_otsu_finds_bright_discs_and_the_mean_mask_does_not_look():
    otsu = evaluate(draws.otsu(), STORE, samples=1, metrics=["dice"]).summary["dice"].mean
    mean = evaluate(draws.mean_training_mask(disc_store(), 2), STORE, samples=1, metrics=["dice"]).summary["dice"].mean
    assert otsu > 0.9
    assert mean < otsu


def test_the_mean_training_mask_is_the_best_cut_of_the_average():
    """No cut of the average, and not the blank answer, has a higher mean Dice on the training cases."""
    train = disc_store(9)
    answer = draws.mean_training_mask(train, 2)(STORE.batch([0, 1]), 3, rng_for(0))
    assert answer.shape == (2, 3, 2, 16, 16)
    mask = answer[0, 0, 1] == 1
    assert torch.equal(answer[1, 2, 1], answer[0, 0, 1])
    agreed = torch.from_numpy(2 * train.masks.sum(axis=1) >= 3)
    average = torch.from_numpy(train.masks.mean(axis=1)).mean(dim=0)

    def score(constant):
        return float(torch.stack([dice(constant[None], case[None])[0] for case in agreed]).mean())

    by_hand = max(score(average >= cut - 1e-9) for cut in draws.CUTS)
    assert score(mask) == pytest.approx(by_hand)
    assert score(mask) > score(torch.zeros_like(mask))


def test_a_case_scores_the_same_alone_and_in_company():
    draw = draws.from_model(make(), torch.device("cpu"), "random-threshold")
    metrics = ["ged2_v", "dice"]
    whole = evaluate(draw, STORE, samples=5, metrics=metrics)
    alone = evaluate(draw, STORE.subset([5]), samples=5, metrics=metrics)
    assert alone.rows[0] == whole.rows[5]


def test_a_model_sees_the_image_alone():
    draw = draws.from_model(make(), torch.device("cpu"))
    batch = STORE.batch([0])
    other = batch._replace(masks=1 - batch.masks, truth=None)
    assert torch.equal(draw(batch, 2, rng_for(0)), draw(other, 2, rng_for(0)))


def test_raters_leave_one_out_by_hand():
    masks = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 0], [1, 0, 0, 0]], dtype=torch.uint8)[:, None]
    case = STORE[0]
    changed = type(case)(
        image=np.zeros((1, 1, 4), np.float32), masks=masks.numpy(), present=np.ones(3, bool), patient="p", case="c"
    )
    store = Store.from_cases([changed], card=CARD, split="validate")
    # ties of two go to the foreground, so the others of each rater say 1110, 1100, 1110
    by_hand = [2 * 2 / (2 + 3), 2 * 2 / (3 + 2), 2 * 1 / (1 + 3)]
    assert leave_one_rater_out(store)[0] == pytest.approx(np.mean(by_hand))
    # a model that says 1100 meets the same three masks
    said = torch.tensor([1.0, 1.0, 0.0, 0.0]).view(1, 1, 1, 1, 4)
    scored = evaluate(lambda *_: torch.cat([1 - said, said], dim=2), store, samples=1, metrics=["dice_left_out"])
    assert scored.rows[0]["dice_left_out"] == pytest.approx(np.mean([2 * 2 / (2 + 3), 1, 2 * 2 / (2 + 3)]))


def test_a_single_rater_has_nobody_to_meet():
    store = disc_store(2, raters=1)
    assert np.isnan(leave_one_rater_out(store)).all()
    draw = draws.from_model(make(), torch.device("cpu"))
    assert np.isnan(evaluate(draw, store, samples=1, metrics=["dice_left_out"]).values("dice_left_out")).all()


def test_predictions_need_no_masks():
    draw = draws.from_model(make(), torch.device("cpu"), "random-threshold")
    mean, spread = predictions(draw, STORE, 0, samples=20)
    assert mean.shape == spread.shape == (2, 16, 16)
    assert torch.allclose(mean.sum(dim=0), torch.ones(()))
    assert torch.allclose(spread, (mean * (1 - mean)).sqrt(), atol=1e-5)  # one-hot samples are coin tosses


@pytest.mark.parametrize(
    ("changes", "words"), [({"samples": 0}, "samples is 0"), ({"samples": 1, "metrics": ["dise"]}, "unknown metric")]
)
def test_refusals(changes, words):
    with pytest.raises(InputError, match=words):
        evaluate(draws.blank(2), STORE, **changes)


CHILD = """
import resource, torch
from labutils.evaluation.evaluate import evaluate
from tests.discs import disc_store

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # kibibytes on Linux

def draw(batch, n, rng):
    p = torch.rand(1, n, 1, 128, 128, generator=rng)
    return torch.cat([1 - p, p], dim=2)

store = disc_store(2, size=128)
evaluate(draw, store, samples=2, resamples=10)
before = peak()
evaluate(draw, store, samples=100, resamples=10)
print((peak() - before) / 1e9)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss differs elsewhere")
def test_a_hundred_samples_add_less_than_a_gigabyte():
    """All metrics on cases of 128 by 128, peak memory of a whole process against scoring two samples."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, env=environment, check=True)
    assert float(done.stdout) < 1.0


def test_parts_have_draws_of_their_own_and_every_case_is_in_one():
    store = disc_store(4)
    whole = evaluate(draws.blank(2), store, samples=2, resamples=10, metrics=["dice", "ged2_v"])
    perfect = evaluate(draws.rater_majority(2), store, samples=2, resamples=10, metrics=["dice", "ged2_v"])
    both = evaluate_parts(
        [draws.blank(2), draws.rater_majority(2)],
        store,
        [(0, 3), (2, 1)],
        samples=2,
        resamples=10,
        metrics=["dice", "ged2_v"],
    )
    assert both.rows == [whole.rows[0], perfect.rows[1], perfect.rows[2], whole.rows[3]]
    for parts in ([(0, 1), (2,)], [(0, 1), (1, 2, 3)]):
        with pytest.raises(InputError, match="wanted each case in one part"):
            evaluate_parts([draws.blank(2)] * 2, store, parts, samples=2)
