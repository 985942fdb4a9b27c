"""Segmenting medical images when experts disagree. For research and teaching; not a medical device.

The package is a set of rooms, imported by name (``from labutils.metrics.disagreement import ged_squared``);
this file holds the version and the one door to a trained model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from labutils.models.base import Model

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(name_or_run: str | Path) -> Model:
    """Give a trained model, in evaluation mode, with its card in ``model.card``.

    Args:
        name_or_run: path of a folder written by ``labutils train``, or the name of a model that comes with the package
            (`labutils.training.trained.shipped`).
    Raises:
        WeightsError: the folder, its configuration or its weights are missing, damaged or of another model.
    """
    from labutils.training.trained import load_trained

    return load_trained(name_or_run)
