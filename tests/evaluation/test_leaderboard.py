"""Tables: the same cases for every row, differences on pairs, there and back through JSON."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from labutils.core.checks import DataError, InputError
from labutils.core.config import from_dict, to_dict
from labutils.data import catalog
from labutils.evaluation import draws, leaderboard
from labutils.evaluation.bootstrap import Interval
from labutils.evaluation.evaluate import evaluate, leave_one_rater_out
from labutils.evaluation.passport import describe_store, make_passport
from labutils.evaluation.scores import METRICS as KNOWN
from labutils.metrics.disagreement import rater_diversity
from labutils.training.settings import FitConfig
from tests.discs import disc_store

STORE = disc_store(8, split="validate")
METRICS = ["dice", "ged2_v", "ged2_u"]


def passport():
    return make_passport(
        config={},
        data=[describe_store(STORE)],
        seed=0,
        device=torch.device("cpu"),
        definitions=[],
        weights_sha256=None,
    )


def row(name, draw):
    return leaderboard.Row(name=name, kind="reference", draw=draw, passport=passport())


@pytest.fixture(scope="module")
def table():
    rows = [row("blank", draws.blank(2)), row("perfect", draws.oracle_sampler(2)), row("otsu", draws.otsu())]
    return leaderboard.make_table(rows, STORE, title="t", samples=4, resamples=200, metrics=METRICS)


def test_a_table_there_and_back(table, tmp_path):
    leaderboard.write_table(tmp_path / "t.json", table)
    assert leaderboard.read_table(tmp_path / "t.json") == json.loads(json.dumps(table))
    assert table["data"]["cases"] == len(STORE)
    assert table["data"]["manifest"] == STORE.manifest
    assert set(table["definitions"]) == set(METRICS)


def test_cells_and_differences_agree_with_the_scores_kept(table):
    perfect = np.array(table["values"]["perfect"]["ged2_v"])
    blank = np.array(table["values"]["blank"]["ged2_v"])
    assert leaderboard.interval_of(table, "perfect", "ged2_v").mean == pytest.approx(perfect.mean(), abs=1e-5)
    gap = leaderboard.difference(table, "perfect", "blank", "ged2_v")
    assert gap.mean == pytest.approx((perfect - blank).mean())
    assert gap.high < 0
    assert leaderboard.difference(table, "blank", "perfect", "ged2_v").mean == pytest.approx(-gap.mean)


def test_the_raters_own_agreement_stands_in_the_table(table):
    own = table["raters_among_themselves"]
    assert own["mean"] == pytest.approx(leave_one_rater_out(STORE).mean(), abs=1e-6)
    assert own["low"] <= own["mean"] <= own["high"]


def test_undefined_scores_are_null_and_come_back_as_nan():
    one = leaderboard.make_table(
        [row("blank", draws.blank(2))], STORE, title="t", samples=1, resamples=10, metrics=METRICS
    )
    assert one["values"]["blank"]["ged2_u"] == [None] * len(STORE)
    assert np.isnan(leaderboard.interval_of(one, "blank", "ged2_u").mean)
    json.dumps(one, allow_nan=False)
    assert leaderboard.as_markdown(one, ["ged2_u"]).endswith("| blank | undefined |")


def test_the_page_shows_mean_interval_and_direction(table):
    lines = leaderboard.as_markdown(table, ["dice", "ged2_v"]).splitlines()
    assert lines[0] == "| row | Dice ↑ | GED², V ↓ |"
    assert len(lines) == 2 + 3
    cell = leaderboard.interval_of(table, "otsu", "dice")
    assert f"{cell.mean:.3f} [{cell.low:.3f},\N{NO-BREAK SPACE}{cell.high:.3f}]" in lines[-1]


def test_a_cell_has_digits_and_signs_as_asked_for_and_stays_on_one_line():
    found = Interval(mean=0.25, low=-0.5, high=1.0, cases=3, patients=3, undefined=0, level=0.95)
    assert leaderboard.as_text(found, 2) == "0.25 [-0.50,\N{NO-BREAK SPACE}1.00]"
    assert leaderboard.as_text(found, sign="+") == "+0.250 [-0.500,\N{NO-BREAK SPACE}+1.000]"


def test_every_metric_has_a_label_of_its_own():
    assert len({metric.label for metric in KNOWN.values()}) == len(KNOWN)


def test_the_floor_is_what_a_perfect_sampler_averages():
    """Δ (1/S + 1/R) from the masks themselves: a silent rater is one of R, an absent one is not, one alone has no Δ."""
    store = disc_store(8, split="validate")
    store.masks[0, 0] = store.masks[1, 2] = store.masks[2, 1:] = 0
    store.present[1, 2] = store.present[2, 1] = store.present[2, 2] = False
    metrics = ["ged2_v", "ged2_u", "hungarian_iou"]
    table = leaderboard.make_table(
        [row("blank", draws.blank(2))], store, title="t", samples=4, resamples=50, metrics=metrics
    )
    batch = store.batch(range(len(store)))
    delta = rater_diversity(batch.masks.bool(), batch.present, estimator="U").numpy()
    expected = delta * (1 / 4 + 1 / batch.present.sum(dim=1).numpy())
    floor = leaderboard.floor(table)
    assert floor.mean == pytest.approx(np.nanmean(expected), abs=1e-5)
    assert floor.low < floor.mean < floor.high
    assert floor.undefined == 1
    assert 0 < floor.mean < leaderboard.interval_of(table, "blank", "ged2_v").mean
    with pytest.raises(DataError, match="keeps no 'ged2_v' by case for 'blank'"):
        leaderboard.floor({**table, "values": {}})


def test_two_rows_of_one_name_are_refused():
    rows = [row("a", draws.blank(2)), row("a", draws.otsu())]
    with pytest.raises(InputError, match="one name"):
        leaderboard.make_table(rows, STORE, title="t", samples=1)


def test_what_is_not_there_is_named(table):
    with pytest.raises(DataError, match="no 'hd95' of 'otsu'"):
        leaderboard.interval_of(table, "otsu", "hd95")
    with pytest.raises(DataError, match="keeps no 'dice' by case for 'unet'"):
        leaderboard.difference(table, "unet", "otsu", "dice")
    with pytest.raises(DataError, match="cannot be read"):
        leaderboard.recorded("no/such-table")


def test_a_table_without_passports_is_refused(table, tmp_path):
    bare = json.loads(json.dumps(table))
    del bare["rows"][1]["passport"]
    leaderboard.write_table(tmp_path / "t.json", bare)
    with pytest.raises(DataError, match="row 'perfect' carries no passport"):
        leaderboard.read_table(tmp_path / "t.json")
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(DataError, match="not a table of scores"):
        leaderboard.read_table(tmp_path / "x.json")


RECORDED = sorted((Path(__file__).parents[2] / "results").rglob("*.json"))
COMPARISONS = {"compare.json", "faults.json", "published-loss.json", "modes.json"}  # see test_compared.py
OTHER = {"published", "lidc-idri", *COMPARISONS}  # not tables of scores


@pytest.mark.parametrize("path", [p for p in RECORDED if OTHER.isdisjoint(p.parts)], ids=lambda p: p.stem)
def test_recorded_tables_agree_with_themselves(path):
    """Every mean of a recorded table is the mean of the scores it keeps, to the digits it keeps."""
    recorded = leaderboard.read_table(path)
    for entry in recorded["rows"]:
        assert entry["passport"]["data"], entry["name"]
        for metric, values in recorded["values"][entry["name"]].items():
            defined = [v for v in values if v is not None]
            assert len(values) == recorded["data"]["cases"]
            if defined:
                assert entry["summary"][metric]["mean"] == pytest.approx(np.mean(defined), abs=1e-5)


@pytest.mark.data
def test_the_recorded_references_come_out_again():
    """Rows that need no training, from the files themselves: the table's data, draws and metrics are today's."""
    recorded = leaderboard.recorded("lidc-crops/unet")
    store, train = (catalog.load("lidc-crops", split) for split in ("validate", "train"))
    assert recorded["data"]["manifest"] == store.manifest
    for name, draw in [
        ("mean training mask", draws.mean_training_mask(train, 2)),
        ("Otsu", draws.otsu()),
        ("oracle sampler", draws.oracle_sampler(2)),
    ]:
        found = evaluate(draw, store, samples=recorded["samples"], resamples=10, metrics=["dice", "ged2_v"])
        for metric in ("dice", "ged2_v"):
            assert recorded["values"][name][metric] == pytest.approx(found.values(metric), abs=1e-5), (name, metric)


@pytest.mark.parametrize("baseline", ["mean training mask", "Otsu"])
def test_the_recorded_unet_beats_what_has_learned_nothing(baseline):
    recorded = leaderboard.recorded("lidc-crops/unet")
    assert leaderboard.difference(recorded, "U-Net, soft", baseline, "dice").low > 0


@pytest.mark.parametrize("name", ["probabilistic U-Net", "hierarchical probabilistic U-Net", "PHiSeg"])
def test_recorded_latents_are_closer_to_the_raters_than_one_answer_over_patients_and_over_nodules(name):
    recorded = leaderboard.recorded("lidc-crops/drawing")
    assert leaderboard.interval_of(recorded, name, "ged2_v").mean <= 0.3
    for owners in (None, [case.rpartition("_slice_")[0] for case in recorded["cases"]]):
        assert leaderboard.difference(recorded, name, "U-Net", "ged2_v", groups=owners).high < 0


@pytest.mark.parametrize("metric", ["ged2_v", "ged2_u", "hungarian_iou", "dice_max", "diversity"])
def test_recorded_answers_of_a_hundred_are_of_the_same_networks_and_cases_as_those_of_sixteen(metric):
    few, many = (leaderboard.recorded(f"lidc-crops/{name}") for name in ("drawing", "drawing-100"))
    assert (few["samples"], many["samples"]) == (16, 100)
    assert few["cases"] == many["cases"]
    for one, other in zip(few["rows"], many["rows"], strict=True):
        hashes = {row["passport"]["weights_sha256"] for row in (one, other)}
        assert (one["name"], len(hashes)) == (other["name"], 1)
        assert metric in other["summary"]


@pytest.mark.parametrize("name", ["U-Net", "U-Net, random threshold"])
def test_the_recorded_rival_at_the_default_rate_differs_from_the_table_s_in_its_rate_and_warm_up_alone(name):
    tables = [leaderboard.recorded(f"lidc-crops/{table}") for table in ("drawing", "default-rate")]
    for field in ("cases", "data", "definitions", "samples", "seed"):
        assert tables[0][field] == tables[1][field]
    own, default = (next(row for row in table["rows"] if row["name"] == name)["passport"] for table in tables)
    assert own["config"]["settings"] == default["config"]["settings"]
    assert own["data"] == default["data"]
    fits = [to_dict(from_dict(FitConfig, passport["config"]["fit"], "fit")) for passport in (own, default)]
    assert {key for key in fits[0] if fits[0][key] != fits[1][key]} == {"lr", "warmup"}
    assert (fits[1]["lr"], fits[1]["warmup"]) == (FitConfig().lr, FitConfig().warmup)


def test_cases_are_told_apart_by_how_many_of_their_raters_drew(table):
    drew = (STORE.masks > 0).any(axis=(2, 3)).sum(axis=1)
    assert table["drew"] == drew.tolist()
    assert table["raters"] == STORE.present.sum(axis=1).tolist()
    some = {**table, "drew": [1, 1, 2, 2, 2, 2, 2, 2], "raters": [2, 2, 2, 2, 2, 3, 3, 3]}
    strata = leaderboard.by_drew(some, "blank", "ged2_v")
    values = np.array(table["values"]["blank"]["ged2_v"])
    assert {kind: found.cases for kind, found in strata.items()} == {(1, 2): 2, (2, 2): 3, (2, 3): 3}
    assert strata[1, 2].mean == pytest.approx(values[:2].mean())
    assert strata[2, 2].mean == pytest.approx(values[2:5].mean())


def test_rows_are_timed_in_turns_by_the_draw_of_the_first_case():
    drawn = []

    def draw(name, wait):
        def one(batch, n, rng):
            drawn.append(name)
            time.sleep(wait)
            return draws.blank(2)(batch, n, rng)

        return one

    rows = [
        row("fast", [draw("other", 0.5), draw("fast", 0.001)]),
        row("slow", [draw("other", 0.5), draw("slow", 0.01)]),
    ]
    took = leaderboard.draw_seconds(rows, STORE, leaderboard.Scoring(2, parts=[range(1, 8), [0]]))
    assert drawn == ["fast", "slow"] * leaderboard.TURNS
    assert 0.001 <= took["fast"] < 0.01 <= took["slow"]


def test_cases_of_one_group_are_drawn_together(table):
    alone = leaderboard.difference(table, "perfect", "blank", "ged2_v")
    together = leaderboard.difference(table, "perfect", "blank", "ged2_v", groups=["a"] * 4 + ["b"] * 4)
    assert alone.mean == pytest.approx(together.mean)
    assert together.patients == 2 < alone.patients


def test_an_older_table_does_not_say_who_drew(table):
    with pytest.raises(DataError, match="does not say how many raters drew"):
        leaderboard.by_drew({key: value for key, value in table.items() if key != "raters"}, "blank", "ged2_v")
