"""Weights and checkpoints: twelve damaged files, the copy before, and what a run folder gives."""

import json
import os
import struct
import time

import pytest
import torch

import labutils
from labutils.core.checks import ConfigError, DataError, WeightsError
from labutils.core.runtime import rng_for
from labutils.models.registry import build, make_config
from labutils.training import checkpoint
from labutils.training.settings import FitConfig, make_optimizer
from labutils.training.tensors import content_hash, write_tensors

ASKED = {
    "model": "unet",
    "settings": {"width": 4},
    "fit": {"lr": 0.1},
    "data": {"name": "toy", "root": "here", "splits": [{"split": "train", "manifest": "a" * 64}]},
}


def make(width=4, seed=0):
    return build("unet", make_config("unet", {"width": width, "levels": 2}), rng_for(seed, "weights"))


@pytest.fixture
def run(tmp_path):
    checkpoint.save_weights(tmp_path / checkpoint.WEIGHTS, make(), {"epoch": 3})
    return tmp_path


def test_load_gives_the_network_and_its_card(run):
    network = labutils.load(run)
    assert not network.training
    assert network.card["model"] == "unet"
    assert network.card["epoch"] == 3
    assert content_hash(network.state_dict()) == content_hash(make().state_dict())


def cut(share):
    def damage(path):
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])

    return damage


def huge_header(path):
    path.write_bytes(struct.pack("<Q", 2**63) + path.read_bytes()[8:])


def rewrite_header(change):
    def damage(path):
        content = path.read_bytes()
        size = struct.unpack("<Q", content[:8])[0]
        header = json.loads(content[8 : 8 + size])
        change(header)
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size :])

    return damage


def overlap(header):
    names = [name for name in header if name != "__metadata__"]
    header[names[1]]["data_offsets"] = header[names[0]]["data_offsets"]


def save_with(**changes):
    """Save again with tensors or values changed, hash and all: only the checks of meaning can find it."""

    def damage(path):
        network = make()
        state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        values = checkpoint._describe(network)
        for name, change in changes.items():
            change(state if name == "state" else values)
        write_tensors(path, state, values)

    return damage


def put_nan(state):
    state["head.bias"][0] = torch.nan


def put_shape(state):
    state["head.bias"] = torch.zeros(3)


def drop(state):
    del state["head.bias"]


DAMAGES = {
    "cut to nothing": cut(0.0),
    "cut in the length": lambda path: path.write_bytes(path.read_bytes()[:4]),
    "cut in the header": lambda path: path.write_bytes(path.read_bytes()[:60]),
    "cut half way": cut(0.5),
    "cut at the end": cut(0.999),
    "header length 2^63": huge_header,
    "overlapping offsets": rewrite_header(overlap),
    "NaN weights": save_with(state=put_nan),
    "wrong shape": save_with(state=put_shape),
    "missing tensor": save_with(state=drop),
    "wrong architecture hash": save_with(values=lambda values: values.update(architecture="0" * 16)),
    "unknown model": save_with(values=lambda values: values.update(model="vnet")),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_weights_are_one_clear_error(run, name):
    path = run / checkpoint.WEIGHTS
    DAMAGES[name](path)
    before, start = sorted(os.listdir(run)), time.process_time()
    with pytest.raises(WeightsError, match=r"weights\.safetensors") as caught:
        labutils.load(run)
    assert "\n" not in str(caught.value)
    assert time.process_time() - start < 1
    assert sorted(os.listdir(run)) == before


def test_there_are_twelve_damages():
    assert len(DAMAGES) == 12


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(WeightsError, match="is not a run folder"):
        labutils.load(tmp_path / "nowhere")
    with pytest.raises(WeightsError, match=r"holds no weights\.safetensors; wanted a run folder"):
        labutils.load(tmp_path)


def state_after(steps):
    network = make()
    optimizer = make_optimizer(FitConfig(), network.parameters())
    for step in range(steps):
        network(torch.rand(2, 1, 8, 8, generator=rng_for(step))).logits.square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return network, optimizer, checkpoint.Progress(epoch=1, step=steps, sums={"total": 0.5}, cases=2)


def test_a_checkpoint_holds_network_optimizer_and_progress(tmp_path):
    network, optimizer, progress = state_after(2)
    checkpoint.save_checkpoint(tmp_path, network, optimizer, progress)
    other = make(seed=1)
    other_optimizer = make_optimizer(FitConfig(lr=0.5), other.parameters())
    assert checkpoint.load_checkpoint(tmp_path, other, other_optimizer) == progress
    assert content_hash(other.state_dict()) == content_hash(network.state_dict())
    assert other_optimizer.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"]
    for a, b in zip(other_optimizer.state.values(), optimizer.state.values(), strict=True):
        assert all(torch.equal(a[key], b[key]) for key in b)


def test_the_copy_before_takes_over_when_the_last_is_damaged(tmp_path, caplog):
    for steps in (1, 2):
        checkpoint.save_checkpoint(tmp_path, *state_after(steps))
    (tmp_path / checkpoint.CHECKPOINT).write_bytes(b"damaged")
    network = make()
    found = checkpoint.load_checkpoint(tmp_path, network, make_optimizer(FitConfig(), network.parameters()))
    assert found.step == 1
    assert "not a readable safetensors" in caplog.text


def test_when_both_are_damaged_nothing_is_guessed(tmp_path):
    for steps in (1, 2):
        checkpoint.save_checkpoint(tmp_path, *state_after(steps))
    for name in (checkpoint.CHECKPOINT, checkpoint.PREVIOUS):
        (tmp_path / name).write_bytes(b"damaged")
    network = make()
    with pytest.raises(WeightsError, match="previous"):
        checkpoint.load_checkpoint(tmp_path, network, make_optimizer(FitConfig(), network.parameters()))


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    checkpoint.save_checkpoint(tmp_path, *state_after(1))
    network = make(width=8)
    with pytest.raises(WeightsError, match="another model"):
        checkpoint.load_checkpoint(tmp_path, network, make_optimizer(FitConfig(), network.parameters()))


def test_an_empty_folder_has_no_checkpoint(tmp_path):
    network = make()
    assert checkpoint.load_checkpoint(tmp_path, network, make_optimizer(FitConfig(), network.parameters())) is None


def test_a_failed_write_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    checkpoint.save_checkpoint(tmp_path, *state_after(1))
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        checkpoint.save_checkpoint(tmp_path, *state_after(2))
    network = make()
    found = checkpoint.load_checkpoint(tmp_path, network, make_optimizer(FitConfig(), network.parameters()))
    assert found.step == 1
    assert not [name for name in os.listdir(tmp_path) if name.endswith((".part", ".next"))]


def test_one_checkpoint_is_whole_between_the_two_renames(tmp_path, monkeypatch):
    checkpoint.save_checkpoint(tmp_path, *state_after(1))
    real = os.replace

    def killed_before_the_last(source, target):
        if str(source).endswith(".next"):
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "replace", killed_before_the_last)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save_checkpoint(tmp_path, *state_after(2))
    monkeypatch.undo()
    network = make()
    optimizer = make_optimizer(FitConfig(), network.parameters())
    assert checkpoint.load_checkpoint(tmp_path, network, optimizer).step == 1
    checkpoint.save_checkpoint(tmp_path, *state_after(3))
    assert checkpoint.load_checkpoint(tmp_path, network, optimizer).step == 3


def test_the_same_run_is_known_wherever_its_data_lie(tmp_path):
    assert not checkpoint.same_run(tmp_path, ASKED)
    (tmp_path / "run.json").write_text(json.dumps(ASKED | {"versions": {}}))
    assert checkpoint.same_run(tmp_path, ASKED)
    assert checkpoint.same_run(tmp_path, ASKED | {"data": ASKED["data"] | {"root": "elsewhere"}})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fit": {"lr": 0.2}}, "fit.lr = 0.1, not 0.2"),
        ({"settings": {"width": 8}}, "settings.width = 4, not 8"),
        ({"labels": "staple"}, "labels = None, not 'staple'"),
        ({"scoring": {"samples": 16}}, "scoring.samples = None, not 16"),
        ({"model": "vnet"}, "model = 'unet', not 'vnet'"),
        (
            {"data": ASKED["data"] | {"splits": [{"split": "train", "manifest": "b" * 64}]}},
            "data.split 0 = 'train aaaaaaaaaaaa', not 'train bbbbbbbbbbbb'",
        ),
    ],
)
def test_another_run_is_refused_by_what_differs(tmp_path, change, message):
    (tmp_path / "run.json").write_text(json.dumps(ASKED))
    with pytest.raises(ConfigError, match=f"holds a run with {message}; choose another folder"):
        checkpoint.same_run(tmp_path, ASKED | change)


@pytest.mark.parametrize("text", ["[]", "{", '{"data": []}', '{"data": {"splits": [1]}}'])
def test_a_damaged_record_is_told(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(DataError, match=r"run\.json"):
        checkpoint.same_run(tmp_path, ASKED)
