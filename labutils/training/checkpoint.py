"""Run folders: what was asked for, the best weights, and a checkpoint from which a killed run goes on to the bit.

A run folder holds::

    run.json                          model name, settings, data, versions: what was asked for
    weights.safetensors               the best weights by the goal, with their configuration
    checkpoint.safetensors            the last whole state; checkpoint.previous.safetensors the one before
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from labutils.core.checks import ConfigError, DataError, LabutilsError, WeightsError
from labutils.core.config import differences, to_dict
from labutils.core.files import read_json, sha256_of_bytes
from labutils.core.runtime import rng_for
from labutils.models.base import Model
from labutils.models.registry import MODELS, build, make_config, name_of
from labutils.training.tensors import content_hash, join_tree, read_tensors, split_tree, write_tensors

RUN, PASSPORT, WEIGHTS, CHECKPOINT, PREVIOUS = (
    "run.json",
    "passport.json",  # written last: a run that has one is finished
    "weights.safetensors",
    "checkpoint.safetensors",
    "checkpoint.previous.safetensors",
)
_log = logging.getLogger(__name__)


@dataclass
class Progress:
    """Where a training stands. Orders, augmentation and noise derive from (seed, epoch, step), so this is all."""

    epoch: int = 0  # epochs finished
    step: int = 0  # steps finished in the epoch under way
    seconds: float = 0.0  # spent so far, over all restarts
    sums: dict[str, float] = field(default_factory=dict)  # loss terms summed over the cases of this epoch so far
    cases: int = 0  # cases those sums cover
    best: float | None = None  # best value of the goal
    best_epoch: int | None = None
    history: list[dict[str, float]] = field(default_factory=list)  # one row an epoch


def same_run(folder: Path, asked: dict[str, Any]) -> bool:
    """Whether the folder holds this very run already; False where it holds none.

    Raises:
        ConfigError: it holds a run with other settings or other data; the differences are named.
        DataError: its ``run.json`` is damaged.
    """
    if not (folder / RUN).exists():
        return False
    there = read_json(folder / RUN)
    try:
        before = _identity(there)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{folder / RUN} does not say what was asked for; choose another folder for --out") from error
    if differing := differences(before, _identity(asked)):
        raise ConfigError(f"{folder} holds a run with {differing}; choose another folder for --out")
    return True


def _identity(run: dict[str, Any]) -> dict[str, Any]:
    """What two runs are compared by; of the data their content, not where they lie."""
    data = run["data"]
    content = {f"split {i}": f"{part['split']} {part['manifest'][:12]}" for i, part in enumerate(data["splits"])}
    asked = {name: run[name] for name in ("model", "settings", "fit")}
    further = {name: run[name] for name in ("labels", "scoring") if name in run}  # of one training of a comparison
    return asked | further | {"data": {"name": data["name"], **content}}


def architecture_hash(name: str, settings: Mapping[str, Any]) -> str:
    """A short hash of a model's name and settings: weights fit only the network with the same one."""
    return sha256_of_bytes(json.dumps([name, dict(settings)], sort_keys=True).encode())[:16]


def _describe(network: Model) -> dict[str, Any]:
    name, settings = name_of(network), to_dict(network.config)
    return {"model": name, "settings": settings, "architecture": architecture_hash(name, settings)}


def load_state(network: Model, state: Mapping[str, Tensor], path: Path) -> None:
    """Put weights into a network, each name, shape and value checked.

    Raises:
        WeightsError: a tensor is missing, unknown, of another shape or dtype, or holds NaN or infinity.
    """
    wanted = network.state_dict()
    if unknown := sorted(set(state) ^ set(wanted)):
        raise WeightsError(f"{path}: the tensor {unknown[0]!r} is {'unknown' if unknown[0] in state else 'missing'}")
    for name, tensor in state.items():
        if tensor.shape != wanted[name].shape or tensor.dtype != wanted[name].dtype:
            raise WeightsError(
                f"{path}: {name!r} is {tensor.dtype} {tuple(tensor.shape)}; "
                f"wanted {wanted[name].dtype} {tuple(wanted[name].shape)}"
            )
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise WeightsError(f"{path}: {name!r} holds NaN or infinity")
    network.load_state_dict(dict(state))


def save_weights(path: Path, network: Model, values: Mapping[str, Any] | None = None) -> str:
    """Write a network's weights with their configuration; give the hash of the weights."""
    return write_tensors(path, network.state_dict(), {**_describe(network), **(values or {})})


def load_weights(path: Path) -> Model:
    """A network in evaluation mode from a weights file; ``card`` on it holds what the file says of itself.

    Raises:
        WeightsError: the file or what it holds is damaged, or belongs to no model here.
    """
    tensors, values = read_tensors(path)
    name, settings = values.get("model"), values.get("settings")
    if name not in MODELS or not isinstance(settings, dict):
        raise WeightsError(f"{path} holds weights of the model {name!r}; known are {', '.join(MODELS)}")
    if values.get("architecture") != architecture_hash(name, settings):
        raise WeightsError(f"{path}: the architecture hash does not match the settings beside it")
    try:
        network = build(name, make_config(name, settings), rng_for(0, "overwritten by the file"))
    except LabutilsError as error:
        raise WeightsError(f"{path}: {error}") from error
    load_state(network, tensors, path)
    network.card = values
    return network.eval()


def require_own_weights(folder: Path, network: Model, passport: Mapping[str, Any]) -> None:
    """Refuse weights that are not those of the passport beside them.

    Raises:
        WeightsError: the hashes differ.
    """
    if content_hash(network.state_dict()) != passport.get("weights_sha256"):
        raise WeightsError(f"{folder / WEIGHTS} holds other weights than {folder / PASSPORT} says")


def save_checkpoint(folder: Path, network: Model, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
    """Write the whole state; the checkpoint that was there becomes the previous one. At every instant one is whole.

    The new state is on disk before the last one is renamed; between the two renames only the previous one stands.
    """
    tensors, skeleton = split_tree({"network": network.state_dict(), "optimizer": optimizer.state_dict()}, "state")
    last, following = folder / CHECKPOINT, folder / f".{CHECKPOINT}.next"
    write_tensors(following, tensors, {**_describe(network), "skeleton": skeleton, "progress": asdict(progress)})
    if last.exists():
        os.replace(last, folder / PREVIOUS)
    os.replace(following, last)


def load_checkpoint(folder: Path, network: Model, optimizer: torch.optim.Optimizer) -> Progress | None:
    """Bring network and optimizer to the last whole state; None when the folder has no checkpoint yet.

    A damaged last checkpoint is passed over, with a warning in the log, for the previous one.

    Raises:
        WeightsError: every checkpoint there is damaged, or belongs to another model.
    """
    paths = [path for path in (folder / CHECKPOINT, folder / PREVIOUS) if path.exists()]
    failure: WeightsError | None = None
    for path in paths:
        try:
            tensors, values = read_tensors(path)
            wanted = _describe(network)["architecture"]
            if values.get("architecture") != wanted:
                raise WeightsError(f"{path} belongs to another model or other settings; wanted {wanted}")
            state = join_tree(tensors, values["skeleton"])
            load_state(network, state["network"], path)
            optimizer.load_state_dict(state["optimizer"])
            return Progress(**values["progress"])
        except (KeyError, TypeError) as error:
            failure = WeightsError(f"{path} is not a checkpoint of this version: {error}")
        except WeightsError as error:
            failure = error
        _log.warning("%s", failure)
    if failure is not None:
        raise failure
    return None
