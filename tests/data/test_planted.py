"""What is planted is there: matrices, independence, styles, and truths that cannot be told where that is promised."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from labutils.core.checks import ConfigError, InputError
from labutils.core.runtime import numpy_rng_for
from labutils.data import catalog
from labutils.data.planted import Population, plant
from labutils.data.planted_raters import (
    Everywhere,
    Over,
    Part,
    draw_masks,
    even_slips,
    likeliest_masks,
    matrices_at,
    rates_matrix,
)
from labutils.data.planted_sets import CASES, SETTINGS, planted
from labutils.data.planted_truths import ShapesConfig, wavy_shapes
from labutils.metrics.confusion import column_of_truth, dominance
from labutils.metrics.styles import nearest_style, style_shares

NAMES = tuple(SETTINGS)
PARTS = ("whole", "left half", "right half", "core", "nothing")
GOOD = Everywhere(name="good", matrix=even_slips(3, 0.1))


def columns_of(one):
    matrices = np.stack([one.matrices(i) for i in range(len(one.store))])
    truth = torch.from_numpy(one.store.truth)
    return column_of_truth(torch.from_numpy(matrices), truth), truth


def counted_matrices(store):
    """For each rater the frequency of each label, given the truth."""
    found = np.zeros((store.masks.shape[1], 2, 2))
    for r, masks in enumerate(store.masks.swapaxes(0, 1)):
        for truth in range(2):
            said = masks[(store.truth == truth) & store.present[:, r, None, None]]
            found[r, :, truth] = np.bincount(said, minlength=2) / len(said)
    return found


@pytest.mark.parametrize("labels", ["all", "one"])
def test_planted_global_matrices_are_the_frequencies_of_the_labels(labels):
    one = planted("planted-global", "train", cases=60, labels=labels)
    matrices = one.matrices(0)
    assert matrices.shape == (4, 2, 2, 64, 64)
    assert matrices[1, :, :, 5, 9] == pytest.approx(np.array([[0.95, 0.2], [0.05, 0.8]]))  # p .8, q .95
    # standard error of the least certain entry, 9,000 pixels of the class by one rater: .005
    assert counted_matrices(one.store) == pytest.approx(matrices[..., 0, 0], abs=0.02)


@pytest.mark.parametrize("name", NAMES)
def test_labels_follow_the_matrices_at_each_pixel(name):
    """Of all pixels whose rater says 1 with some chance, that share is 1."""
    one = planted(name, "train", cases=40)
    chances, said = columns_of(one)[0][:, :, 1].numpy(), one.store.masks
    seen = one.store.present[:, :, None, None]
    for low in np.arange(0, 1, 0.1):
        chosen = (chances >= low) & (chances < low + 0.1) & seen
        if chosen.sum() > 1000:
            assert said[chosen].mean() == pytest.approx(chances[chosen].mean(), abs=0.03)
    assert (chances >= 0.5).any()
    assert (chances < 0.5).any()


@pytest.mark.parametrize(
    ("name", "told"), [("planted-global", True), ("planted-pixel", True), ("planted-shared", False)]
)
def test_the_truth_is_what_most_labels_say_exactly_where_it_is_identified(name, told):
    margin = dominance(*columns_of(planted(name, "test", cases=20)))
    assert bool((margin > 0).all()) == told


def test_raters_err_independently_unless_errors_are_shared():
    def correlation(name):
        one = planted(name, "train", cases=40)
        near = (columns_of(one)[0][:, :2, 1].numpy() == np.float32(0.8)).all(axis=1)  # two equal raters, in the ring
        first, second = (one.store.masks[:, r][near] for r in range(2))
        return np.corrcoef(first, second)[0, 1]

    assert correlation("planted-shared") == pytest.approx(1)
    twice = plant(
        wavy_shapes(20, ShapesConfig(), seed=0, split="train"),
        (Over(name="a"), Over(name="b")),
        card=SETTINGS["planted-pixel"].card,
        split="train",
        seed=0,
    )
    ring = columns_of(twice)[0][:, 0, 1].numpy() == np.float32(0.8)
    first, second = (twice.store.masks[:, r][ring] for r in range(2))
    assert len(first) > 5000
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.05


def test_shared_masks_are_as_likely_under_another_truth():
    store = planted("planted-shared", "train", cases=5).store
    (mask,) = {masks.tobytes() for masks in store.masks[0]}
    other = np.frombuffer(mask, np.uint8).reshape(64, 64)
    exact = np.stack([Everywhere(name="exact", matrix=even_slips(2, 0.0)).at(other, 2)] * 4)
    again = draw_masks(exact, other, numpy_rng_for(0), shared=True)
    assert np.array_equal(again, store.masks[0])
    assert (other != store.truth[0]).sum() > 100


def test_styles_are_drawn_with_their_frequencies_and_told_by_their_masks():
    one = planted("planted-styles", "train", cases=150)
    assert not one.store.card.identified
    shares = np.bincount(one.drawn_by.ravel(), minlength=3) / one.drawn_by.size
    assert shares == pytest.approx([0.5, 0.3, 0.2], abs=0.06)  # standard error of the first: .02
    styles = np.stack([one.likeliest(i) for i in range(len(one.store))])
    assert np.array_equal(styles[:, 1], one.store.truth)
    assert (np.diff(styles.sum(axis=(2, 3), dtype=int), axis=1) < 0).all()  # over, good, under
    told = nearest_style(*(torch.from_numpy(masks).bool() for masks in (one.store.masks, styles)))
    assert np.array_equal(told, one.drawn_by)
    planted_shares = torch.tensor(SETTINGS["planted-styles"].raters.frequencies)
    assert style_shares(told, planted_shares).total_variation < 0.06


def test_one_label_a_case_is_by_one_rater_chosen_by_lot():
    every, one = (planted("planted-pixel", "train", cases=80, labels=labels).store for labels in ("all", "one"))
    assert every.present.all()
    assert (one.present.sum(axis=1) == 1).all()
    assert one.present.sum(axis=0).min() > 8  # of 20 each
    assert np.array_equal(one.masks[one.present], every.masks[one.present])
    assert not one.masks[~one.present].any()
    assert np.array_equal(one.image, every.image)


def test_the_image_shows_the_truth_under_noise_and_nothing_of_the_raters():
    store = planted("planted-shared", "train", cases=40).store
    inside, image = store.truth.astype(bool), store.image[:, 0]
    ring = store.masks[:, 0].astype(bool) & ~inside
    assert image.min() >= 0
    assert image.max() <= 1
    assert np.median(image[inside]) - np.median(image[~inside]) == pytest.approx(0.5, abs=0.02)
    assert image[ring].mean() == pytest.approx(image[~inside].mean(), abs=0.01)
    calm = plant(store.truth[:2], SETTINGS["planted-global"].raters, card=store.card, split="train", seed=0, noise=0.0)
    assert np.unique(calm.store.image).tolist() == [0.25, 0.75]


def test_more_classes_are_planted_alike():
    truths = wavy_shapes(20, ShapesConfig(classes=3), seed=0, split="train")
    card = replace(SETTINGS["planted-global"].card, classes=3)
    one = plant(truths, (GOOD, Over()), card=card, split="train", seed=0)
    said = one.store.masks[:, 0][truths == 2]
    assert np.bincount(said, minlength=3) / len(said) == pytest.approx([0.05, 0.05, 0.9], abs=0.02)
    assert columns_of(one)[0].sum(dim=2).numpy() == pytest.approx(1)


def test_the_catalog_has_what_the_function_makes(monkeypatch):
    assert set(NAMES) <= set(catalog.names())
    assert sum(CASES.values()) == 2000
    monkeypatch.setitem(CASES, "validate", 6)
    for name in NAMES:
        kept = catalog.load(name, "validate", limit=3)
        assert kept.manifest == planted(name, "validate", cases=3).store.manifest
        assert kept.card.name == name


def test_seeds_and_splits_share_nothing():
    first, again, split, seed = (
        planted("planted-global", name, cases=2, seed=seed).store.manifest
        for name, seed in (("train", 0), ("train", 0), ("test", 0), ("train", 1))
    )
    assert first == again
    assert len({first, split, seed}) == 3


CARD = SETTINGS["planted-global"].card
TRUTHS = np.zeros((1, 4, 4), np.uint8)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: planted("planted", "train"), ConfigError, "planted data is 'planted'"),
        (lambda: planted("planted-pixel", "dev"), ConfigError, "split is 'dev'"),
        (lambda: planted("planted-pixel", "test", cases=0), ConfigError, "cases is 0"),
        (lambda: planted("planted-pixel", "test", cases=1, labels="two"), ConfigError, "labels is 'two'"),
        (lambda: plant(TRUTHS + 2, [Over()], card=CARD, split="a", seed=0), InputError, "label 2"),
        (lambda: plant(TRUTHS.astype(int), [Over()], card=CARD, split="a", seed=0), InputError, "int64"),
        (lambda: plant(TRUTHS, [], card=CARD, split="a", seed=0), InputError, "no rater"),
        (lambda: plant(TRUTHS, [GOOD], card=CARD, split="a", seed=0), InputError, "knows 3 classes of 2"),
        (lambda: plant(TRUTHS, [Over()], card=CARD, split="a", seed=0, noise=-1), ConfigError, "noise is -1"),
        (
            lambda: plant(TRUTHS, SETTINGS["planted-styles"].raters, card=CARD, split="a", seed=0),
            InputError,
            "identified True; wanted False",
        ),
        (lambda: Population(styles=(Over(),), frequencies=(0.5,)), ConfigError, "frequencies"),
        (lambda: Population(styles=(Over(),), frequencies=(0.5, 0.5)), ConfigError, "for 1 styles"),
        (lambda: Population(styles=(Over(),), frequencies=(1.0,), raters=0), ConfigError, "raters is 0"),
        (lambda: Everywhere(name="a", matrix=rates_matrix(0.9, 1.2)), ConfigError, "chances"),
    ],
)
def test_refusals(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_parts_of_an_object_by_hand():
    """A square of 5 x 5 pixels in columns 2 to 6: its middle column is 4, its innermost pixel lies 3 deep."""
    truth = np.zeros((9, 9), np.uint8)
    truth[1:6, 2:7] = 1
    marked = {name: likeliest_masks(matrices_at([Part(name=name)], truth, 2), truth)[0] for name in PARTS}
    left, core = np.zeros_like(truth), np.zeros_like(truth)
    left[1:6, 2:5] = 1
    core[2:5, 3:6] = 1
    for name, wanted in zip(PARTS, (truth, left, truth - left, core, np.zeros_like(truth)), strict=True):
        assert (marked[name] == wanted).all(), name
        assert not likeliest_masks(matrices_at([Part(name=name)], 0 * truth, 2), 0 * truth).any()


def test_an_unknown_part_is_refused():
    with pytest.raises(ConfigError, match="name is 'half'; wanted one of 'whole', 'left half', 'right half', 'core'"):
        Part(name="half")


def test_masks_of_modes_are_modes_as_often_as_planted():
    one = planted("planted-four-modes", "train", cases=200)
    masks = torch.from_numpy(one.store.masks) > 0
    modes = torch.from_numpy(np.stack([one.likeliest(i) for i in range(200)])) > 0
    planted_shares = torch.tensor(SETTINGS["planted-four-modes"].raters.frequencies)
    found = style_shares(nearest_style(masks, modes, least=1.0), planted_shares)
    assert found.other == 0
    assert found.total_variation < 0.04
