"""Procedural pictures of cells and vessels: shapes, and how each kind of microscope or scanner shows them.

They follow what the public images show to the eye (a dark cell with a bright rim among debris, a bright cell on black,
a dark disc in gray tissue); nothing was learned from images, and nothing here simulates optics.
"""

from __future__ import annotations

import cv2
import numpy as np

from labutils.data.redraw import Outline, outline_of, redrawn, smooth_noise

NEIGHBORS = 2  # cells of a phase-contrast image that nobody outlined, on average


def cell_shape(
    size: tuple[int, int],
    center: tuple[float, float],
    rng: np.random.Generator,
    *,
    area_px: float,
    reach_px: float,
    turn: float = 0.0,
) -> np.ndarray:
    """A cell with two to four arms, bool (H, W).

    Args:
        size: (H, W).
        center: (row, column), inside the cell.
        rng: the same state gives the same cell.
        area_px: of the cell.
        reach_px: how far from the center an arm may go; a cell that would go farther is smaller instead.
        turn: radians by which the cell is turned.
    """
    angles = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    arms = int(rng.integers(2, 5))
    towards = rng.uniform(0, 2 * np.pi) + np.arange(arms) * 2 * np.pi / arms + rng.normal(0, 0.25, arms)
    radius = np.ones_like(angles)
    for angle, length in zip(towards, rng.uniform(0.4, 2.0, arms), strict=True):
        radius += length * np.clip(np.cos(angles - angle - turn), 0, 1) ** 10
    return _blob(size, center, radius, area_px, reach_px)


def disc_shape(
    size: tuple[int, int], center: tuple[float, float], rng: np.random.Generator, *, area_px: float
) -> np.ndarray:
    """A nearly round object, bool (H, W); arguments as for `cell_shape`."""
    angles = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    radius = 1 + rng.uniform(0, 0.12) * np.cos(2 * (angles - rng.uniform(0, np.pi)))
    return _blob(size, center, radius, area_px, max(size) / 2)


def _blob(
    size: tuple[int, int], center: tuple[float, float], radius: np.ndarray, area_px: float, reach_px: float
) -> np.ndarray:
    """Filled, bool (H, W): `radius`, in equal steps of angle, is scaled to the area."""
    area = np.pi * float((radius**2).mean())
    radius = radius * min(np.sqrt(area_px / area), reach_px / radius.max())
    angles = np.linspace(0, 2 * np.pi, len(radius), endpoint=False)
    corners = np.stack([center[1] + radius * np.cos(angles), center[0] + radius * np.sin(angles)], axis=1)
    mask = np.zeros(size, np.uint8)
    cv2.fillPoly(mask, [np.round(corners).astype(np.int32)], 1)
    return mask.astype(bool)


def phase_contrast(cell: Outline, rng: np.random.Generator) -> np.ndarray:
    """A cell of `cell`, uint8 (H, W), with a bright rim, among debris and cells that nobody outlined."""
    size = (cell.distance.shape[0], cell.distance.shape[1])
    level, contrast = rng.uniform(0.14, 0.4), rng.uniform(0.5, 1.0)
    gray = level * (1 + 0.15 * smooth_noise(size, 150, rng)) + 0.12 * level * smooth_noise(size, 4, rng)
    _add_debris(gray, level, rng)
    for d in (outline_of(_neighbors(size, rng)).distance, cell.distance):
        inside = np.clip(d / 3 + 0.5, 0, 1)
        rim = np.exp(-(((d + 3) / 4) ** 2)) * np.clip(1 + 0.6 * smooth_noise(size, 30, rng), 0, 2)
        texture = 0.25 * smooth_noise(size, 6, rng)
        gray += level * contrast * (0.5 * rim + inside * (texture - 0.3))
    return as_bytes(gray + 0.01 * rng.standard_normal(size, dtype=np.float32))


def _neighbors(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Small cells near the image's border, bool (H, W); one or more."""
    found = np.zeros(size, bool)
    for _ in range(1 + int(rng.poisson(NEIGHBORS - 1))):
        along = rng.uniform(0.1, 0.9)
        place = ((0.07, along), (0.93, along), (along, 0.07), (along, 0.93))[rng.integers(4)]
        center = (place[0] * size[0], place[1] * size[1])
        found |= cell_shape(size, center, rng, area_px=rng.uniform(800, 3000), reach_px=60)
    return found


def _add_debris(gray: np.ndarray, level: float, rng: np.random.Generator) -> None:
    """Dark and bright specks, drawn into `gray`; a few are white."""
    specks = np.zeros(gray.shape, np.float32)
    for brightness in (*rng.uniform(-0.5, 0.5, int(rng.integers(150, 600))), *[3 / level] * 3):
        place = (int(rng.integers(gray.shape[1])), int(rng.integers(gray.shape[0])))
        cv2.circle(specks, place, int(rng.integers(1, 5)), float(level * brightness), -1)
    gray += cv2.GaussianBlur(specks, (0, 0), 1.0)


def fluorescence(cell: Outline, others: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A bright cell on black, uint8 (H, W), brightest in its middle; `others`, bool (H, W), shows further cells."""
    size, d = cell.distance.shape, cell.distance
    dark, bright = rng.uniform(0.04, 0.07), rng.uniform(0.1, 0.3)
    inside = np.clip(d / 3 + 0.5, 0, 1) * (0.5 + 0.5 * np.clip(d / d.max(), 0, 1))
    inside += cv2.GaussianBlur(others.astype(np.float32), (0, 0), 1.5)
    gray = dark + bright * inside * (1 + 0.15 * smooth_noise(size, 3, rng))
    return as_bytes(gray + 0.01 * rng.standard_normal(size, dtype=np.float32))


def vessel(disc: Outline, rng: np.random.Generator) -> np.ndarray:
    """A dark disc in gray tissue with dark patches of its own, uint8 (H, W)."""
    size = disc.distance.shape
    tissue = np.clip(rng.uniform(0.13, 0.2) + 0.07 * smooth_noise(size, 4, rng), 0.03, 0.6)
    inside = np.clip(disc.distance / 3 + 0.5, 0, 1)
    gray = tissue + inside * (rng.uniform(0.04, 0.08) - tissue)
    return as_bytes(gray + 0.015 * smooth_noise(size, 1, rng))


def as_bytes(gray: np.ndarray) -> np.ndarray:
    """Gray values in [0, 1] as uint8, 0 to 255; what is beyond is cut off."""
    return np.round(np.clip(gray, 0, 1) * 255).astype(np.uint8)


def varied(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same shape with a less regular edge, bool (H, W)."""
    return redrawn(outline_of(mask), rng, wobble=0.12, detail=1.0)
