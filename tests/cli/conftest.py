"""One trained run on tiny crops, a cache of its own, and an empty folder to stand in."""

from __future__ import annotations

import pytest

from tests.cli.asking import SMALL, ask, write_crops


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABUTILS_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("share")))  # what the user of this machine fetched
        yield


@pytest.fixture(autouse=True)
def _no_data_of_the_machine(monkeypatch):
    monkeypatch.delenv("LABUTILS_DATA", raising=False)


@pytest.fixture(scope="session")
def crops(tmp_path_factory):
    """Six training patients, three to validate, one to predict."""
    return write_crops(tmp_path_factory.mktemp("crops"), train=range(1, 7), validate=range(11, 14), test=[21])


@pytest.fixture(scope="session")
def trained(crops, tmp_path_factory):
    """A run folder, and what was said while it was made."""
    run = tmp_path_factory.mktemp("runs") / "first"
    answer = ask(
        "train", "unet", "--data", "lidc-crops", "--root", crops, "--out", run, *SMALL, "--set", "fit.epochs=2"
    )
    assert answer.code == 0, answer
    return run, answer


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to stand in."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder
