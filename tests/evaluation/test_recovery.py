"""What is recovered of a plant: exact for a network that knows it, and told beside what it must beat."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from labutils.core.runtime import rng_for
from labutils.data.planted_sets import planted
from labutils.evaluation.recovery import planted_in, recovered, references
from labutils.models.registry import build, make_config

CPU = torch.device("cpu")
CASES = 22  # more than one batch of scoring


class Knowing(nn.Module):
    """Says the planted matrices of the cases in turn, `off` of them mixed with even chances."""

    config = SimpleNamespace(per_rater=True)

    def __init__(self, plant, off=0.0, single=False):
        super().__init__()
        self.plant, self.off, self.single, self.next = plant, off, single, 0

    def forward(self, image):
        cases = range(self.next, self.next + len(image))
        self.next += len(image)
        matrices = torch.from_numpy(np.stack([self.plant.matrices(index) for index in cases]))
        mixed = (1 - self.off) * matrices + self.off / 2
        return SimpleNamespace(log_matrices=(mixed[:1, ..., :1, :1] if self.single else mixed).log())


class Styles(nn.Module):
    """Draws the planted styles with given frequencies, as probabilities."""

    stochastic = True
    config = SimpleNamespace(per_rater=False)

    def __init__(self, plant, frequencies):
        super().__init__()
        self.plant, self.frequencies, self.next = plant, torch.tensor(frequencies), 0

    def sample(self, image, n, rng):
        cases = range(self.next, self.next + len(image))
        self.next += len(image)
        which = torch.multinomial(self.frequencies.expand(len(image), -1), n, replacement=True, generator=rng)
        masks = torch.from_numpy(np.stack([self.plant.likeliest(index) for index in cases]))
        drawn = masks[torch.arange(len(image))[:, None], which]
        return torch.stack([1.0 - drawn, drawn.float()], dim=2)


@pytest.mark.parametrize("name", ["planted-global", "planted-global-one", "planted-pixel"])
def test_a_network_that_knows_the_matrices_errs_nowhere(name):
    plant = planted(name, "test", cases=CASES)
    found = recovered(Knowing(plant), plant.store, CPU, samples=1, seed=0)
    assert found["columns"] == pytest.approx([0.0] * 4, abs=1e-6)
    assert "matrices" not in found


def test_one_matrix_per_rater_is_scored_entry_by_entry():
    plant = planted("planted-global", "test", cases=CASES)
    found = recovered(Knowing(plant, off=0.1, single=True), plant.store, CPU, samples=1, seed=0)
    # each entry a moves to .9 a + .05: by .05 - .1 a, at most .05 - .1 * .02 = .048 for a = .02 or .98
    rates = np.array([0.95, 0.98, 0.8, 0.95, 0.7, 0.9, 0.9, 0.75])
    assert found["matrices"]["largest"] == pytest.approx(0.048, abs=1e-6)
    assert found["matrices"]["mean"] == pytest.approx(np.abs(0.05 - 0.1 * rates).mean(), abs=1e-6)


def test_columns_are_averaged_over_all_pixels_near_the_rim():
    plant = planted("planted-pixel", "test", cases=CASES)
    found = recovered(Knowing(plant, off=1.0), plant.store, CPU, samples=1, seed=0)
    best = references(plant.store, plant.store)["best constant"]
    assert all(b < a for a, b in zip(found["columns"][1:], best["mean"][1:], strict=True))
    assert all(b <= a + 1e-9 for a, b in zip(best["mean"], best["median"], strict=True))


@pytest.mark.parametrize(("frequencies", "expected"), [((0.5, 0.3, 0.2), 0.0), ((1.0, 0.0, 0.0), 0.5)])
def test_styles_are_counted(frequencies, expected):
    plant = planted("planted-styles", "test", cases=CASES)
    found = recovered(Styles(plant, frequencies), plant.store, CPU, samples=50, seed=0)["styles"]
    assert found["total_variation"] == pytest.approx(expected, abs=0.04)
    assert list(found["shares"]) == ["over", "good", "under"]
    assert found["other"] == 0


@pytest.mark.parametrize(("name", "low", "high"), [("planted-global", 0, 0.015), ("planted-global-one", 0.1, 0.3)])
def test_pooled_staple_finds_single_matrices_only_where_raters_share_cases(name, low, high):
    train, test = (planted(name, split, cases=CASES).store for split in ("train", "test"))
    assert low < references(train, test)["pooled STAPLE"]["mean"] < high


def test_pooled_dawid_skene_finds_single_matrices_and_is_left_out_where_there_is_nothing_to_compare():
    train, test = (planted("planted-global", split, cases=CASES).store for split in ("train", "test"))
    told = references(train, test)
    assert told["pooled Dawid-Skene"]["mean"] < 0.005 < told["pooled STAPLE"]["mean"]
    lone, test = (planted("planted-global-one", split, cases=CASES).store for split in ("train", "test"))
    assert set(references(lone, test)) == {"best constant", "pooled STAPLE"}


def test_nothing_is_told_where_nothing_is_known():
    plant = planted("planted-global", "test", cases=3)
    network = build("unet", make_config("unet", {"width": 2, "levels": 2}), rng_for(0, "weights"))
    assert recovered(network, plant.store, CPU, samples=1, seed=0) == {}
    other = planted("planted-global", "test", cases=3, seed=1).store
    named = replace(plant.store, card=replace(plant.store.card, name="mine"))
    assert planted_in(plant.store) is not None
    for store in (other, named):
        assert planted_in(store) is None
        assert references(store, store) == {}
    styles = planted("planted-styles", "test", cases=3).store
    assert references(styles, styles) == {}
    assert recovered(network, styles, CPU, samples=1, seed=0) == {}
