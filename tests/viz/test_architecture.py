import re
from itertools import pairwise

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from labutils.core.checks import InputError
from labutils.core.types import Architecture, Flow, Stage
from labutils.viz.architecture import Place, architecture, arrange


def stage(name, *shape, role="stage", parameters=7):
    return Stage(name, role, shape, parameters if role == "stage" else 0)


def chain(*names):
    return [Flow(source, target, False) for source, target in pairwise(names)]


U = Architecture(
    (
        stage("image", 1, 9, 9, role="image"),
        stage("fine", 4, 12, 12),
        stage("coarse", 8, 6, 6, parameters=12345),
        stage("back", 4, 12, 12),
        stage("probs", 2, 9, 9, role="output"),
    ),
    (*chain("image", "fine", "coarse", "back", "probs"), Flow("fine", "back", True)),
)
BRANCHES = Architecture(
    (
        stage("image", 1, 8, 8, role="image"),
        stage("body", 4, 8, 8),
        stage("prior", 4, 8, 8),
        stage("latent", 6),
        stage("noise", 6),
        stage("join", 4, 8, 8),
        stage("again", 8, 4, 4),
        stage("mu", 6, role="output"),
    ),
    (*chain("image", "body", "join", "again"), *chain("image", "prior", "latent", "join"), *chain("latent", "mu")),
)


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_encoder_and_decoder_stand_level_by_level():
    assert arrange(U) == {
        "image": Place(0, 0),
        "fine": Place(1, 0),
        "coarse": Place(2, 0),
        "back": Place(1, 1),
        "probs": Place(0, 1),
    }


def test_branches_have_places_of_their_own_and_every_lane_one_direction():
    places = arrange(BRANCHES)
    assert len(set(places.values())) == len(BRANCHES.stages)
    assert places["body"].lane != places["prior"].lane
    assert texts(architecture(BRANCHES, "toy")).count("7 parameters") == 6


def test_every_number_is_written():
    figure = architecture(U, "toy")
    shown = texts(figure)
    assert [text for text in shown if "×" in text and "channels" not in text] == [
        "1 × 9 × 9",
        "4 × 12 × 12",
        "8 × 6 × 6",
        "4 × 12 × 12",
        "2 × 9 × 9",
        "× 2",
    ]
    assert "12,345 parameters" in shown
    assert "÷ 2" in shown
    assert shown[-2:] == ["channels × rows × columns", "12,359 parameters in all"]


def test_skips_are_dashed_and_leave_with_their_flow():
    without = U._replace(flows=U.flows[:-1])
    dashed = [
        [
            arrow.get_linestyle()
            for arrow in architecture(shown, "toy").axes[0].patches
            if isinstance(arrow, FancyArrowPatch)
        ]
        for shown in (U, without)
    ]
    assert [styles.count("--") for styles in dashed] == [2, 0]  # one in the legend
    assert [styles.count("-") for styles in dashed] == [5, 5]
    assert "skips stages" not in texts(architecture(without, "toy"))


def test_the_drawing_is_named_vector_without_fonts_and_repeats():
    svg = architecture(U, "toy")._repr_svg_()
    assert "<title>toy: 3 stages, 1 skips, 12,359 parameters</title>" in svg
    assert "<text" not in svg
    assert "<image" not in svg
    assert not re.search(r"https?://(?!www\.w3\.org|purl\.org|creativecommons\.org)", svg)
    assert svg == architecture(U, "toy")._repr_svg_()


ALONE = Architecture((stage("a-stage-with-a-long-name", 3, 5, 5, 5, parameters=1),), ())


@pytest.mark.parametrize("shown", [U, BRANCHES, ALONE])
def test_nothing_is_clipped_and_no_text_leaves_its_box(shown):
    figure = architecture(shown, "toy")
    ax, renderer = figure.axes[0], FigureCanvasAgg(figure).get_renderer()
    boxes = [patch.get_window_extent() for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    assert len(boxes) == len(shown.stages)
    assert all(figure.bbox.containsx(box.x0) and figure.bbox.containsx(box.x1) for box in boxes)
    for text in ax.texts:
        lies = text.get_window_extent(renderer)
        assert min(lies.x0, lies.y0, figure.bbox.x1 - lies.x1, figure.bbox.y1 - lies.y1) >= 0, text
        in_box = [box for box in boxes if box.contains(lies.x0, (lies.y0 + lies.y1) / 2)]
        assert all(lies.x1 < box.x1 and box.y0 < lies.y0 and lies.y1 < box.y1 for box in in_box), text


def test_no_stage_is_refused():
    with pytest.raises(InputError, match="no stage"):
        architecture(Architecture((), ()), "nothing")
