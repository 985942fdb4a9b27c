"""Kinds of raters, planted: does the distribution over confusion matrices find them, from any initial weights?"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from labutils.core.runtime import rng_for
from labutils.data.planted import plant
from labutils.data.planted_sets import SETTINGS
from labutils.data.planted_truths import ShapesConfig, wavy_shapes
from labutils.evaluation.health import latent_health
from labutils.metrics.styles import nearest_style, style_shares
from labutils.models.registry import build
from labutils.training.fit import fit
from labutils.training.settings import FitConfig
from labutils.training.suit import model_config

KINDS = (0.6, 0.4)  # too large, and true
NETWORK = {"width": 6, "levels": 2, "coder_width": 12, "latent": 2, "warm_up": 20, "ramp": 40}
FIT = FitConfig(epochs=9, batch_size=8, lr=8e-3, augment=False, keep="last")


def toy(split, cases):
    setting = SETTINGS["planted-styles"]
    truths = wavy_shapes(cases, ShapesConfig(size_px=16, radius_px=(4.5, 5.8)), seed=0, split=split)
    raters = replace(setting.raters, styles=setting.raters.styles[:2], frequencies=KINDS)
    return plant(truths, raters, card=setting.card, split=split, seed=0, noise=0.08)


TRAIN, TEST = toy("train", 96), toy("test", 12)


@pytest.mark.parametrize("start", range(3))
def test_no_start_collapses_and_kinds_are_drawn_as_often_as_planted(start):
    model = build("stochastic-cm", model_config("stochastic-cm", NETWORK, TRAIN.store), rng_for(start, "weights"))
    fit(model, TRAIN.store, None, FIT, device=torch.device("cpu"))
    assert not latent_health(model, TEST.store, samples=8).sentences()
    image = TEST.store.batch(range(len(TEST.store))).image
    kinds = torch.from_numpy(np.stack([TEST.likeliest(i) for i in range(len(TEST.store))])) > 0
    with torch.no_grad():
        drawn = model.eval().sample(image, 32, rng_for(start, "drawn"))[:, :, 1] > 0.5
    shares = style_shares(nearest_style(drawn, kinds), torch.tensor(KINDS))
    assert shares.total_variation < 0.15
