"""Shape letters, cases, goals."""

import numpy as np
import pytest
import torch

from labutils.core import checks, types


def make_case(**changes):
    parts = {
        "image": np.zeros((1, 4, 5), np.float32),
        "masks": np.zeros((3, 4, 5), np.uint8),
        "present": np.array([True, True, False]),
        "case": "one",
    }
    return types.Case(**(parts | changes))


def test_a_case_keeps_what_it_is_given():
    case = make_case(truth=np.ones((4, 5), np.uint8), spacing_mm=(0.5, 0.7))
    assert case.image.shape == (1, 4, 5)
    assert case.spacing_mm == (0.5, 0.7)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image": np.zeros((4, 5), np.float32)}, r"image has shape \(4, 5\)"),
        ({"masks": np.zeros((3, 4, 6), np.uint8)}, "wanted W = 5"),
        ({"present": np.array([True])}, "wanted R = 3"),
        ({"present": np.zeros(3, bool)}, "no rater is present"),
        ({"truth": np.zeros((5, 4), np.uint8)}, "wanted H = 4"),
        ({"spacing_mm": (1.0,)}, "for 2 axes"),
        ({"spacing_mm": (1.0, 0.0)}, "must be positive"),
    ],
)
def test_a_case_refuses_parts_that_do_not_fit(changes, words):
    with pytest.raises(checks.InputError, match=words):
        make_case(**changes)


def test_a_volume_is_a_case_too():
    case = make_case(
        image=np.zeros((1, 2, 4, 5), np.float32), masks=np.zeros((3, 2, 4, 5), np.uint8), spacing_mm=(2.0, 1.0, 1.0)
    )
    assert case.masks.shape == (3, 2, 4, 5)


@pytest.mark.parametrize(("direction", "good", "bad"), [("maximize", 2.0, 0.5), ("minimize", 0.5, 2.0)])
def test_a_goal_knows_which_way_is_better(direction, good, bad):
    goal = types.Goal(metric="m", direction=direction)
    assert goal.better(good, 1.0)
    assert not goal.better(bad, 1.0)
    assert not goal.better(1.0, 1.0)
    assert goal.better(bad, None)
    assert not goal.better(float("nan"), None)


def test_a_goal_refuses_an_unknown_direction():
    with pytest.raises(checks.ConfigError, match="maximise"):
        types.Goal(direction="maximise")


def test_as_present_defaults_to_everybody_and_refuses_nobody():
    masks = torch.zeros(2, 3, 4, 4)
    assert types.as_present(masks, None).all()
    with pytest.raises(checks.InputError, match="case 1"):
        types.as_present(masks, torch.tensor([[True, False, False], [False, False, False]]))
    with pytest.raises(checks.InputError, match="no rater"):
        types.as_present(torch.zeros(2, 0, 4, 4), None)
    with pytest.raises(checks.InputError, match="R = 3"):
        types.as_present(masks, torch.ones(2, 2, dtype=torch.bool))


def test_a_batch_moves_all_its_parts():
    batch = types.Batch(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2), torch.ones(1, 1), torch.zeros(1, 2, 2))
    assert all(part.device.type == "meta" for part in batch.to("meta"))
    assert batch._replace(truth=None).to("meta").truth is None
