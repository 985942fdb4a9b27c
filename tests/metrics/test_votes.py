"""Vote counts by hand, and foreground votes wherever a byte would run over."""

import pytest
import torch

from labutils.core.runtime import rng_for
from labutils.metrics.votes import foreground_votes, vote_counts


def test_by_hand():
    masks = torch.tensor([[[[0, 1, 2]], [[0, 2, 2]], [[1, 1, 1]]]], dtype=torch.uint8)
    votes, raters = vote_counts(masks, torch.tensor([[True, True, False]]), 3)
    assert votes[0, :, 0].tolist() == [[2, 0, 0], [0, 1, 0], [0, 1, 2]]
    assert raters.tolist() == [2]


@pytest.mark.parametrize("raters", [1, 255, 256, 300])
def test_foreground_votes_reach_the_number_of_raters(raters):
    masks = torch.ones(2, raters, 2, 3, dtype=torch.bool)
    present = torch.rand(2, raters, generator=rng_for(raters, "present")) < 0.9
    present[:, 0] = True
    votes, count = foreground_votes(masks, present)
    assert torch.equal(votes, present.sum(1, dtype=torch.int32)[:, None, None].expand(2, 2, 3))
    assert torch.equal(count, present.sum(1, dtype=torch.int32))
    assert torch.equal(foreground_votes(~masks, present)[0], torch.zeros_like(votes))
