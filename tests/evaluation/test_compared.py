"""Comparisons as they are recorded and printed; the trainings behind them are tested with the command."""

import copy
import statistics
from pathlib import Path

import pytest
import torch

from labutils.core.checks import DataError
from labutils.core.files import write_json
from labutils.data.planted_sets import SETTINGS
from labutils.evaluation import compared
from labutils.evaluation.compare import settled_on
from labutils.evaluation.passport import make_passport


def interval(mean, low, high):
    return {"mean": mean, "low": low, "high": high}


def seed(mean, gap=None, settled=None):
    told = {"score": interval(mean, mean - 0.01, mean + 0.01), "settled_on": settled}
    return told | ({} if gap is None else {"minus_first": interval(*gap)})


def row(name, *seeds):
    passport = make_passport(
        config={}, data=[], seed=0, device=torch.device("cpu"), definitions=[], weights_sha256=None
    )
    means = sorted(one["score"]["mean"] for one in seeds)
    return {
        "name": name,
        "median": means[len(means) // 2],
        "worst": means[0],
        "seeds": list(seeds),
        "passport": passport,
    }


TABLE = {
    "score": {"name": "dice_truth"},
    "compared_with": "U-Net",
    "image_only": [
        row("U-Net", seed(0.8), seed(0.81), seed(0.79)),
        row(
            "matrices", seed(0.9, (0.1, 0.05, 0.15)), seed(0.74, (-0.07, -0.1, -0.04), 1), seed(0.8, (0.01, -0.1, 0.1))
        ),
    ],
    "with_masks": [{"name": "staple", "score": interval(0.84, 0.83, 0.85)}],
}


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A folder that takes the place of the recorded results."""
    monkeypatch.setattr(compared, "recorded_file", lambda name: tmp_path / f"{name}.json")
    return tmp_path


def test_a_recorded_comparison_is_read_as_written(results):
    write_json(results / "digits.json", TABLE)
    assert compared.recorded("digits") == TABLE


@pytest.mark.parametrize("broken", ["absent", "another table", "no passport"])
def test_what_is_no_whole_comparison_is_refused(results, broken):
    table = copy.deepcopy(TABLE)
    if broken == "another table":
        del table["compared_with"]
    if broken == "no passport":
        del table["image_only"][1]["passport"]
    if broken != "absent":
        write_json(results / "digits.json", table)
    with pytest.raises(DataError, match=r"digits\.json"):
        compared.recorded("digits")


def test_the_image_only_part_stars_lost_seeds_and_counts_sure_differences():
    lines = compared.image_only_markdown(TABLE).splitlines()
    assert lines[2] == "| U-Net | 0.800 | 0.790 | 0.800 0.810 0.790 |  |  |"
    assert lines[3] == r"| matrices | 0.800 | 0.740 | 0.900 0.740\* 0.800 | 1 | 1 |"


def test_the_other_part_has_an_interval_that_stays_on_its_line():
    assert compared.with_masks_markdown(TABLE).splitlines()[2] == "| staple | 0.840 [0.830,\N{NO-BREAK SPACE}0.850] |"


PLANT = {
    "image_only": [
        {"name": "U-Net", "seeds": [{}, {}]},
        {
            "name": "matrices",
            "seeds": [
                {"planted": {"matrices": {"mean": 0.01, "largest": 0.02}, "columns": [0.1, 0.3]}},
                {"planted": {"matrices": {"mean": 0.03, "largest": 0.04}, "columns": [0.0, 0.1]}},
            ],
        },
    ],
    "planted": {
        "best constant": {"mean": [0.5, 0.7], "median": [0.4, 0.2]},
        "pooled STAPLE": {"mean": 0.05, "largest": 0.06},
        "pooled Dawid-Skene": {"mean": 0.001, "largest": 0.002},
    },
}


def test_what_was_found_of_a_plant_stands_beside_what_it_is_compared_with():
    assert compared.planted_found(PLANT, "matrices") == {
        "matrices": "0.010/0.020 0.030/0.040",
        "pooled STAPLE": "0.050/0.060",
        "pooled Dawid-Skene": "0.001/0.002",
    }
    assert compared.planted_found(PLANT, "columns") == {
        "matrices": "0.200 0.050",
        "best constant for each rater": "0.300",
    }
    assert compared.planted_found(PLANT, "styles") == {}
    assert compared.planted_markdown(PLANT, "columns").splitlines()[2:] == [
        "| matrices | 0.200 0.050 |",
        "| best constant for each rater | 0.300 |",
    ]


def test_a_row_without_a_sampler_says_by_which_rule_it_draws():
    spreads = {
        name: {"ged2_v": interval(0.2, 0.1, 0.3), "sampler": by} for name, by in (("a", "model"), ("b", "threshold"))
    }
    rows = [{"name": name, "seeds": [{"spread": spread}]} for name, spread in spreads.items()]
    table = {"samples": 16, "image_only": [*rows, {"name": "c", "seeds": [{}]}]}
    assert compared.spread_found(table, "ged2_v") == {"a": "0.200", "b": "0.200  by threshold"}
    assert compared.spread_found(table, "diversity") == {}


def test_score_and_spread_are_those_of_the_seed_in_the_middle_and_sure_differences_are_counted():
    def spread(*numbers):
        return {"ged2_v": interval(*numbers), "sampler": "model"}

    first = [{"score": interval(x, x - 0.1, x + 0.1), "spread": spread(0.4, 0.3, 0.5)} for x in (0.5, 0.7, 0.6)]
    better = [
        one | {"minus_first": interval(*gap), "spread_minus_first": {"ged2_v": interval(*lower)}}
        for one, gap, lower in zip(
            first,
            [(0.1, 0.05, 0.2), (0.1, -0.1, 0.3), (0.2, 0.1, 0.3)],
            [(-0.1, -0.2, -0.05), (0.1, 0.05, 0.2), (0, -0.1, 0.1)],
            strict=True,
        )
    ]
    silent = [{"score": one["score"]} for one in first]
    rows = [{"name": n, "seeds": s} for n, s in (("first", first), ("better", better), ("silent", silent))]
    told = compared.with_spread_markdown({"score": {"name": "dice_truth"}, "image_only": rows}, ["ged2_v"])
    middle = "0.600 [0.500,\N{NO-BREAK SPACE}0.700]"
    assert told.splitlines()[2:] == [
        f"| first | {middle} |  | 0.400 [0.300,\N{NO-BREAK SPACE}0.500] |  |",
        f"| better | {middle} | 2, 0 | 0.400 [0.300,\N{NO-BREAK SPACE}0.500] | 1, 1 |",
        f"| silent | {middle} |  |  |  |",
    ]
    assert told.splitlines()[0] == "| row | Dice, truth | above, below | GED², V | above, below |"


def test_shares_of_planted_answers_are_medians_and_their_distances_those_of_every_seed():
    def seed(whole, other, distance, **nats):
        shares = {"half": 1 - whole - other, "whole": whole}
        styles = {"shares": shares, "other": other, "total_variation": distance}
        return {"planted": {"styles": styles}, **nats}

    three = [seed(0.6, 0.1, 0.1, nats=1.5), seed(0.7, 0.0, 0.01, nats=2), seed(0.9, 0.02, 0.2, nats=3)]
    rows = [
        {"name": "map", "seeds": [{}]},
        {"name": "latent", "seeds": three},
        {"name": "normal", "seeds": [seed(0.25, 0.25, 0.45)]},
    ]
    told = compared.styles_markdown({"image_only": rows}, {"whole": 0.7, "half": 0.3})
    assert told.splitlines() == [
        "| network | whole (0.7) | half (0.3) | none | total variation | nats |",
        "| :-- | --: | --: | --: | --: | --: |",
        "| latent | 0.70 | 0.30 | 0.02 | 0.100 0.010 0.200 | 1.5 2.0 3.0 |",
        "| normal | 0.25 | 0.50 | 0.25 | 0.450 |  |",
    ]


def test_nats_are_told_of_rows_with_a_vector():
    rows = [{"name": "plain", "seeds": [{}, {}]}, {"name": "latent", "seeds": [{"nats": 0.0}, {"nats": 1.5}]}]
    assert compared.nats_found({"image_only": rows}) == {"latent": [0.0, 1.5]}


def test_recorded_vectors_of_the_published_network_are_silent_and_ours_is_not():
    *published, ours = compared.nats_found(compared.recorded("digits-noisy/faults")).values()
    assert len(published) == 9
    assert max(max(seeds) for seeds in published) < 1e-4
    assert min(ours) > 0.5


RESULTS = Path(__file__).parents[2] / "results"
NAMES = ("compare", "faults", "published-loss", "modes")
RECORDED = sorted(path for name in NAMES for path in RESULTS.rglob(f"{name}.json"))


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_recorded_comparisons_agree_with_themselves(path):
    """Medians and extremes are those of the seeds, each seed is judged by its own numbers, and seeds differ."""
    table = compared.recorded(f"{path.parent.name}/{path.stem}")
    assert table["compared_with"] == table["image_only"][0]["name"]
    for entry in table["image_only"]:
        means = [one["score"]["mean"] for one in entry["seeds"]]
        assert (entry["median"], entry["worst"], entry["best"]) == (statistics.median(means), min(means), max(means))
        assert (
            len({one["weights_sha256"] for one in entry["seeds"]}) == len(means) == (3 if path.stem == "modes" else 5)
        )
        assert entry["passport"]["weights_sha256"] == entry["seeds"][0]["weights_sha256"]
        for one in entry["seeds"]:
            judged = settled_on(one["score"]["mean"], one["raters"]) if "raters" in one else None  # exchangeable: no
            assert one.get("settled_on") == judged
            first = table["image_only"][0]["seeds"][one["seed"]]["score"]["mean"]
            gap = one.get("minus_first", {"mean": 0.0})["mean"]
            assert gap == pytest.approx(one["score"]["mean"] - first, abs=3e-6)


def of_every_seed(name, row, what):
    """What a recorded row found of what was planted."""
    table = compared.recorded(f"{name}/compare")
    (seeds,) = (entry["seeds"] for entry in table["image_only"] if entry["name"] == row)
    return table, seeds, [one["planted"][what] for one in seeds]


@pytest.mark.parametrize("name", ["planted-global", "planted-global-one"])
def test_recorded_single_matrices_are_near_the_planted_ones_in_every_seed(name):
    _, seeds, found = of_every_seed(name, "global matrices", "matrices")
    assert max(one["mean"] for one in found) < 0.03
    assert max(one["largest"] for one in found) < 0.05
    assert min(one["score"]["mean"] for one in seeds) > 0.96


def test_recorded_matrices_of_pixels_are_nearer_at_the_rim_than_the_best_constant_in_every_seed():
    table, seeds, found = of_every_seed("planted-pixel", "pixel matrices", "columns")
    constant = statistics.mean(table["planted"]["best constant"]["median"])
    assert max(statistics.mean(one) for one in found) < constant
    assert min(one["score"]["mean"] for one in seeds) > 0.95


def test_recorded_drawn_raters_come_in_the_planted_kinds_as_often_as_planted_in_every_seed():
    _, _, found = of_every_seed("planted-styles", "stochastic matrices", "styles")
    assert max(one["total_variation"] for one in found) < 0.1


NORMAL = "stochastic segmentation network"


def modes_of(name):
    """A recorded comparison of networks that draw: what was planted, and what each row drew in every training."""
    table, kinds = compared.recorded(f"{name}/modes"), SETTINGS[name].raters
    assert (table["samples"], table["data"][1]["cases"]) == (64, 200)
    planted = {style.name: share for style, share in zip(kinds.styles, kinds.frequencies, strict=True)}
    drawn = {row["name"]: [seed["planted"].get("styles") for seed in row["seeds"]] for row in table["image_only"][1:]}
    return table, planted, drawn


def kept(planted, found):
    """The smallest part of its share that an answer planted with .15 or more is drawn with."""
    return min(found["shares"][style] / share for style, share in planted.items() if share >= 0.15)


@pytest.mark.parametrize(("name", "most"), [("planted-two-modes", 0.1), ("planted-four-modes", 0.2)])
def test_recorded_latents_draw_the_planted_answers_about_as_often_as_planted_in_every_seed(name, most):
    table, planted, drawn = modes_of(name)
    assert len(compared.nats_found(table)) == 3
    for row, nats in compared.nats_found(table).items():
        assert min(nats) > 0.5, row
        assert max(found["total_variation"] for found in drawn[row]) < most, row
    for row in ("probabilistic U-Net, reduced", "hierarchical probabilistic U-Net, reduced"):
        assert min(kept(planted, found) for found in drawn[row]) > 0.5, row


def test_recorded_latents_lose_neither_of_two_answers_in_any_seed():
    table, planted, drawn = modes_of("planted-two-modes")
    for row in (*compared.nats_found(table), NORMAL):
        assert min(kept(planted, found) for found in drawn[row]) > 0.5, row


def test_recorded_normal_logits_share_two_answers_and_not_four():
    _, _, of_two = modes_of("planted-two-modes")
    assert max(found["total_variation"] for found in of_two[NORMAL]) < 0.1
    table, _, of_four = modes_of("planted-four-modes")
    lost = min(found["other"] for found in of_four[NORMAL])
    assert lost > 0.1
    assert all(lost > found["other"] for row in compared.nats_found(table) for found in of_four[row])


def test_recorded_matrices_settle_on_no_rater_where_one_is_good_and_always_on_one_where_none_is():
    for name, share in (("digits-noisy", 0), ("digits-exact", 0), ("digits-bad", 5)):
        rows = {row["name"]: row["seeds"] for row in compared.recorded(f"{name}/compare")["image_only"]}
        for row in ("global matrices", "pixel matrices"):
            assert sum(one["settled_on"] is not None for one in rows[row]) == share
    assert any("not identified" in note for note in compared.recorded("digits-bad/compare")["notes"])
