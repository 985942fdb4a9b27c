"""Procedural cells have the size asked for, hold their center, and are seen in their pictures."""

import numpy as np
import pytest

from labutils.core.runtime import numpy_rng_for
from labutils.data import cell_looks
from labutils.data.redraw import outline_of

SIZE, CENTER = (120, 160), (60.0, 70.0)


def rng(seed=0):
    return numpy_rng_for(seed, "cell looks")


@pytest.mark.parametrize("seed", range(6))
def test_a_cell_has_its_area_and_holds_its_center(seed):
    mask = cell_looks.cell_shape(SIZE, CENTER, rng(seed), area_px=900, reach_px=55)
    assert mask.sum() == pytest.approx(900, rel=0.1)  # the drawn edge counts as inside
    assert mask[60, 70]
    far = np.hypot(*(np.argwhere(mask) - CENTER).T)
    assert far.max() <= 56


def test_a_cell_that_would_reach_too_far_is_smaller():
    mask = cell_looks.cell_shape(SIZE, CENTER, rng(), area_px=9000, reach_px=30)
    assert np.hypot(*(np.argwhere(mask) - CENTER).T).max() <= 31
    assert mask.sum() < 3000


def test_a_turned_cell_is_the_same_cell():
    still, turned = (
        cell_looks.cell_shape(SIZE, CENTER, rng(), area_px=900, reach_px=55, turn=turn) for turn in (0.0, np.pi)
    )
    overlap = still[21:100, 31:110] & turned[21:100, 31:110][::-1, ::-1]
    assert overlap.sum() > 0.9 * still.sum()
    assert not np.array_equal(still, turned)


def test_a_disc_is_nearly_round():
    mask = cell_looks.disc_shape((40, 40), (20, 20), rng(), area_px=150)
    assert mask.sum() == pytest.approx(150, rel=0.2)
    height, width = (np.ptp(places) + 1 for places in np.nonzero(mask))
    assert 0.7 < height / width < 1.4


def test_pictures_show_the_object_and_repeat():
    mask = cell_looks.varied(cell_looks.cell_shape(SIZE, CENTER, rng(), area_px=1500, reach_px=55), rng())
    cell, nothing = outline_of(mask), np.zeros(SIZE, bool)
    pictures = {
        "phase": lambda: cell_looks.phase_contrast(cell, rng()),
        "bright": lambda: cell_looks.fluorescence(cell, nothing, rng()),
        "dark": lambda: cell_looks.vessel(cell, rng()),
    }
    drawn = {name: draw() for name, draw in pictures.items()}
    for name, gray in drawn.items():
        assert (gray.dtype, gray.shape) == (np.uint8, SIZE)
        assert np.array_equal(gray, pictures[name]())
    assert drawn["bright"][mask].mean() > 2 * drawn["bright"][~mask].mean()
    assert drawn["dark"][mask].mean() < 0.7 * drawn["dark"][~mask].mean()
    rim = (cell.distance < -1) & (cell.distance > -5)
    assert drawn["phase"][rim].mean() > drawn["phase"][mask].mean() + 10
