"""Objects of a mosaic lie where they were put, and each keeps the answer that was drawn for it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from labutils.core.checks import InputError
from labutils.data.mosaics import mosaic
from labutils.data.planted import Population, plant
from labutils.data.planted_raters import Everywhere, Part, rates_matrix
from labutils.data.planted_sets import SETTINGS
from labutils.data.planted_truths import ShapesConfig, wavy_shapes

SHAPES = ShapesConfig(size_px=16, radius_px=(4, 5.5))
ANSWERS = Population(styles=(Part(name="whole"), Part(name="left half")), frequencies=(0.7, 0.3), raters=3)


def small(cases=13):
    truths = wavy_shapes(cases, SHAPES, seed=3, split="train")
    card = SETTINGS["planted-two-modes"].card
    return plant(truths, ANSWERS, card=card, split="train", seed=3, noise=0.05)


def test_every_object_lies_at_its_row_and_column_with_image_masks_and_truth():
    one = small()
    many = mosaic(one, 2, 3)
    assert many.store.image.shape == (2, 1, 32, 48)
    assert many.store.masks.shape == (2, 3, 32, 48)
    for case in range(2):
        for place in range(6):
            (row, column), index = divmod(place, 3), 6 * case + place
            here = np.s_[16 * row : 16 * row + 16, 16 * column : 16 * column + 16]
            assert np.array_equal(many.store.image[case, 0][here], one.store.image[index, 0])
            assert np.array_equal(many.store.truth[case][here], one.store.truth[index])
            assert np.array_equal(many.drawn_by[case, :, place], one.drawn_by[index])
            assert np.array_equal(many.modes[case, place], one.likeliest(index))
            for rater in range(3):
                assert np.array_equal(many.store.masks[case, rater][here], one.store.masks[index, rater])


def test_cutting_undoes_joining():
    one = small()
    many = mosaic(one, 3, 2)
    cut = many.objects(torch.from_numpy(many.store.masks))
    assert cut.shape == (2, 3, 6, 16, 16)
    assert np.array_equal(cut.movedim(2, 1).flatten(0, 1).numpy(), one.store.masks[:12])


def test_the_answer_to_each_object_is_told_and_an_answer_that_nobody_gives_is_none():
    many = mosaic(small(), 2, 2)
    masks = torch.from_numpy(many.store.masks) > 0
    assert np.array_equal(many.answered(masks, least=0.85).numpy(), many.drawn_by)
    assert many.answered(torch.zeros_like(masks), least=0.85).eq(-1).all()


def test_cases_are_joined_where_the_same_raters_judged_them_and_refused_where_others_did():
    """The case that is left over may differ."""
    one = small()
    present = np.ones_like(one.store.present)
    present[6:, 2] = False

    def with_raters(judged):
        return one._replace(store=replace(one.store, present=judged, masks=one.store.masks * judged[..., None, None]))

    assert np.array_equal(mosaic(with_raters(present), 2, 3).store.present, [[True, True, True], [True, True, False]])
    present[12] = True
    assert len(mosaic(with_raters(present), 2, 3).store) == 2
    present[7, 2] = True
    with pytest.raises(InputError, match="6 cases from 'train-6' on differ in who judged them; wanted the same raters"):
        mosaic(with_raters(present), 2, 3)


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="rows and columns are 0 and 2"):
        mosaic(small(), 0, 2)
    with pytest.raises(InputError, match="3 cases were given for 4 objects"):
        mosaic(small(3), 2, 2)
    with pytest.raises(InputError, match=r"maps are \(16, 16\); wanted \(32, 32\)"):
        mosaic(small(), 2, 2).objects(torch.zeros(16, 16))
    truths = wavy_shapes(4, SHAPES, seed=3, split="train")
    raters = (Everywhere(name="one", matrix=rates_matrix(0.8, 0.9)),)
    known = plant(truths, raters, card=SETTINGS["planted-global"].card, split="train", seed=3)
    with pytest.raises(InputError, match="'planted-global' are identified"):
        mosaic(known, 2, 2)
