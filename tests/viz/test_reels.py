import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from labutils.core.checks import InputError
from labutils.viz.reels import LONGEST_MS, reel, sample_frames

GRAY = np.arange(5, dtype=np.uint8)[:, None, None] * np.full((8, 12), 40, dtype=np.uint8)
RNG = np.random.default_rng(0)
COLORS = RNG.integers(0, 256, (3, 6, 4, 3), dtype=np.uint8)
IMAGE = np.full((1, 16, 16), 0.5, dtype=np.float32)
SAMPLES = np.stack([np.pad(np.ones((n, n)), ((2, 14 - n), (3, 13 - n))) for n in (0, 4, 9)])


def decoded(film):
    """Every frame as RGB, and for how many milliseconds each is shown."""
    picture = Image.open(io.BytesIO(film))
    frames, lasts = [], []
    for place in range(picture.n_frames):
        picture.seek(place)
        frames.append(np.asarray(picture.convert("RGB")))
        lasts.append(picture.info["duration"])
    return np.stack(frames), lasts, picture.info["loop"]


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found[tag] = dict(attributes)


@pytest.mark.parametrize("frames", [GRAY, COLORS], ids=["gray", "colors"])
def test_every_frame_comes_back_exactly_and_the_reel_stops(frames):
    made = reel(frames, "a test", frame_ms=120)
    shown, lasts, loops = decoded(made.film)
    wanted = frames if frames.ndim == 4 else np.repeat(frames[..., None], 3, axis=3)
    assert np.array_equal(shown, wanted)
    assert lasts == [120] * len(frames)
    assert loops == 1
    assert made.size == (frames.shape[2], frames.shape[1])
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(made.poster)).convert("RGB")), wanted[0])


def test_an_equal_frame_prolongs_the_one_before():
    _, lasts, _ = decoded(reel(GRAY[[0, 0, 1]], "a test", frame_ms=100).film)
    assert sum(lasts) == 300


@pytest.mark.parametrize(
    ("frames", "options", "fault"),
    [
        (GRAY.astype(float), {}, "type float64; wanted uint8"),
        (GRAY[0], {}, "frames has shape"),
        (GRAY[:0], {}, "wanted one frame"),
        (COLORS[..., :2], {}, "C = 3"),
        (GRAY, {"alt": " "}, "alt is empty"),
        (GRAY, {"frame_ms": LONGEST_MS // 5 + 1}, "5 frames of 1001 ms last 5005 ms"),
        (GRAY, {"frame_ms": 0}, "last 0 ms"),
        (COLORS, {"most_bytes": 100}, "bytes; wanted 100 at most"),
    ],
)
def test_what_cannot_be_shown_is_refused(frames, options, fault):
    with pytest.raises(InputError, match=re.escape(fault)):
        reel(frames, **{"alt": "a test", **options})


def test_the_page_holds_it_all_and_shows_the_poster_to_whom_motion_disturbs():
    made = reel(GRAY, 'five "grays" & more')
    text = made._repr_html_()
    tags = Tags(text).found
    assert tags["img"]["alt"] == 'five "grays" & more'
    assert (tags["img"]["width"], tags["img"]["height"]) == ("12", "8")
    assert base64.b64decode(tags["img"]["src"].split(",")[1]) == made.film
    assert tags["source"]["media"] == "(prefers-reduced-motion: reduce)"
    assert base64.b64decode(tags["source"]["srcset"].split(",")[1]) == made.poster
    assert tags["button"]["type"] == "button"
    assert "//" not in re.sub(r"base64,[^\"]*", "", text)  # no address of anything else


def test_a_sample_has_a_frame_with_its_outline_number_and_scale():
    frames = sample_frames(IMAGE, SAMPLES, spacing_mm=(1.0, 1.0))
    assert frames.dtype == np.uint8
    assert frames.shape == (3, frames.shape[1], frames.shape[1], 3)
    red, green, blue = np.moveaxis(frames.astype(int), -1, 0)
    yellow = (red > 200) & (green > 190) & (blue < 120)  # the model's color, and nothing else in the frame
    assert not yellow[0].any()  # an empty sample
    step = frames.shape[1] / 16
    rows, columns = (np.flatnonzero(yellow[2].any(axis=axis)) / step for axis in (1, 0))
    assert (rows[0], rows[-1]) == pytest.approx((2, 11), abs=0.2)
    assert (columns[0], columns[-1]) == pytest.approx((3, 12), abs=0.2)
    corner, bar = frames[:, : int(2 * step), : int(7 * step)], frames[:, int(14 * step) :, : int(7 * step)]
    assert not np.array_equal(corner[0], corner[1])  # the number
    assert np.array_equal(bar[0], bar[1])
    assert (bar[0] > 240).all(axis=2).any()


def test_a_frame_keeps_the_proportions_of_the_tissue():
    _, rows, columns, _ = sample_frames(IMAGE, SAMPLES[:1], spacing_mm=(2.0, 1.0)).shape
    assert rows == pytest.approx(2 * columns, abs=1)


def test_samples_must_be_there_and_fit():
    with pytest.raises(InputError, match="samples is empty"):
        sample_frames(IMAGE, SAMPLES[:0])
    with pytest.raises(InputError, match="samples has shape"):
        sample_frames(IMAGE, SAMPLES[:, :8])
