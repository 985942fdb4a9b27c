"""Sizes of images that models are tested with: some are built for one size."""

from dataclasses import fields

from labutils.models.registry import MODELS

BUILT_FOR_ONE = {name for name, entry in MODELS.items() if "size_px" in {f.name for f in fields(entry.config)}}


def sized(name, settings, height, width):
    """Settings of a model for images of this size."""
    return settings | ({"size_px": [height, width]} if name in BUILT_FOR_ONE else {})


def pairs(shapes):
    """Every model with every shape (..., H, W); one pixel is too few for a network that normalizes each image."""
    return [(name, shape) for name in MODELS for shape in shapes if name not in BUILT_FOR_ONE or shape[-2:] != (1, 1)]
