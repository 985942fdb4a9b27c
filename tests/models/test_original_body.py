"""The published U-Net: its zoomed copy, its widths, and the one size of image it is built for."""

import pytest
import torch

from labutils.core.checks import ConfigError, InputError
from labutils.core.runtime import rng_for
from labutils.models.original_body import OriginalBodyConfig, OriginalBodyModel, center_crop
from labutils.models.registry import build, make_config


def make(**settings):
    return build("original-cm", make_config("original-cm", settings), rng_for(0, "weights")).eval()


def test_the_crop_is_of_the_middle_by_hand():
    rows = torch.arange(14.0).view(1, 1, 14, 1)
    assert center_crop(rows, (7, 1)).flatten().tolist() == [4, 5, 6, 7, 8, 9, 10]
    assert center_crop(rows, (13, 1)).flatten().tolist() == list(range(1, 14))
    assert torch.equal(center_crop(rows, (14, 1)), rows)


def test_the_first_decoder_step_sees_the_coarsest_map_and_a_zoomed_copy_of_its_center():
    """So that the rim of the coarsest map is in one half of its input and not in the other."""
    model, seen = make(width=2), {}
    model.up[-1].register_forward_pre_hook(lambda _, inputs: seen.update(at=inputs[0]))
    model.down[-1].register_forward_hook(lambda _, __, result: torch.zeros_like(result).index_fill_(2, rim, 1.0))
    rim = torch.tensor([0, 6])  # rows of the 7 x 7 map
    with torch.no_grad():
        model.features(torch.rand(1, 1, 28, 28, generator=rng_for(0, "image")))
    itself, zoomed = seen["at"].chunk(2, dim=1)
    assert itself[..., rim, :].min() == 1
    assert itself.shape == zoomed.shape == (1, 4, 7, 7)
    assert zoomed.abs().max() == 0


@pytest.mark.parametrize(
    ("levels", "down", "up"),
    [
        (2, [(1, 5), (5, 5)], [(10, 5), (10, 5)]),
        (3, [(1, 5), (5, 10), (10, 10)], [(10, 5), (20, 5), (20, 10)]),
        (4, [(1, 5), (5, 10), (10, 20), (20, 20)], [(10, 5), (20, 5), (40, 10), (40, 20)]),
    ],
)
def test_channels_are_the_published_ones(levels, down, up):
    model = make(width=5, levels=levels)
    for blocks, wanted in ((model.down, down), (model.up, up)):
        assert [(block[0].in_channels, block[-2].num_features) for block in blocks] == wanted
    assert isinstance(model, OriginalBodyModel)


def test_an_image_of_another_size_or_number_of_channels_is_refused():
    model = make(width=2, size_px=[9, 12])
    assert model.features(torch.zeros(1, 1, 9, 12)).shape == (1, 2, 9, 12)
    for shape, says in (((1, 1, 12, 9), "wanted H = 9"), ((1, 1, 9, 13), "wanted W = 12"), ((1, 2, 9, 12), "C = 1")):
        with pytest.raises(InputError, match=says):
            model.features(torch.zeros(shape))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"levels": 1}, "levels is 1; wanted 2 to 8"),
        ({"classes": 1}, "classes is 1"),
        ({"width": 0}, "width is 0"),
        ({"size_px": (4, 4)}, "size_px is 4 by 4; wanted one side above 4 for 3 levels"),
        ({"size_px": (0, 9)}, "size_px is 0 by 9"),
    ],
)
def test_settings_out_of_range_are_refused(settings, says):
    with pytest.raises(ConfigError, match=says):
        OriginalBodyConfig(**settings)


def test_the_smallest_image_can_be_trained_on():
    model = make(width=2, size_px=[1, 5]).train()
    assert torch.isfinite(model.features(torch.rand(1, 1, 1, 5, generator=rng_for(0, "image")))).all()
