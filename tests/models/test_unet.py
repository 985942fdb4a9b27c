"""The U-Net: targets, terms, refusals."""

import numpy as np
import pytest
import torch

from labutils.core.checks import ConfigError, InputError
from labutils.core.runtime import rng_for
from labutils.core.types import Batch
from labutils.models.registry import build, make_config
from labutils.models.unet import UNetConfig

IMAGE = torch.zeros(1, 1, 1, 3)
MASKS = torch.tensor([[1, 1, 0], [1, 0, 0], [1, 1, 0], [0, 0, 0]], dtype=torch.uint8)[None, :, None]  # (1, 4, 1, 3)
EVERYBODY = torch.ones(1, 4, dtype=torch.bool)


def make(**settings):
    return build("unet", make_config("unet", {"width": 4, "levels": 1, **settings}), rng_for(0, "weights"))


@pytest.mark.parametrize(
    ("target", "present", "wanted"),
    [
        ("soft", [1, 1, 1, 1], [0.75, 0.5, 0.0]),
        ("soft", [1, 1, 1, 0], [1.0, 2 / 3, 0.0]),
        ("majority", [1, 1, 1, 1], [1.0, 0.0, 0.0]),  # two of four is no strict majority
        ("majority", [1, 1, 1, 0], [1.0, 1.0, 0.0]),
        ("random-rater", [0, 1, 0, 0], [1.0, 0.0, 0.0]),
    ],
)
def test_targets_by_hand(target, present, wanted):
    batch = Batch(IMAGE, MASKS, torch.tensor([present], dtype=torch.bool))
    got = make(target=target)._target(batch, rng_for(0, "rater"))
    assert got.shape == (1, 2, 1, 3)
    assert got[0, 1, 0].tolist() == pytest.approx(wanted)
    assert torch.allclose(got.sum(dim=1), torch.ones(()))


def test_each_rater_is_drawn_equally_often():
    model, batch = make(target="random-rater"), Batch(IMAGE, MASKS, EVERYBODY)
    drawn = torch.stack([model._target(batch, rng_for(0, i))[0, 1, 0] for i in range(400)])
    assert drawn.mean(dim=0).tolist() == pytest.approx([0.75, 0.5, 0.0], abs=0.08)


def test_the_total_is_the_documented_sum():
    batch = Batch(IMAGE, MASKS, EVERYBODY)
    terms = make(dice_weight=0.5).objective(batch, 0, rng_for(0, "o"))
    assert terms.total.item() == pytest.approx((terms.cross_entropy + 0.5 * terms.dice).item())


def test_a_planted_threshold_is_learned_with_the_right_frequencies():
    """Four raters, one of whom marks the bright pixels only: the soft target's answer is 1/4 there and 1 elsewhere."""
    image = torch.tensor([0.1, 0.6, 0.9]).repeat(6, 1)[:, None, None]  # (6, 1, 1, 3)
    mask = torch.tensor([[0, 1, 1], [0, 1, 1], [0, 1, 1], [0, 0, 1]], dtype=torch.uint8)[None, :, None]
    batch = Batch(image, mask.expand(6, -1, -1, -1), EVERYBODY.expand(6, -1))
    model = make(target="soft", norm="none").train()
    optimizer = torch.optim.Adam(model.parameters(), 3e-2)
    for step in range(150):
        optimizer.zero_grad()
        model.objective(batch, step, rng_for(0, step)).total.backward()
        optimizer.step()
    with torch.no_grad():
        probs = model.eval().sample(image, 1, rng_for(0, "s"))[0, 0, 1, 0]
    assert probs.tolist() == pytest.approx([0.0, 0.75, 1.0], abs=0.05)


def test_an_odd_size_is_padded_by_repeating_the_edge_and_cropped_again():
    model = make(levels=3).eval()
    image = torch.rand(1, 1, 7, 6, generator=rng_for(0, "image"))
    padded = torch.nn.functional.pad(image, (0, 2, 0, 1), mode="replicate")
    with torch.no_grad():
        assert torch.equal(model(image).logits, model(padded).logits[..., :7, :6])


@pytest.mark.parametrize("channels", [2, 3])
def test_several_channels_and_classes(channels):
    model = make(channels=channels, classes=3).eval()
    image = torch.rand(1, channels, 4, 4)
    masks = torch.tensor(np.arange(16).reshape(1, 1, 4, 4) % 3, dtype=torch.uint8)
    terms = model.objective(Batch(image, masks, torch.ones(1, 1, dtype=torch.bool)), 0, rng_for(0, "o"))
    assert torch.isfinite(terms.total)
    with pytest.raises(InputError, match=f"wanted C = {channels}"):
        model(torch.rand(1, 1, 4, 4))


def test_a_class_the_network_does_not_have_is_refused():
    with pytest.raises(InputError, match="masks hold class 2"):
        make().objective(Batch(IMAGE, MASKS * 2, EVERYBODY), 0, rng_for(0, "o"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"width": 0}, "width is 0"),
        ({"classes": 1}, "classes is 1"),
        ({"levels": 9}, "levels is 9"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"dice_weight": -1.0}, "dice_weight is -1"),
        ({"target": "median"}, "target is 'median'"),
        ({"depth": 3}, "no setting 'depth'"),
    ],
)
def test_settings_out_of_range_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        make_config("unet", settings)


def test_zero_samples_are_refused():
    with pytest.raises(InputError, match="n is 0"):
        make().sample(IMAGE, 0, rng_for(0, "s"))


def test_parameters_by_hand():
    """One level, two 3x3 convolutions of width 4 with biases, a 1x1 head: 40 + 148 + 10."""
    model = build("unet", UNetConfig(width=4, levels=1, norm="none"), rng_for(0, "w"))
    assert sum(p.numel() for p in model.parameters()) == (9 * 1 * 4 + 4) + (9 * 4 * 4 + 4) + (4 * 2 + 2)
