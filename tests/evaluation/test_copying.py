"""Copying the most similar image: the right neighbor is found, and the recorded numbers come out again."""

from pathlib import Path

import numpy as np
import pytest

from labutils.core.checks import InputError
from labutils.core.files import read_json
from labutils.data import catalog
from labutils.data.discs import CARD
from labutils.data.store import Store
from labutils.evaluation import copying
from labutils.evaluation.copying import copy_most_similar
from labutils.evaluation.passport import check_passport
from tests.discs import disc_store

RECORDED = Path(__file__).parents[2] / "results" / "lidc-idri" / "copying.json"
ROWS = np.arange(4)[:, None] * np.ones((1, 4))  # brighter downwards


def four_cases(patients=("p", "p", "q", "q"), present=True):
    """Images that rise down, down with a flaw, down with two flaws, and up; masks of the rows 0, 0 to 1, 0 to 3, none.

    The second resembles the first most, and of the other patient the third.
    """
    image = np.stack([ROWS, ROWS, ROWS, ROWS[::-1]])
    image[1, 0, 0], image[2, 0, :2] = 3, 3
    masks = np.zeros((4, 2, 4, 4), np.uint8)
    for i, rows in enumerate((1, 2, 4, 0)):
        masks[i, 0, :rows] = 1  # one of two raters: half, so the consensus
    return Store(
        image=(image[:, None] / 3).astype(np.float32),
        masks=masks,
        present=np.full((4, 2), present),
        truth=None,
        spacing_mm=np.ones((4, 2)),
        patients=patients,
        cases=("a", "b", "c", "d"),
        card=CARD,
        split="train",
        source="memory",
    )


def test_the_consensus_of_the_most_similar_image_by_hand():
    copied = copy_most_similar(four_cases())
    #  a takes b (2 * 4 / 12), b takes a, c takes b (2 * 8 / 24), d is least unlike c: empty against full
    assert copied.any_image == pytest.approx([2 / 3, 2 / 3, 2 / 3, 0])
    # a and b take c (2 * 4 / 20, 2 * 8 / 24), c takes b, d takes b
    assert copied.other_patient == pytest.approx([0.4, 2 / 3, 2 / 3, 0])


def test_a_flat_image_and_gray_levels_do_not_matter():
    store = four_cases()
    image = np.array(store.image)
    image[3] = 0.5
    image[:2] = image[:2] / 2 + 0.1
    flat = Store(**{**vars(store), "image": image})
    assert copy_most_similar(flat).any_image[:3] == pytest.approx([2 / 3] * 3)
    assert np.isfinite(copy_most_similar(flat).any_image).all()


@pytest.mark.parametrize(
    ("store", "sentence"),
    [
        (four_cases(patients=("p",) * 4), "has one patient; wanted two"),
        (four_cases(present=False), "has cases without a rater"),
    ],
)
def test_what_cannot_be_compared_is_refused(store, sentence):
    with pytest.raises(InputError, match=sentence):
        copy_most_similar(store)


def test_the_command_writes_a_record_with_a_passport(tmp_path, monkeypatch):
    monkeypatch.setattr(catalog, "load", lambda name, split: disc_store(6, split=split))
    copying.main(["--data", "discs", "--out", str(tmp_path / "r.json")])
    found = read_json(tmp_path / "r.json")
    check_passport(found["passport"], "r.json")
    scores = copy_most_similar(disc_store(6))
    assert found["dice"]["any_image"]["mean"] == pytest.approx(scores.any_image.mean(), abs=1e-6)
    assert found["dice"]["difference"]["mean"] == pytest.approx((scores[0] - scores[1]).mean(), abs=1e-6)


def test_the_record_says_what_the_chapter_says():
    found = read_json(RECORDED)
    check_passport(found["passport"], "copying.json")
    assert found["passport"]["data"][0]["source"] == "your copy"
    assert found["dice"]["difference"]["low"] > 0.1


@pytest.mark.data
def test_the_record_comes_out_again():
    found, store = read_json(RECORDED), catalog.load("lidc-crops", "train")
    assert found["passport"]["data"][0]["manifest"] == store.manifest
    again = copying.record(store)["dice"]
    for name, interval in found["dice"].items():
        assert interval == pytest.approx(again[name], abs=1e-5), name
