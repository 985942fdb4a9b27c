"""Procedural CT: repeatable, plausible, shows the raters' doubt, and is not solved by a threshold."""

import dataclasses

import cv2
import numpy as np
import pytest

from labutils.core.checks import InputError
from labutils.core.runtime import numpy_rng_for
from labutils.data.texture import WINDOW_HU, Look, Scanner, ct_crop, nodule_look, smooth_field

QUIET = Scanner(noise_hu=20.0, grain_px=0.6, lung_hu=-860.0)
SOLID = Look(density_hu=35.0, contrast=0.9, blur_px=0.6, spikes=0.0)
RATED = {"subtlety": 5, "margin": 5, "spiculation": 1, "texture": 5, "calcification": 6}


def disc(radius=8.0, size=64):
    rows, columns = np.indices((size, size)) - (size - 1) / 2
    return np.hypot(rows, columns) <= radius


def crops(votes, look=SOLID, n=24, scanner=QUIET):
    return [ct_crop(votes, look, scanner, pixel_mm=0.7, rng=numpy_rng_for(0, "crop", i)) for i in range(n)]


def test_the_same_generator_gives_the_same_crop():
    first, again, other = (
        ct_crop(disc().astype(float), SOLID, QUIET, pixel_mm=0.7, rng=numpy_rng_for(0, i)) for i in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.dtype == np.float32
    assert first.shape == (64, 64)
    assert first.min() >= 0
    assert first.max() <= 1


def test_lung_and_solid_nodule_have_their_hounsfield_values():
    low, high = WINDOW_HU
    found = np.stack(crops(disc().astype(float)))
    inside = np.median(found[:, disc(5)]) * (high - low) + low
    lung = np.median(found[:, ~disc(20)]) * (high - low) + low
    assert -250 < inside < 100
    assert -930 < lung < -700


def test_doubt_is_visible_where_readers_differ():
    votes = (disc(10).astype(float) + disc(5)) / 2  # everybody in the middle, half of them around it
    found = np.stack(crops(votes, Look(density_hu=35.0, contrast=0.9, blur_px=0.8, spikes=0.0)))
    middle, rim, outside = (found[:, ring].mean() for ring in (disc(4), disc(9) & ~disc(6), disc(20) & ~disc(13)))
    assert middle > rim + 0.1 > outside + 0.2


def test_a_threshold_is_far_from_perfect():
    scores = []
    for image in crops(disc(6).astype(float), n=40):
        _, found = cv2.threshold((image * 255).astype(np.uint8), 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
        scores.append(2 * (found * disc(6)).sum() / (found.sum() + disc(6).sum()))
    assert np.mean(scores) < 0.7


def test_a_crop_without_a_nodule_is_lung():
    found = np.stack(crops(np.zeros((64, 64))))
    assert np.median(found) < 0.2
    assert np.isfinite(found).all()


def test_ratings_set_the_look():
    solid = nodule_look([RATED] * 4)
    glass = nodule_look([RATED | {"texture": 1}] * 4)
    calcified = nodule_look([RATED | {"calcification": 3}] * 4)
    vague = nodule_look([RATED | {"margin": 1}] * 4)
    faint = nodule_look([RATED | {"subtlety": 1}] * 4)
    spiky = nodule_look([RATED | {"spiculation": 5}] * 4)
    assert glass.density_hu < solid.density_hu < calcified.density_hu
    assert vague.blur_px > solid.blur_px
    assert faint.contrast < solid.contrast
    assert spiky.spikes > solid.spikes == 0


def test_a_nodule_that_few_outlined_is_fainter():
    assert nodule_look([RATED]).contrast < nodule_look([RATED] * 4).contrast


def test_spikes_reach_beyond_the_outline():
    ring = disc(13) & ~disc(9.5)
    plain, spiky = (
        np.stack(crops(disc().astype(float), dataclasses.replace(SOLID, spikes=spikes)))[:, ring].mean()
        for spikes in (0.0, 1.0)
    )
    assert spiky > plain + 0.01


def test_noise_follows_the_scanner():
    far = ~disc(14)
    quiet, loud = (
        np.median([image[far].std() for image in crops(np.zeros((64, 64)), n=10, scanner=scanner)])
        for scanner in (QUIET, dataclasses.replace(QUIET, noise_hu=100.0))
    )
    assert loud > quiet


def test_scanners_differ_and_repeat():
    first, again, other = (Scanner.draw(numpy_rng_for(0, scan)) for scan in (1, 1, 2))
    assert first == again != other


def test_smooth_noise_has_unit_spread_and_neighbors_alike():
    field = np.stack([smooth_field(64, 2.0, numpy_rng_for(0, i)) for i in range(20)])
    assert field.std() == pytest.approx(1.0, abs=0.05)
    assert np.corrcoef(field[:, :-1].ravel(), field[:, 1:].ravel())[0, 1] > 0.9


@pytest.mark.parametrize("votes", [np.zeros((4, 64, 64)), np.zeros((64, 32)), np.full((64, 64), 1.5)])
def test_senseless_votes_are_refused(votes):
    with pytest.raises(InputError, match="votes"):
        ct_crop(votes, SOLID, QUIET, pixel_mm=0.7, rng=numpy_rng_for(0))
