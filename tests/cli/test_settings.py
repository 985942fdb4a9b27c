"""Tables of settings, from a file and the command line, ."""

import json

import pytest

from labutils.cli.settings import read_tables
from labutils.core.checks import ConfigError


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
