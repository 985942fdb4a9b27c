"""The run's surroundings: random numbers by purpose, the device, the budget, and where files live.

Environment variables are read here and nowhere else.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from labutils.core.checks import ConfigError, require_choice
from labutils.core.notice import RESEARCH_USE as RESEARCH_USE


def _digest(seed: int, purpose: tuple[object, ...]) -> int:
    text = "/".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")


def rng_for(seed: int, *purpose: object) -> torch.Generator:
    """A CPU generator from `seed` and `purpose` alone: a new use of chance leaves every other as it was."""
    return torch.Generator().manual_seed(_digest(seed, purpose))


def numpy_rng_for(seed: int, *purpose: object) -> np.random.Generator:
    """The same idea for NumPy code."""
    return np.random.default_rng(_digest(seed, purpose))


@contextmanager
def layer_noise(device: torch.device, rng: torch.Generator) -> Iterator[None]:
    """Give layers that only know the global generator (dropout) numbers drawn from `rng`, and put it back after."""
    number = int(torch.randint(2**62, (), generator=rng))
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        # not `torch.manual_seed`: for each kind of device that has not been used it takes a stack trace, at every call
        torch.default_generator.manual_seed(number)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(number)
        yield


def pick_device(wanted: str | None = None) -> torch.device:
    """The device to compute on: `wanted` ("cpu", "cuda", "cuda:1"), else a GPU if there is one, else the CPU.

    Raises:
        ConfigError: a GPU was asked for and none is visible, or the name is not a device.
    """
    try:
        device = torch.device(wanted or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError as error:
        raise ConfigError(f"device {wanted!r} is not a device name; wanted cpu, cuda or cuda:N") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device {wanted!r} was asked for and no GPU is visible; wanted cpu")
    return device


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How much a chapter computes; the text of a chapter is the same in every budget."""

    name: str
    cases: int  # most cases a chapter trains on
    epochs: int
    samples: int  # S, draws per case when scoring
    resamples: int  # bootstrap resamples behind an interval
    trials: int  # of a search
    width: int  # channels of a network's first level


BUDGETS = {
    "smoke": Budget(name="smoke", cases=24, epochs=1, samples=4, resamples=50, trials=2, width=8),
    "quick": Budget(name="quick", cases=256, epochs=6, samples=16, resamples=500, trials=4, width=16),
    "full": Budget(name="full", cases=1_000_000, epochs=200, samples=100, resamples=2000, trials=50, width=32),
}


def budget(name: str | None = None) -> Budget:
    """The budget called `name`, else the one in ``LABUTILS_BUDGET``, else quick.

    Raises:
        ConfigError: there is no such budget.
    """
    chosen = name or os.environ.get("LABUTILS_BUDGET") or "quick"
    require_choice("LABUTILS_BUDGET", chosen, tuple(BUDGETS))
    return BUDGETS[chosen]


def variables() -> dict[str, str]:
    """The environment variables of this package that are set, by name."""
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith("LABUTILS_")}


def data_root() -> Path:
    """Where datasets are looked for and fetched to: ``LABUTILS_DATA``, else ``labutils`` in the user's data folder.

    The folder need not be there.
    """
    value = os.environ.get("LABUTILS_DATA")
    users = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(value or f"{users}/labutils").expanduser()


def offline() -> bool:
    """Whether ``LABUTILS_OFFLINE=1`` forbids every use of the network.

    Raises:
        ConfigError: the variable is neither 0 nor 1.
    """
    value = os.environ.get("LABUTILS_OFFLINE") or "0"
    require_choice("LABUTILS_OFFLINE", value, ("0", "1"))
    return value == "1"


def cache_root() -> Path:
    """A folder for what can be made again (prepared stores): ``LABUTILS_CACHE``, else the user's cache folder.

    The folder is made when it is missing; where it cannot be written, a folder of this user alone under the system's
    temporary folder takes its place.

    Raises:
        ConfigError: neither can be written, or the second is somebody else's.
    """
    wanted = os.environ.get("LABUTILS_CACHE")
    base = Path(wanted) if wanted else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "labutils"
    shared = Path(tempfile.gettempdir()) / f"labutils-{os.getuid()}"
    for folder in (base, shared):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o777 if folder == base else 0o700)
            mine = folder.lstat().st_uid == os.getuid()  # anybody can make a folder of this name for somebody else
        except OSError:
            continue
        if os.access(folder, os.W_OK) and (mine or folder == base):
            return folder
    raise ConfigError(f"no folder to keep prepared data in: {base} cannot be written; set LABUTILS_CACHE")
