"""`make lab` starts JupyterLab on this computer only, behind a token, and leaves a person's own settings alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from traitlets.config import PyFileConfigLoader

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ROOT / "book" / "jupyter"
RECIPE = re.search(r"^lab: .*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)[1]


@pytest.fixture(scope="module")
def config():
    return PyFileConfigLoader("jupyter_lab_config.py", path=str(SHIPPED)).load_config()


def test_only_this_computer_is_served(config):
    assert config.ServerApp.ip == "127.0.0.1"
    assert config.ServerApp.allow_remote_access is False
    assert "--ip" not in RECIPE
    for text in ((SHIPPED / "jupyter_lab_config.py").read_text(), RECIPE):
        assert not re.search(r"allow_origin|disable_check_xsrf|allow_unauthenticated", text)


def test_the_token_is_the_one_that_jupyter_makes(config):
    """Set to anything, even by the environment, it would be fixed, empty, or hidden from the person who needs it."""
    assert "IdentityProvider" not in config
    assert "token" not in config.ServerApp
    assert "password" not in config.ServerApp
    assert "env -u JUPYTER_TOKEN " in RECIPE
    assert re.findall(r"--\S+", RECIPE) == ['--config="$(CURDIR)/book/jupyter/jupyter_lab_config.py"']


def test_nothing_is_announced_or_installed(config):
    assert config.LabApp.news_url is None
    assert config.LabApp.check_for_updates_class == "jupyterlab.NeverCheckForUpdate"
    assert config.LabApp.extension_manager == "readonly"
    settings = Path(config.LabApp.app_settings_dir)
    overrides = json.loads((settings / "overrides.json").read_text())
    news = overrides["@jupyterlab/apputils-extension:notification"]
    assert news == {"checkForUpdates": False, "fetchNews": "false"}
    disabled = json.loads((settings / "page_config.json").read_text())["disabledExtensions"]
    assert disabled == {"@jupyterlab/extensionmanager-extension": True}


def test_the_first_chapter_is_opened(config):
    assert Path(config.ServerApp.root_dir) == ROOT
    chapter = ROOT / config.LabApp.default_url.removeprefix("/lab/tree/")
    assert chapter.is_file()
    assert chapter.name.startswith("01_")


@pytest.mark.parametrize(
    "name",
    ["JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR"],
)
def test_a_persons_own_settings_are_left_alone(name):
    assert re.search(rf'\b{name}="\$\(LAB\)/', RECIPE), name
    assert "LAB := $(CURDIR)/$(VENV)/jupyter\n" in (ROOT / "Makefile").read_text()
