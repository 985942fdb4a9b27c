"""Random numbers by purpose, budgets, devices, folders."""

import os

import numpy as np
import pytest
import torch

from labutils.core import runtime
from labutils.core.checks import ConfigError


def test_chance_depends_on_seed_and_purpose_alone():
    def first(*key):
        return torch.rand(3, generator=runtime.rng_for(*key)).tolist()

    assert first(1, "split") == first(1, "split")
    assert len({tuple(first(*key)) for key in [(1, "split"), (2, "split"), (1, "noise"), (1, "split", 0)]}) == 4
    a, b = (runtime.numpy_rng_for(1, "x").random(3) for _ in range(2))
    assert np.array_equal(a, b)


def test_asking_for_a_generator_leaves_global_chance_alone():
    before = torch.random.get_rng_state()
    runtime.rng_for(1, "x")
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_budget_comes_from_the_name_then_the_environment_then_quick(monkeypatch):
    monkeypatch.delenv("LABUTILS_BUDGET", raising=False)
    assert runtime.budget().name == "quick"
    monkeypatch.setenv("LABUTILS_BUDGET", "smoke")
    assert runtime.budget().name == "smoke"
    assert runtime.budget("full").name == "full"
    with pytest.raises(ConfigError, match="'slow'; wanted one of 'smoke'"):
        runtime.budget("slow")


def test_a_larger_budget_computes_no_less():
    smoke, quick, full = (runtime.BUDGETS[name] for name in ("smoke", "quick", "full"))
    for name in ("cases", "epochs", "samples", "resamples", "trials", "width"):
        assert getattr(smoke, name) <= getattr(quick, name) <= getattr(full, name)


def test_devices():
    assert runtime.pick_device("cpu") == torch.device("cpu")
    with pytest.raises(ConfigError, match="not a device name"):
        runtime.pick_device("gpu-of-my-dreams")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is visible")
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="no GPU is visible"):
        runtime.pick_device("cuda")


def test_folders_come_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("LABUTILS_DATA", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert runtime.data_root() == tmp_path / ".local" / "share" / "labutils"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    assert runtime.data_root() == tmp_path / "share" / "labutils"
    monkeypatch.setenv("LABUTILS_DATA", str(tmp_path))
    assert runtime.data_root() == tmp_path
    monkeypatch.setenv("LABUTILS_CACHE", str(tmp_path / "deep" / "cache"))
    assert runtime.cache_root() == tmp_path / "deep" / "cache"
    assert (tmp_path / "deep" / "cache").is_dir()


@pytest.mark.parametrize(("value", "expected"), [("", False), ("0", False), ("1", True)])
def test_offline_is_said_by_a_variable(monkeypatch, value, expected):
    monkeypatch.setenv("LABUTILS_OFFLINE", value)
    assert runtime.offline() is expected
    monkeypatch.delenv("LABUTILS_OFFLINE")
    assert runtime.offline() is False


def test_a_misspelled_offline_is_not_taken_for_online(monkeypatch):
    monkeypatch.setenv("LABUTILS_OFFLINE", "yes")
    with pytest.raises(ConfigError, match="LABUTILS_OFFLINE is 'yes'; wanted one of '0', '1'"):
        runtime.offline()


def test_a_cache_that_cannot_be_made_is_replaced(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LABUTILS_CACHE", str(tmp_path / "file" / "below"))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    found = runtime.cache_root()
    assert found.parent == tmp_path
    assert os.access(found, os.W_OK)
    assert found.stat().st_mode & 0o077 == 0


def test_a_temporary_folder_of_somebody_else_is_not_used(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LABUTILS_CACHE", str(tmp_path / "file" / "below"))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr("os.getuid", lambda: 12345)
    with pytest.raises(ConfigError, match="set LABUTILS_CACHE"):
        runtime.cache_root()


def test_the_package_s_own_variables_are_listed(monkeypatch):
    monkeypatch.setenv("LABUTILS_DATA", "here")
    monkeypatch.setenv("LABUTIL_DATA", "misspelled")
    assert runtime.variables()["LABUTILS_DATA"] == "here"
    assert all(name.startswith("LABUTILS_") for name in runtime.variables())


def test_layers_that_know_only_global_chance_draw_by_the_generator_and_global_chance_stays():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    drawn = []
    for purpose in ("one", "one", "two"):
        with runtime.layer_noise(torch.device("cpu"), runtime.rng_for(0, purpose)):
            drawn.append(torch.rand(4))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_seeding_layers_takes_no_stack_trace(monkeypatch):
    """`torch.manual_seed` takes one for each kind of device that has not been used, which a step of training feels."""
    taken = []
    monkeypatch.setattr("traceback.format_stack", lambda *_: taken.append(1) or [])
    with runtime.layer_noise(torch.device("cpu"), runtime.rng_for(0)):
        torch.rand(1)
    assert taken == []
