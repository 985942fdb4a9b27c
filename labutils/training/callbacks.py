"""What people watch while a model trains: a progress bar, curves, and ten validation pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from labutils.core.files import atomic_write, write_json
from labutils.core.runtime import rng_for
from labutils.models.samplers import one_answer
from labutils.training.checkpoint import Progress
from labutils.training.fit import Callback, Epoch

PICTURES = 10


class ProgressBar(Callback):
    """One bar over all steps, with the last loss and the last epoch's scores beside it."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._last = ""

    def on_start(self, epochs: int, steps: int, progress: Progress) -> None:
        """Open the bar where the training stands."""
        from tqdm.auto import tqdm

        done = progress.epoch * steps + progress.step
        self._bar = tqdm(total=epochs * steps, initial=done, unit="step", mininterval=0.5, leave=True)

    def on_step(self, epoch: int, step: int, loss: float) -> None:
        """Move on by one step."""
        self._bar.set_postfix_str(f"epoch {epoch} loss {loss:.3f} {self._last}", refresh=False)
        self._bar.update(1)

    def on_epoch(self, epoch: Epoch) -> None:
        """Show the validation scores."""
        self._last = " ".join(f"{name} {epoch.scores[name]:.3f}" for name in ("iou", "dice") if name in epoch.scores)
        if self._bar.n >= self._bar.total:
            self._bar.set_postfix_str(self._last)
            self._bar.close()


class Curves(Callback):
    """``history.json`` and ``curves.svg`` in the run folder, new after every epoch."""

    def __init__(self, run: Path) -> None:
        self.run = run

    def on_epoch(self, epoch: Epoch) -> None:
        """Write both anew, each whole."""
        from labutils.viz.curves import training_curves

        history = [dict(row) for row in epoch.history]
        write_json(self.run / "history.json", history)
        _save(training_curves(series(history)), self.run / "curves.svg")


class Pictures(Callback):
    """Ten validation cases with the raters' outlines and the prediction, one picture file an epoch."""

    def __init__(self, folder: Path, cases: int = PICTURES) -> None:
        self.folder, self.cases = folder, cases

    @torch.no_grad()
    def on_epoch(self, epoch: Epoch) -> None:
        """Draw the same cases, spread over the split, as the network sees them now."""
        from labutils.viz.panels import validation_pictures

        if epoch.validate is None:
            return
        rows = np.unique(np.linspace(0, len(epoch.validate) - 1, self.cases).round().astype(int))
        batch = epoch.validate.batch(rows)
        epoch.network.eval()
        probs = one_answer(epoch.network, batch.image.to(epoch.device), rng_for(0, "pictures")).cpu()
        figure = validation_pictures(
            batch.image.numpy(), 1 - probs[:, 0].numpy(), batch.masks.numpy(), batch.present.numpy()
        )
        _save(figure, self.folder / f"epoch-{epoch.number:04d}.png")


def series(history: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """What a training kept, as ``labutils.viz.curves.training_curves`` draws it: loss, Dice and IoU by epoch.

    Args:
        history: one row an epoch, as in `FitResult`; the loss is the total.
    """
    names = {
        "train/loss": "train_total",
        "validation/loss": "val_total",
        "validation/Dice": "dice",
        "validation/IoU": "iou",
    }
    return {name: [row[key] for row in history] for name, key in names.items() if history and key in history[0]}


def _save(figure: Any, path: Path) -> None:
    with atomic_write(path) as stream:
        figure.savefig(stream, format=path.suffix[1:])
