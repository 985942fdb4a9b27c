"""Procedural lung CT: a stand-in for pixels, made around a nodule where real raters drew.

A crop is built in Hounsfield units at its own pixel size: lung with vessels, sometimes the chest wall with a rib, then
the nodule, then a scanner's blur and correlated noise. What the raters outlined shapes the nodule, so an image holds
what a network needs to find it and to foresee the raters' doubt:

- its profile is the fraction of raters who drew there, warped and blurred: doubt is visible as a soft rim;
- the raters' ratings set its density (texture 1 ground glass to 5 solid, calcification), its edge (margin), its
  spikes (spiculation), and its contrast (subtlety).

It is not a simulation of physics: the vessels have no anatomy, and slices of one nodule share a scanner but not a
background. Nothing here was learned from images, so nothing of a patient is in it but the outlines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from labutils.core.checks import require_shape, require_unit_range

WINDOW_HU = (-1000.0, 400.0)  # what becomes 0 and 1 in the image
LUNG_HU, SOFT_TISSUE_HU, GROUND_GLASS_HU = -860.0, 35.0, -560.0
CALCIFIED = 4.5  # mean rating below which a nodule is painted calcified; 6 means no calcification
FINE = 4  # vessels and walls are drawn on a grid this much finer, then averaged: soft edges from partial volume


@dataclass(frozen=True, kw_only=True)
class Scanner:
    """What all slices of one scan share."""

    noise_hu: float  # standard deviation of the noise
    grain_px: float  # how far noise is correlated; also the blur of the reconstruction
    lung_hu: float  # mean of the lung tissue

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Scanner:
        """A scanner at random: mostly quiet and smooth, sometimes thin, sharp and noisy."""
        return cls(
            noise_hu=float(np.clip(np.exp(rng.normal(3.5, 0.5)), 12, 110)),
            grain_px=float(rng.uniform(0.45, 0.9)),
            lung_hu=float(rng.normal(LUNG_HU, 25)),
        )


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a nodule is painted."""

    density_hu: float  # where every rater agrees
    contrast: float  # 0 to 1: how much of the density shows
    blur_px: float  # standard deviation of the edge
    spikes: float  # 0 (none) to 1 (many)


def nodule_look(ratings: Sequence[Mapping[str, int]], raters: int = 4) -> Look:
    """How to paint a nodule from the ratings of those who outlined it.

    Args:
        ratings: one table per rater who outlined the nodule, with subtlety, margin, spiculation, texture (1 to 5)
            and calcification (1 to 6).
        raters: how many read the scan; a nodule that few of them outlined is painted fainter.
    """
    mean = {key: float(np.mean([r[key] for r in ratings])) for key in ratings[0]}
    solid = np.clip((mean["texture"] - 1) / 4, 0, 1)
    density = GROUND_GLASS_HU + (SOFT_TISSUE_HU - GROUND_GLASS_HU) * solid
    if mean["calcification"] < CALCIFIED:
        density += 250 * solid
    seen = len(ratings) / raters
    return Look(
        density_hu=float(density),
        contrast=float(np.clip(0.45 + 0.1 * mean["subtlety"], 0, 0.9) * (0.7 + 0.3 * seen)),
        blur_px=0.5 + 0.3 * (5 - mean["margin"]),
        spikes=float(np.clip((mean["spiculation"] - 1.5) / 3.5, 0, 1)),
    )


def ct_crop(
    votes: np.ndarray, look: Look, scanner: Scanner, *, pixel_mm: float, rng: np.random.Generator
) -> np.ndarray:
    """A procedural CT crop with the nodule that `votes` describes.

    Args:
        votes: float (H, W) in [0, 1], H = W: the fraction of the raters who outlined the nodule that drew here.
        look: how the nodule is painted.
        scanner: what the slices of one scan share.
        pixel_mm: size of a pixel.
        rng: everything that differs from crop to crop.
    Returns:
        float32 (H, W) in [0, 1]: Hounsfield units cut to `WINDOW_HU`.
    Raises:
        InputError: `votes` is not square, or runs outside [0, 1].
    """
    require_shape("votes", votes, "HW", W=votes.shape[0])
    require_unit_range("votes", votes)
    votes = votes.astype(np.float32)
    hu = _with_vessels(_lung(votes.shape[0], scanner, rng), pixel_mm, rng)
    if rng.random() < 0.5:
        hu = _with_wall(hu, votes, pixel_mm, rng)
    profile = _nodule_profile(votes, look, pixel_mm, rng)
    # Dense tissue next to a nodule hides it (a nodule on the chest wall), so the brighter of the two is seen.
    hu = np.maximum(hu, scanner.lung_hu + (look.density_hu - scanner.lung_hu) * profile)
    hu = cv2.GaussianBlur(hu, (0, 0), scanner.grain_px) + _noise(hu.shape[0], scanner, rng)
    low, high = WINDOW_HU
    return np.clip((hu - low) / (high - low), 0, 1).astype(np.float32)


def smooth_field(size: int, scale_px: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise of mean 0 and standard deviation of about 1: float32 (H, W), details of about `scale_px`."""
    pad = int(3 * scale_px) + 1
    field = rng.standard_normal((size + 2 * pad, size + 2 * pad), dtype=np.float32)
    field = cv2.GaussianBlur(field, (0, 0), scale_px)[pad:-pad, pad:-pad]
    return field * np.float32(2 * np.sqrt(np.pi) * scale_px)  # a Gaussian blur divides white noise by this


def _lung(size: int, scanner: Scanner, rng: np.random.Generator) -> np.ndarray:
    coarse, fine = smooth_field(size, 10, rng), smooth_field(size, 1.2, rng)
    return (scanner.lung_hu + 25 * coarse + 18 * np.abs(fine) ** 1.5).astype(np.float32)


def _with_vessels(hu: np.ndarray, pixel_mm: float, rng: np.random.Generator) -> np.ndarray:
    """Branches that run through the slice, and round cuts of those that cross it: nobody marked them."""
    cover = np.zeros([n * FINE for n in hu.shape], np.float32)
    fine_mm = pixel_mm / FINE
    hilum = rng.uniform(0, 2 * np.pi)
    for _ in range(rng.poisson(3)):
        start = rng.uniform(0, cover.shape[0], 2)
        radius_mm = np.exp(rng.normal(-0.45, 0.5))
        _draw_branch(cover, start, hilum + rng.normal(0, 0.7), radius_mm / fine_mm, rng)
    for _ in range(rng.poisson(12)):
        x, y = rng.uniform(0, cover.shape[0], 2)
        a, b = np.exp(rng.normal(-0.45, 0.4, 2)) / fine_mm
        axes = (max(1, round(a)), max(1, round(b)))
        cv2.ellipse(cover, (int(x), int(y)), axes, rng.uniform(0, 180), 0, 360, rng.uniform(0.3, 1.0), -1)
    cover = cv2.resize(cover, hu.shape[::-1], interpolation=cv2.INTER_AREA)
    return hu + cover * (SOFT_TISSUE_HU - hu)


def _draw_branch(
    cover: np.ndarray, start: np.ndarray, angle: float, radius_px: float, rng: np.random.Generator, depth: int = 0
) -> None:
    """A winding vessel that tapers, forks, and fades where it leaves the slice."""
    point, steps = start, int(rng.integers(3, 12 - 3 * depth))
    level = rng.uniform(0.35, 1.0)
    for i in range(steps):
        angle += rng.normal(0, 0.22)
        ahead = point + 9 * np.array([np.cos(angle), np.sin(angle)])
        width = max(1, round(2 * radius_px * (1 - 0.6 * i / steps)))
        line = [(int(p[0]), int(p[1])) for p in (point, ahead)]
        cv2.line(cover, line[0], line[1], float(level * (1 - 0.7 * i / steps)), width, cv2.LINE_AA)
        if depth < 2 and rng.random() < 0.1:
            _draw_branch(cover, ahead, angle + rng.choice((-0.7, 0.7)), 0.7 * radius_px, rng, depth + 1)
        point = ahead


def _with_wall(hu: np.ndarray, votes: np.ndarray, pixel_mm: float, rng: np.random.Generator) -> np.ndarray:
    """The chest wall, heart or diaphragm at one side: muscle, fat, and sometimes a rib; it may touch the nodule."""
    size = hu.shape[0]
    y, x = (np.indices((size * FINE, size * FINE), dtype=np.float32) / FINE - (size - 1) / 2) * pixel_mm  # mm
    angle = rng.uniform(0, 2 * np.pi)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    center = np.argwhere(votes > 0).mean(0) if votes.any() else np.full(2, (size - 1) / 2)
    reach = ((np.argwhere(votes > 0) - center) @ (np.sin(angle), np.cos(angle))).max(initial=0) * pixel_mm
    gap_mm = reach + min(rng.exponential(7), 0.4 * size * pixel_mm) - 0.5
    curve = rng.uniform(-0.002, 0.012)
    depth_mm = along - gap_mm + curve * across**2 * np.sign(rng.random() - 0.3)
    cover = cv2.resize((depth_mm > 0).astype(np.float32), hu.shape[::-1], interpolation=cv2.INTER_AREA)
    depth_mm = cv2.resize(depth_mm, hu.shape[::-1], interpolation=cv2.INTER_AREA)
    fat = np.clip(smooth_field(size, 5, rng) - 0.4 + rng.uniform(-0.5, 0.5), 0, 1)
    tissue = SOFT_TISSUE_HU - 120 * fat + 8 * smooth_field(size, 2, rng)
    if rng.random() < 0.6:
        along_rib = cv2.resize(across, hu.shape[::-1], interpolation=cv2.INTER_AREA) - rng.normal(0, 12)
        tissue = _with_rib(tissue, depth_mm - rng.uniform(5, 9), along_rib, rng)
    return hu + cover * (tissue - hu)


def _with_rib(tissue: np.ndarray, depth_mm: np.ndarray, along_mm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    half_length, half_width = rng.uniform(6, 20), rng.uniform(2.5, 4.5)
    radius = np.sqrt((along_mm / half_length) ** 2 + (depth_mm / half_width) ** 2)
    bone = np.where(radius < 0.65, rng.uniform(100, 250), rng.uniform(450, 900))  # marrow, cortex
    return np.where(radius < 1, bone, tissue)


def _nodule_profile(votes: np.ndarray, look: Look, pixel_mm: float, rng: np.random.Generator) -> np.ndarray:
    """How much of the nodule's density shows at each pixel, 0 to 1: the votes, warped, blurred and roughened."""
    size = votes.shape[0]
    rows, columns = np.indices(votes.shape, dtype=np.float32)
    shift = 0.55 * smooth_field(size, 3, rng), 0.55 * smooth_field(size, 3, rng)  # raters see an edge only roughly
    profile = cv2.remap(votes, columns + shift[0], rows + shift[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    if look.spikes > 0 and votes.max() > 0:
        profile = np.maximum(profile, _spikes(votes, look, pixel_mm, rng))
    radius_px = np.sqrt(np.count_nonzero(votes) / np.pi)
    blur_px = min(look.blur_px, max(0.5, 0.25 * radius_px))  # a small nodule keeps its core
    profile = cv2.GaussianBlur(profile, (0, 0), blur_px)
    rough = 1 + 0.1 * smooth_field(size, 2, rng)
    return np.clip(look.contrast * profile * rough, 0, 1.1)


def _spikes(votes: np.ndarray, look: Look, pixel_mm: float, rng: np.random.Generator) -> np.ndarray:
    """Thin strands from the nodule's edge outward, which raters usually leave out."""
    inside = votes >= votes.max() / 2
    center, radius = np.argwhere(inside).mean(0), np.sqrt(inside.sum() / np.pi)
    cover = np.zeros([n * FINE for n in votes.shape], np.float32)
    for angle in rng.uniform(0, 2 * np.pi, rng.poisson(10 * look.spikes)):
        direction = np.array([np.sin(angle), np.cos(angle)])
        end = center + direction * (radius + rng.uniform(1.5, 5) / pixel_mm)
        points = [(int((p[1] + 0.5) * FINE), int((p[0] + 0.5) * FINE)) for p in (center, end)]
        cv2.line(cover, points[0], points[1], rng.uniform(0.4, 0.8), max(1, round(0.5 * FINE / pixel_mm)), cv2.LINE_AA)
    return cv2.resize(cover, votes.shape[::-1], interpolation=cv2.INTER_AREA)


def _noise(size: int, scanner: Scanner, rng: np.random.Generator) -> np.ndarray:
    """Noise with the spectrum of a filtered back-projection: little at the lowest and at the highest frequencies."""
    sharp, soft = smooth_field(size, scanner.grain_px, rng), rng.standard_normal((size, size), dtype=np.float32)
    band = sharp - cv2.GaussianBlur(sharp, (0, 0), 3 * scanner.grain_px) + 0.15 * soft
    return scanner.noise_hu * band / max(float(band.std()), 1e-6)
