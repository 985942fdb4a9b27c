"""What people watch: a bar that ends full, curves, ten pictures."""

import json
import os

import cv2
import pytest
import torch

from labutils.training.callbacks import Curves, Pictures, ProgressBar
from labutils.training.fit import fit
from labutils.training.settings import FitConfig
from tests.discs import disc_store
from tests.training.test_fit import make


def train(callbacks, cases=12, epochs=2):
    stores = disc_store(6), disc_store(cases, split="validate")
    return fit(make(), *stores, FitConfig(epochs=epochs), device=torch.device("cpu"), callbacks=callbacks)


def test_curves_are_written_after_each_epoch(tmp_path):
    result = train([Curves(tmp_path)])
    assert json.loads((tmp_path / "history.json").read_text()) == list(result.history)
    assert b"<svg" in (tmp_path / "curves.svg").read_bytes()


@pytest.mark.parametrize(("cases", "shown"), [(12, 10), (3, 3)])
def test_ten_pictures_an_epoch(tmp_path, monkeypatch, cases, shown):
    import labutils.viz.panels as panels

    seen, draw = [], panels.validation_pictures
    monkeypatch.setattr(panels, "validation_pictures", lambda *parts: seen.append(parts) or draw(*parts))
    train([Pictures(tmp_path)], cases)
    assert sorted(os.listdir(tmp_path)) == ["epoch-0001.png", "epoch-0002.png"]
    assert cv2.imread(str(tmp_path / "epoch-0002.png")).std() > 0
    images, probabilities, masks, present = seen[0]
    assert len(images) == len(probabilities) == len(masks) == len(present) == shown
    assert 0 <= probabilities.min() <= probabilities.max() <= 1


def test_the_bar_ends_full(capsys):
    train([ProgressBar()])
    out = capsys.readouterr().err
    assert "2/2" in out
    assert "dice" in out
