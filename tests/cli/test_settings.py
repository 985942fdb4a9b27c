"""Tables of settings, from a file and the command line, and networks that fit the data."""

import json

import pytest

from labutils.cli.settings import model_config, read_tables, require_fits
from labutils.core.checks import ConfigError, InputError
from labutils.models.registry import make_config
from tests.discs import disc_store


def test_the_command_line_comes_before_the_file(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"fit": {"lr": 1, "epochs": 2}}))
    read = read_tables(tmp_path / "a.json", ["fit.lr=0.5"], ("model", "fit"))
    assert read == {"model": {}, "fit": {"lr": 0.5, "epochs": 2}}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [("lr=1", r"no setting 'lr'; wanted model\.\* or fit\.\*"), ("fit=1", r"fit is 1; wanted fit\.<setting>")],
)
def test_other_tables_are_refused(assignment, message):
    with pytest.raises(ConfigError, match=message):
        read_tables(None, [assignment], ("model", "fit"))


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
