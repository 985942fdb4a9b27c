"""Moving pixels: nothing, known moves by hand, and one move for the image, all raters and the truth."""

import math

import pytest
import torch

from labutils.core.checks import ConfigError, InputError
from labutils.core.runtime import rng_for
from labutils.core.types import Batch
from labutils.data.warp import WarpConfig, Warps, apply_warps, draw_warps

ALL = WarpConfig(rotation_deg=40, scale=0.3, shear=0.2, shift=0.1, elastic_px=1.5)


def make(cases=3, height=12, width=12, classes=3):
    rng = rng_for(0, "batch")
    masks = torch.randint(0, classes, (cases, 2, height, width), generator=rng).to(torch.uint8)
    image = torch.rand(cases, 2, height, width, generator=rng)
    return Batch(image, masks, torch.ones(cases, 2, dtype=torch.bool), masks[:, 0].clone())


def still(cases=3):
    return Warps(torch.eye(2).expand(cases, 2, 2), torch.zeros(cases, 2), torch.zeros(cases, 2, 2, 2))


def equal(a, b):
    assert torch.allclose(a.image, b.image, atol=1e-5)
    assert torch.equal(a.masks, b.masks)
    assert torch.equal(a.truth, b.truth)
    assert torch.equal(a.present, b.present)


@pytest.mark.parametrize("size", [(12, 12), (9, 14)])
def test_a_warp_that_moves_nothing_leaves_the_batch(size):
    batch = make(3, *size)
    equal(apply_warps(batch, still()), batch)
    assert not WarpConfig().moves
    equal(apply_warps(batch, draw_warps(3, WarpConfig(), rng_for(0, "w"))), batch)


def test_a_quarter_turn_is_that_of_the_array():
    batch = make()
    quarter = torch.tensor([[0.0, -1.0], [1.0, 0.0]]).expand(3, 2, 2)
    turned = apply_warps(batch, still()._replace(matrix=quarter))
    image, masks, truth = (torch.rot90(part, 1, (-2, -1)) for part in (batch.image, batch.masks, batch.truth))
    equal(turned, Batch(image, masks, batch.present, truth))


def test_a_shift_by_two_columns_and_a_row_by_hand():
    """Each pixel comes from two to the right and one below; beyond the rim are its gray values, and background."""
    batch = make(1, 6, 8)
    moved = apply_warps(batch, still(1)._replace(shift=torch.tensor([[2 / 8, 1 / 6]])))
    assert torch.allclose(moved.image[..., :5, :6], batch.image[..., 1:, 2:], atol=1e-5)
    assert torch.equal(moved.masks[..., :5, :6], batch.masks[..., 1:, 2:])
    assert torch.allclose(moved.image[..., :5, 7], batch.image[..., 1:, 7], atol=1e-5)
    assert not moved.masks[..., 5, :].any()
    assert not moved.masks[..., 6:].any()


def test_an_even_elastic_field_is_a_shift():
    batch = make()
    even = still()._replace(elastic_px=torch.tensor([1.0, 0.0])[None, :, None, None].expand(3, 2, 2, 2))
    equal(apply_warps(batch, even), apply_warps(batch, still()._replace(shift=torch.tensor([[1 / 12, 0.0]] * 3))))


def test_image_masks_and_truth_move_alike():
    """A disc that is its own image, mask and truth stays so, up to the rim that interpolation softens."""
    rows, columns = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    disc = ((rows - 17) ** 2 + (columns - 22) ** 2 < 64).float().expand(8, 1, 40, 40)
    labels = disc.to(torch.uint8)
    moved = apply_warps(Batch(disc, labels, torch.ones(8, 1) > 0, labels[:, 0]), draw_warps(8, ALL, rng_for(0, "w")))
    assert torch.equal(moved.masks[:, 0], moved.truth)
    apart = (moved.image[:, 0] > 0.5) != (moved.truth > 0)
    assert apart.float().mean() < 0.01
    assert not torch.equal(moved.truth[0], moved.truth[1])
    assert set(moved.masks.unique().tolist()) == {0, 1}


def test_warps_stay_within_their_bounds_and_reach_them():
    drawn = draw_warps(4000, WarpConfig(rotation_deg=30, scale=0.25, shift=0.1), rng_for(0, "w"))
    factor = drawn.matrix.det().rsqrt()
    assert factor.min().item() == pytest.approx(1 / 1.25, abs=0.01)
    assert factor.max().item() == pytest.approx(1.25, abs=0.01)
    angle = torch.atan2(drawn.matrix[:, 1, 0], drawn.matrix[:, 0, 0]) * 180 / math.pi
    assert angle.abs().max().item() == pytest.approx(30, abs=0.2)
    assert angle.mean().item() == pytest.approx(0, abs=1)
    assert drawn.shift.abs().max().item() == pytest.approx(0.1, abs=1e-3)
    assert not drawn.elastic_px.any()


def test_numbers_are_the_same_whatever_is_switched_off():
    whole, part = draw_warps(5, ALL, rng_for(0, "w")), draw_warps(5, WarpConfig(shift=0.1), rng_for(0, "w"))
    assert torch.equal(whole.shift, part.shift)
    assert torch.equal(part.matrix, torch.eye(2).expand(5, 2, 2))


def test_wrong_settings_and_numbers_are_refused():
    with pytest.raises(ConfigError, match=r"warp\.shift is -1; wanted 0 or more"):
        WarpConfig(shift=-1)
    with pytest.raises(ConfigError, match=r"warp\.elastic_knots is 1; wanted 2 or more"):
        WarpConfig(elastic_knots=1)
    with pytest.raises(InputError, match="2 warps for 3 cases"):
        apply_warps(make(), draw_warps(2, ALL, rng_for(0, "w")))
