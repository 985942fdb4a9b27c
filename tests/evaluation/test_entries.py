"""Networks of a leaderboard: trained once on each fold, and asked only for the patients they never saw."""

from dataclasses import replace

import pytest
import torch

from labutils.core.checks import ConfigError, WeightsError
from labutils.core.files import read_json
from labutils.core.runtime import rng_for
from labutils.data.folds import by_patient, by_split
from labutils.evaluation.contenders import ENTRANTS, Contender, Entrant
from labutils.evaluation.draws import from_model, from_sampler, mean_training_mask
from labutils.evaluation.entries import entrant_rows, reference_rows, train_once, trained, trainings
from labutils.evaluation.leaderboard import Scoring, score_row
from labutils.models.samplers import Ensemble
from labutils.training.settings import FitConfig
from labutils.training.trained import load_trained
from tests.discs import disc_store

CPU, FIT = torch.device("cpu"), FitConfig(epochs=1, batch_size=4)
TWO = Entrant(
    contender=Contender(name="U-Net", model="unet", settings={"width": 2, "levels": 1}),
    rules=("model", "random-threshold"),
    members=2,
)
DIVISION = by_split(disc_store(4), disc_store(3, split="validate"))
FOLDS = by_patient([disc_store(6)], 3)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trainings")
    for training in trainings([TWO], DIVISION, {}, FIT):
        train_once(training, folder, CPU)
    return folder


def test_members_differ_by_their_seed_alone(out):
    (first, _), (second, _) = (trained(training, out) for training in trainings([TWO], DIVISION, {}, FIT))
    assert first.config == second.config
    assert not torch.equal(next(first.parameters()), next(second.parameters()))


def test_every_rule_is_a_row_and_all_members_are_one_more(out):
    done, scoring = trainings([TWO], DIVISION, {}, FIT), Scoring(4, resamples=10, metrics=["ged2_v"])
    rows = {row.name: row for row in entrant_rows(TWO, done, DIVISION, out, scoring, CPU)}
    assert list(rows) == ["U-Net", "U-Net, random threshold", "U-Net, ensemble of 2"]
    scored = score_row(rows["U-Net, ensemble of 2"], DIVISION.store, scoring)
    assert len(scored["values"]["ged2_v"]) == 3
    assert scored["parameters"] == 2 * rows["U-Net"].parameters


@pytest.fixture(scope="module")
def of_folds(tmp_path_factory):
    """Trainings on each fold: their list, their folder, and by seed and cases learned from the networks found there."""
    folder, wanted = tmp_path_factory.mktemp("folds"), trainings([TWO], FOLDS, {}, FIT)
    for training in wanted:
        train_once(training, folder, CPU)
    networks = {}
    for run in folder.iterdir():
        passport = read_json(run / "passport.json")
        (learned,) = passport["data"]
        networks[passport["seed"], learned["manifest"]] = load_trained(run)
    assert len(networks) == TWO.members * len(FOLDS.folds)
    return wanted, folder, networks


@pytest.mark.parametrize("name", ["U-Net", "U-Net, random threshold", "U-Net, ensemble of 2"])
def test_each_fold_s_patients_are_answered_by_the_networks_that_learned_without_them(of_folds, name):
    """The network is looked up by what its own passport says that it learned from."""
    done, out, networks = of_folds
    row = next(row for row in entrant_rows(TWO, done, FOLDS, out, Scoring(2), CPU) if row.name == name)

    def draw_of(manifest):
        first, second = (networks[seed, manifest] for seed in range(2))
        if "ensemble" in name:
            return from_sampler(Ensemble([first, second]), CPU)
        return from_model(first, CPU, "random-threshold" if "threshold" in name else "model")

    for fold, draw in zip(FOLDS.folds, row.draw, strict=True):
        held = FOLDS.store.batch(fold.held)
        assert not {FOLDS.store.patients[case] for case in fold.held} & set(fold.train.patients)
        given = draw(held, 64, rng_for(0, "answers"))
        others = [draw_of(other.train.manifest)(held, 64, rng_for(0, "answers")) for other in FOLDS.folds]
        assert [torch.equal(given, other) for other in others] == [other is fold for other in FOLDS.folds]


def test_references_have_a_draw_for_each_fold():
    rows = list(reference_rows(DIVISION, Scoring(2)))
    assert [row.name for row in rows] == ["blank", "mean training mask", "Otsu", "rater majority", "oracle sampler"]
    assert all(len(row.draw) == 1 for row in rows)


def test_the_mean_mask_of_each_fold_is_that_of_the_cases_it_learns_from():
    row = next(row for row in reference_rows(FOLDS, Scoring(2)) if row.name == "mean training mask")
    for fold, draw in zip(FOLDS.folds, row.draw, strict=True):
        held = FOLDS.store.batch(fold.held)
        others = [mean_training_mask(other.train, 2)(held, 1, rng_for(0, "none")) for other in FOLDS.folds]
        given = draw(held, 1, rng_for(0, "none"))
        assert [torch.equal(given, other) for other in others] == [other is fold for other in FOLDS.folds]


def test_other_settings_are_refused_and_other_weights_too(out, tmp_path):
    training = trainings([TWO], DIVISION, {}, FIT)[0]
    with pytest.raises(ConfigError, match="epochs"):
        train_once(replace(training, fit=replace(FIT, epochs=2)), out, CPU)
    one, two = (out / t.folder for t in trainings([TWO], DIVISION, {}, FIT))
    copy = tmp_path / one.name
    copy.mkdir()
    for name in ("run.json", "passport.json"):
        (copy / name).write_bytes((one / name).read_bytes())
    (copy / "weights.safetensors").write_bytes((two / "weights.safetensors").read_bytes())
    with pytest.raises(WeightsError, match="holds other weights than"):
        trained(training, tmp_path)


@pytest.mark.parametrize("entrants", ENTRANTS.values(), ids=ENTRANTS)
def test_no_two_rows_of_a_leaderboard_have_one_name(entrants):
    rows = [
        name for one in entrants for name in (*map(one.row, one.rules), *([one.ensemble] if one.members > 1 else []))
    ]
    assert len(set(rows)) == len(rows)


@pytest.mark.parametrize("entrants", ENTRANTS.values(), ids=ENTRANTS)
def test_every_network_of_a_leaderboard_can_be_built_for_crops_of_64(entrants):
    store = disc_store(2, size=64)
    assert [one.contender.config({}, store).classes for one in entrants] == [2] * len(entrants)
