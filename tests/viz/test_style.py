import itertools
import subprocess
import sys

import matplotlib
import numpy as np
import pytest

from labutils.viz.style import (
    BOOK_STYLE,
    MODEL_COLOR,
    PAPER,
    RATER_COLORS,
    casing,
    new_figure,
    rater_style,
    use_book,
)

# How a color looks without red, green or blue cones: Machado, Oliveira and Fernandes 2009, severity 1, linear RGB.
BLINDNESS = {
    "none": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lab(color, matrix):
    skimage_color = pytest.importorskip("skimage.color")
    rgb = np.array(matplotlib.colors.to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.asarray(matrix) @ linear, 0, 1)
    srgb = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
    return skimage_color.rgb2lab(srgb[None, None])[0, 0]


@pytest.mark.parametrize("kind", BLINDNESS)
def test_rater_colors_stay_apart_in_color_blindness(kind):
    seen = [lab(color, BLINDNESS[kind]) for color in RATER_COLORS]
    closest = min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2))
    assert closest > 15  # steps of lightness or hue; about 2 is the least one can see


def test_a_rater_keeps_its_color_and_forty_raters_repeat_only_after_thirty_two():
    assert rater_style(0) == ("#D55E00", "-")  # the book's text and pictures count on it
    styles = [rater_style(r) for r in range(40)]
    assert len(set(styles[:32])) == 32
    assert styles[32:] == styles[:8]


def test_use_book_sets_the_paper():
    with matplotlib.rc_context():
        use_book()
        assert matplotlib.rcParams["figure.facecolor"] == PAPER
        assert all(matplotlib.rcParams[key] is not None for key in BOOK_STYLE)


@pytest.mark.parametrize("kind", BLINDNESS)
@pytest.mark.parametrize("color", [*RATER_COLORS, MODEL_COLOR])
def test_an_outline_or_its_rim_stands_off_every_gray(color, kind):
    rim = matplotlib.colors.to_rgba(casing(color, 1)[0]._gc["foreground"])
    for gray in np.linspace(0, 1, 11):
        ground, beside = np.full(3, gray), rim[3] * np.array(rim[:3]) + (1 - rim[3]) * gray
        seen = [lab(one, BLINDNESS[kind]) for one in (color, ground, beside)]
        assert max(np.linalg.norm(seen[0] - other) for other in seen[1:]) > 15, gray


def test_a_figure_shows_itself_as_png_on_opaque_paper_at_its_size():
    figure, _ = new_figure(panel=(1, 1))
    png, shown = figure._repr_png_()
    assert png.startswith(b"\x89PNG")
    assert shown == {"width": 96}
    assert figure.get_facecolor() == pytest.approx(matplotlib.colors.to_rgba(PAPER))


def test_pyplot_is_never_imported():
    code = "import sys; from labutils.viz import curves, panels; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
