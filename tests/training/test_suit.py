"""Settings that follow the data, and networks that do not fit them."""

import pytest

from labutils.core.checks import ConfigError, InputError
from labutils.models.registry import make_config
from labutils.training.suit import model_config, require_fits
from tests.discs import disc_store


def test_channels_and_classes_follow_the_data():
    config = model_config("unet", {"width": 4}, disc_store(2))
    assert (config.channels, config.classes, config.width) == (1, 2, 4)


def test_channels_that_the_data_do_not_have_are_refused():
    with pytest.raises(InputError, match="the network has 3 channels and discs/train has 1"):
        model_config("unet", {"channels": 3}, disc_store(2))
    with pytest.raises(InputError, match="the network has 4 classes and discs/train has 2"):
        require_fits(make_config("unet", {"classes": 4}), disc_store(2))


def test_an_unknown_model_is_refused():
    with pytest.raises(ConfigError, match="model is 'vnet'; wanted one of 'unet'"):
        model_config("vnet", {}, disc_store(2))
