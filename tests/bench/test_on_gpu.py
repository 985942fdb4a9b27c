"""The measurement for a GPU, run small on a processor: five cores are the same step with more work."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from labutils.models.hier_prob_unet import HierProbUNetConfig
from tests.bench import on_gpu
from tests.discs import disc_store

SMALL = HierProbUNetConfig(width=8, levels=4, latents=(1, 1), blocks=1, convs=2)
BATCH = disc_store(2, size=32).batch(range(2))


def test_five_cores_take_the_same_step_with_more_work():
    kinds = {name: kind for name, kind in on_gpu.KINDS.items() if name != "compiled"}
    taken, losses = on_gpu.steps(kinds, SMALL, BATCH, torch.device("cpu")), {}
    flops = {}
    for name, step in taken.items():
        with FlopCounterMode(display=False) as counted:
            losses[name] = [step() for _ in range(3)]
        flops[name] = counted.get_total_flops()
    assert losses["five cores"] == losses["as it is"]
    assert flops["five cores"] > 1.2 * flops["as it is"]
    assert on_gpu.measure(taken["as it is"], 1) > 0


def test_without_a_gpu_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert on_gpu.main() == 2
    assert "no GPU" in capsys.readouterr().err


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_it_runs_on_a_gpu(capsys):
    assert on_gpu.main() == 0
    assert "five cores" in capsys.readouterr().out
