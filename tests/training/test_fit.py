"""The loop: it learns, chooses by its goal, repeats to the bit, resumes to the bit, and stops at NaN."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from labutils.core.checks import InputError, NumericsError
from labutils.core.runtime import rng_for
from labutils.core.types import Goal
from labutils.data.crop import middle
from labutils.data.warp import WarpConfig
from labutils.models.registry import build, make_config
from labutils.models.unet import UNet, UNetTerms
from labutils.training import checkpoint
from labutils.training.fit import Callback, finite_terms, fit
from labutils.training.settings import FitConfig
from labutils.training.tensors import content_hash
from tests.discs import disc_store

CPU = torch.device("cpu")


def make(seed=0, **settings):
    return build("unet", make_config("unet", {"width": 4, "levels": 2, **settings}), rng_for(seed, "weights"))


def train(run=None, network=None, callbacks=(), validate=True, **settings):
    config = FitConfig(**{"epochs": 2, "batch_size": 4, "lr": 1e-2, **settings})
    stores = disc_store(), disc_store(6, split="validate") if validate else None
    return fit(network or make(), *stores, config, device=CPU, run=run, callbacks=callbacks)


def test_it_learns_discs():
    result = train(epochs=12)
    assert result.best > 0.85
    assert result.history[-1]["train_total"] < 0.6 * result.history[0]["train_total"]
    assert not result.network.training


def test_the_history_has_losses_overlaps_and_the_rate():
    result = train()
    assert len(result.history) == 2
    assert {"train_total", "train_cross_entropy", "val_total", "iou", "dice", "lr"} <= set(result.history[0])
    assert 0 <= result.history[0]["iou"] <= result.history[0]["dice"] <= 1


@pytest.mark.parametrize(("direction", "pick"), [("maximize", max), ("minimize", min)])
def test_the_best_epoch_is_chosen_by_the_goal_and_its_weights_are_given(direction, pick):
    result = train(epochs=4, goal=Goal(metric="val_total", direction=direction))
    values = [row["val_total"] for row in result.history]
    assert result.best == pick(values)
    assert values[result.best_epoch - 1] == result.best


def test_without_a_validation_split_the_last_epoch_is_taken():
    result = train(validate=False)
    assert result.best_epoch == 2
    assert "dice" not in result.history[0]


def test_the_last_weights_are_kept_on_request_whatever_the_scores():
    goal = Goal(metric="lr", direction="maximize")  # falls from epoch to epoch
    first, last = train(goal=goal), train(goal=goal, keep="last")
    assert (first.best_epoch, last.best_epoch) == (1, 2)
    assert last.best == last.history[-1]["lr"]
    assert weights_hash(first) != weights_hash(last)


def test_an_unknown_goal_is_named():
    with pytest.raises(InputError, match="'accuracy' is not among"):
        train(goal=Goal(metric="accuracy"))


def test_it_stops_when_patience_runs_out():
    result = train(epochs=9, patience=2, lr=1e-9, goal=Goal(metric="lr", direction="maximize"), schedule="constant")
    assert len(result.history) == 3  # the first epoch was the best, two more did not improve


def weights_hash(result):
    return content_hash(result.network.state_dict())


WARP = WarpConfig(rotation_deg=15, elastic_px=1.0)


@pytest.mark.parametrize("settings", [{}, {"optimizer": "sgd"}, {"precision": "bf16-mixed"}, {"warp": WARP}])
def test_the_same_seed_gives_the_same_bits(settings):
    assert weights_hash(train(**settings)) == weights_hash(train(**settings))


@pytest.mark.parametrize(("precision", "expected"), [("32-true", torch.float32), ("bf16-mixed", torch.bfloat16)])
def test_convolutions_run_in_the_precision_of_the_settings_and_weights_stay_in_float32(precision, expected):
    network, seen = make(), set()
    network.head.register_forward_hook(lambda _m, _i, out: seen.add(out.dtype if network.training else expected))
    trained = train(network=network, precision=precision).network
    assert seen == {expected}
    assert {p.dtype for p in trained.parameters()} == {torch.float32}


def test_another_seed_gives_other_weights():
    assert weights_hash(train()) != weights_hash(train(seed=1))


def test_dropout_is_drawn_by_step_and_global_chance_is_left_alone():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = weights_hash(train(network=make(dropout=0.5)))
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(6)
    assert weights_hash(train(network=make(dropout=0.5))) == first
    assert weights_hash(train(network=make(dropout=0.0))) != first


class Stop(Callback):
    """Ends a training at a step, as a crash would."""

    def __init__(self, epoch, step):
        self.at = (epoch, step)

    def on_step(self, epoch, step, loss):
        if (epoch, step) == self.at:
            raise KeyboardInterrupt


@pytest.mark.parametrize("at", [(1, 1), (1, 2), (2, 1), (2, 3)])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_an_interrupted_run_goes_on_to_the_same_bits(tmp_path, at, optimizer):
    settings = {"checkpoint_steps": 1, "optimizer": optimizer}
    whole = train(network=make(dropout=0.2), **settings)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, make(dropout=0.2), [Stop(*at)], **settings)
    resumed = train(tmp_path, make(seed=9, dropout=0.2), **settings)
    assert weights_hash(resumed) == weights_hash(whole)
    assert list(resumed.history) == list(whole.history)


def test_cases_are_warped_anew_in_every_step_and_only_while_training():
    network, seen = make(), []
    network.down[0].register_forward_pre_hook(lambda module, inputs: seen.append((module.training, inputs[0].clone())))
    train(network=network, epochs=2, batch_size=20, augment=False, warp=WARP)
    first, second = (sorted(image.sum().item() for image in x) for training, x in seen if training)
    assert first != pytest.approx(second, rel=1e-6)
    plain = disc_store(6, split="validate").batch(range(6)).image
    assert any(torch.equal(x, plain) for training, x in seen if not training)


def test_windows_lie_anew_in_every_step_and_the_middle_is_scored():
    network, seen = make(), []
    network.down[0].register_forward_pre_hook(lambda module, inputs: seen.append((module.training, inputs[0].clone())))
    result = train(network=network, epochs=2, batch_size=20, augment=False, crop_px=12)
    first, second = (sorted(image.sum().item() for image in x) for training, x in seen if training)
    assert first != pytest.approx(second, rel=1e-6)
    assert {tuple(x.shape[-2:]) for _, x in seen} == {(12, 12)}
    inside = middle(disc_store(6, split="validate"), 12).batch(range(6)).image
    assert any(torch.equal(x, inside) for training, x in seen if not training)
    again = train(epochs=2, batch_size=20, augment=False, crop_px=12)
    assert weights_hash(again) == weights_hash(result)


def test_an_interrupted_run_that_warps_goes_on_to_the_same_bits(tmp_path):
    whole = train(checkpoint_steps=1, warp=WARP)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, make(), [Stop(1, 2)], checkpoint_steps=1, warp=WARP)
    assert weights_hash(train(tmp_path, make(seed=9), checkpoint_steps=1, warp=WARP)) == weights_hash(whole)


@pytest.mark.parametrize("at", [(1, 2), (2, 1)])
def test_an_interrupted_run_with_a_constraint_goes_on_to_the_same_bits(tmp_path, at):
    """The multiplier and its moving average are part of what a checkpoint holds."""

    def hierarchy(seed=0):
        settings = {"width": 4, "levels": 3, "latents": [1, 1], "blocks": 1, "convs": 1}
        return build("hier-prob-unet", make_config("hier-prob-unet", settings), rng_for(seed, "weights"))

    whole = train(network=hierarchy(), checkpoint_steps=1)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, hierarchy(), [Stop(*at)], checkpoint_steps=1)
    resumed = train(tmp_path, hierarchy(seed=9), checkpoint_steps=1)
    assert weights_hash(resumed) == weights_hash(whole)
    assert resumed.network.multiplier.average.item() > 0
    assert resumed.network.multiplier.value() != 1


def test_a_finished_run_is_not_trained_again(tmp_path):
    first = train(tmp_path)
    again = train(tmp_path, make(seed=9), [Stop(1, 1)])
    assert weights_hash(again) == weights_hash(first)


CHILD = """
import sys, time
from pathlib import Path
import labutils.core.files as files
from tests.training.test_fit import make, train

run, slow = Path(sys.argv[1]), float(sys.argv[2])
rename = files.os.replace
def slow_replace(source, target):
    time.sleep(slow)  # widen the instant between a written file and its name
    rename(source, target)
files.os.replace = slow_replace
print("started", flush=True)
train(run, make(dropout=0.2), epochs=3, checkpoint_steps=1)
print("finished", flush=True)
"""


def start_child(run, slow):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(run), str(slow)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # Fabric's notes
        text=True,
        env=environment,
    )


def weights_bytes(run):
    return hashlib.sha256((run / checkpoint.WEIGHTS).read_bytes()).hexdigest()


def test_killed_at_five_instants_it_ends_with_the_same_bits(tmp_path):
    """SIGKILL at random instants, the last two while a checkpoint is being renamed; then one run to the end."""
    whole = tmp_path / "whole"
    train(whole, make(dropout=0.2), epochs=3, checkpoint_steps=1)
    run, instants = tmp_path / "killed", random.Random(4)
    for number in range(5):
        with start_child(run, slow=0.03 if number >= 3 else 0.005) as child:
            assert child.stdout.readline() == "started\n"
            if number < 3:
                time.sleep(instants.uniform(0.05, 0.25))
            else:
                wait_for(lambda: list(run.glob(".*.part")))
            child.kill()
            assert child.wait() == -signal.SIGKILL
    with start_child(run, slow=0) as child:
        assert child.communicate()[0] == "started\nfinished\n"
    assert weights_bytes(run) == weights_bytes(whole)


def wait_for(ready, seconds=20):
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.001)


class Broken(UNet):
    """A U-Net whose Dice term is NaN from the third step on, or whose gradient is."""

    fault = "term"

    def objective(self, batch, step, rng):
        terms = super().objective(batch, step, rng)
        if step < 2:
            return terms
        if self.fault == "term":
            return UNetTerms(terms.total + torch.nan, terms.cross_entropy, terms.dice + torch.nan)
        bad = (self.head.bias * 0).sqrt().sum()  # 0 forward, infinite slope times 0 backward
        return terms._replace(total=terms.total + bad)


@pytest.mark.parametrize(
    ("fault", "words"), [("term", "term 'dice' is nan at step 2"), ("gradient", "gradient at step 2 is not finite")]
)
def test_nan_stops_the_run_and_names_term_and_step(fault, words):
    network = Broken(make_config("unet", {"width": 4, "levels": 2}))
    network.fault = fault
    with pytest.raises(NumericsError, match=words):
        train(network=network)


def test_when_only_the_total_is_broken_the_total_is_named():
    with pytest.raises(NumericsError, match="'total' is inf at step 7"):
        finite_terms({"total": torch.tensor(torch.inf), "part": torch.tensor(1.0)}, 7)


def test_two_hundred_steps_at_a_high_rate_stay_finite():
    result = train(epochs=67, lr=1e-3, schedule="constant", validate=False)
    assert result.history[-1]["train_total"] < result.history[0]["train_total"]
    assert all(bool(torch.isfinite(tensor).all()) for tensor in result.network.state_dict().values())
