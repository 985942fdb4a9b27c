"""Comparisons as they are recorded and printed; the trainings behind them are tested with the command."""

import copy
import statistics
from pathlib import Path

import pytest
import torch

from labutils.core.checks import DataError
from labutils.core.files import write_json
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


RECORDED = sorted((Path(__file__).parents[2] / "results").rglob("compare.json"))


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.parent.name)
def test_recorded_comparisons_agree_with_themselves(path):
    """Medians and extremes are those of the seeds, each seed is judged by its own numbers, and seeds differ."""
    table = compared.recorded(f"{path.parent.name}/compare")
    assert table["compared_with"] == table["image_only"][0]["name"]
    for entry in table["image_only"]:
        means = [one["score"]["mean"] for one in entry["seeds"]]
        assert (entry["median"], entry["worst"], entry["best"]) == (statistics.median(means), min(means), max(means))
        assert len({one["weights_sha256"] for one in entry["seeds"]}) == len(means) == 5
        assert entry["passport"]["weights_sha256"] == entry["seeds"][0]["weights_sha256"]
        for one in entry["seeds"]:
            assert one["settled_on"] == settled_on(one["score"]["mean"], one["raters"])
            first = table["image_only"][0]["seeds"][one["seed"]]["score"]["mean"]
            gap = one.get("minus_first", {"mean": 0.0})["mean"]
            assert gap == pytest.approx(one["score"]["mean"] - first, abs=3e-6)
