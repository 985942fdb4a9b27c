"""The explorer of metrics: its numbers are those of the metric functions, and worked by hand where that is possible."""

import json

import numpy as np
import pytest
import torch

from labutils.core.checks import InputError
from labutils.core.runtime import numpy_rng_for
from labutils.explore.metrics import (
    LARGEST_PX,
    MOVED,
    POSITIONS,
    RATERS,
    SIZE_PX,
    MetricsExplorer,
    disc,
    metrics_at,
    metrics_figure,
)
from labutils.metrics.disagreement import ged_squared, hungarian_iou
from labutils.metrics.overlap import dice, iou
from labutils.metrics.surface import average_symmetric_surface_distance, hausdorff_percentile

FAR_APART = {"raters": [[10, 10, 2], [10, 10, 2]], "samples": [[30, 10, 2], [10, 40, 2]]}  # pixels share nothing


def position(name):
    return {"raters": RATERS, "samples": POSITIONS[name]}


def drawn(rng):
    discs = rng.integers(0, [SIZE_PX, SIZE_PX, LARGEST_PX + 1], (4, 3)).tolist()
    return {"raters": discs[:2], "samples": discs[2:]}


def test_a_disc_holds_the_pixels_nearer_than_its_radius():
    assert not disc(5, 7, 0).any()
    assert np.argwhere(disc(5, 7, 1)).tolist() == [[7, 5]]
    assert disc(5, 7, 2).sum() == 9  # the diagonal neighbors are nearer than 2
    assert np.argwhere(disc(0, 0, 2)).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]


@pytest.mark.parametrize("seed", range(4))
def test_numbers_are_those_of_the_metric_functions(seed):
    value = drawn(numpy_rng_for(seed, "discs"))
    found = metrics_at(value, pixel_mm=0.7)
    for s, sample in enumerate(value["samples"]):
        for r, rater in enumerate(value["raters"]):
            a, b = (torch.from_numpy(disc(*one))[None] for one in (sample, rater))
            assert found.iou[s, r] == iou(a, b).item()
            assert found.dice[s, r] == dice(a, b).item()
            np.testing.assert_equal(found.hd95_mm[s, r], hausdorff_percentile(a, b, (0.7, 0.7)).item())
            np.testing.assert_equal(found.assd_mm[s, r], average_symmetric_surface_distance(a, b, (0.7, 0.7)).item())
    sets = [torch.stack([torch.from_numpy(disc(*one)) for one in value[kind]])[None] for kind in ("samples", "raters")]
    assert found.ged_v == ged_squared(*sets).item()
    assert found.ged_u == ged_squared(*sets, estimator="U").item()
    assert found.hungarian_iou == hungarian_iou(*sets).item()


@pytest.mark.parametrize("seed", range(4))
def test_the_terms_make_up_the_score(seed):
    found = metrics_at(drawn(numpy_rng_for(seed, "terms")))
    for whole, samples, raters, ged in ((*found.terms_v, found.ged_v), (*found.terms_u, found.ged_u)):
        assert whole - samples - raters == pytest.approx(ged, abs=1e-12)
    assert found.terms_u[1:] == pytest.approx(
        [2 * one for one in found.terms_v[1:]]
    )  # of two masks, half are self-pairs


def test_by_hand_where_nothing_overlaps():
    found = metrics_at(FAR_APART)
    assert found.iou.tolist() == found.dice.tolist() == [[0, 0], [0, 0]]
    # equal squares of 3 x 3 pixels, 20 px to the right and 30 px down; half a millimeter a pixel
    near, far = found.assd_mm[:, 0]
    assert found.hd95_mm[:, 0].tolist() == [10, 15]
    assert found.assd_mm[:, 0].tolist() == found.assd_mm[:, 1].tolist()
    assert 9 < near < 10 < 14 < far < 15
    assert (found.ged_v, found.ged_u) == (2 - 0.5, 2 - 1)
    assert found.terms_v == (2, 0.5, 0)


def test_overlap_ties_where_the_set_does_not():
    alike, each = metrics_at(position("both on one rater")), metrics_at(position("one on each"))
    assert alike.mean_iou == pytest.approx(each.mean_iou)
    assert alike.mean_assd_mm == pytest.approx(each.mean_assd_mm)
    assert each.ged_v == pytest.approx(0, abs=1e-12)
    assert each.ged_v < alike.ged_v
    assert each.hungarian_iou == 1 > alike.hungarian_iou


def test_distances_to_an_empty_mask_are_undefined_and_counted():
    found = metrics_at(position("one sample empty"))
    assert found.iou[1].tolist() == found.dice[1].tolist() == [0, 0]
    assert np.isnan([found.hd95_mm[1], found.assd_mm[1]]).all()
    assert found.undefined_pairs == 2
    assert found.mean_assd_mm == found.assd_mm[0].mean()


def test_two_empty_masks_agree():
    empty = [[9, 9, 0], [30, 30, 0]]
    found = metrics_at({"raters": empty, "samples": empty})
    assert (found.iou == 1).all()
    assert (found.dice == 1).all()
    assert (found.hd95_mm == 0).all()
    assert (found.ged_v, found.mean_assd_mm, found.undefined_pairs) == (0, 0, 0)
    none = metrics_at({"raters": RATERS, "samples": empty})
    assert np.isnan(none.mean_assd_mm)
    assert none.undefined_pairs == 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"samples": [[1, 2, 3]]},
        {"samples": [[1, 2, 3], [1, 2]]},
        {"samples": [[1, 2, 3], [SIZE_PX, 2, 3]]},
        {"raters": [[1, 2, 3], [1, -1, 3]]},
        {"raters": [[1, 2, 3], [1, 2, LARGEST_PX + 1]]},
        {"raters": [[1, 2, 3], [1, 2.5, 3]]},
        {"raters": []},
    ],
)
def test_discs_that_cannot_be_drawn_are_refused(wrong):
    with pytest.raises(InputError, match="wanted two of"):
        metrics_at(FAR_APART | wrong)
    explorer = MetricsExplorer()
    start = explorer.value
    with pytest.raises(InputError, match="wanted two of"):
        explorer.value = start | wrong
    with pytest.raises(InputError, match="wanted two of"):
        MetricsExplorer(**wrong)
    assert explorer.value == start


def test_a_disc_without_a_name_cannot_be_moved():
    with pytest.raises(InputError, match="moved"):
        MetricsExplorer(moved="rater 3")
    with pytest.raises(InputError, match="pixel_mm"):
        MetricsExplorer(pixel_mm=0)


def test_the_value_is_plain_and_can_be_set():
    explorer = MetricsExplorer(samples=np.array(POSITIONS["one on each"]).tolist(), moved="rater 1")
    assert json.loads(json.dumps(explorer.value)) == position("one on each") | {"moved": "rater 1"}
    explorer.value = FAR_APART | {"moved": MOVED[0]}
    assert metrics_at(explorer.value).mean_iou == 0
    with pytest.raises(InputError, match="keys"):
        explorer.value = FAR_APART
    assert len(json.dumps(explorer.data)) < 10_000


def test_the_figure_has_one_panel_a_position():
    figure = metrics_figure([position(name) for name in POSITIONS])
    panels = figure.axes
    assert len(panels) == len(POSITIONS)
    written = [panel.texts[-1].get_text() for panel in panels]
    assert f"GED², V  {metrics_at(position('both between')).ged_v:.3f}" in written[0]
    assert all("5 mm" in panel.texts[0].get_text() for panel in panels)
