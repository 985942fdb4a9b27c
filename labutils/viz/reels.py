"""Reels: a model's samples one after another, as a small lossless moving picture that stops by itself.

Arrays in, a `Reel` out, which a notebook and a page show without asking anything of the internet. Whoever asked the
system for less motion sees the first frame; a button plays the reel, once for every press.
"""

from __future__ import annotations

import base64
import html
import io
from string import Template
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg

from labutils.core.checks import InputError, require, require_shape
from labutils.viz.outlines import outline
from labutils.viz.panels import Spacing, corner_label, show_image
from labutils.viz.style import BOOK_STYLE, MODEL_COLOR, BookFigure

LONGEST_MS = 5000  # what moves for longer needs a way to pause it (WCAG 2.2.2)
MOST_BYTES = 1_000_000  # of the moving picture, before it is written as text into a page
SIDE_IN = 2.6  # of a frame's longer side

PAGE = Template("""\
<div class="lu-reel" style="max-width: ${width}px; margin: 0 auto; text-align: center">
<picture>
<source media="(prefers-reduced-motion: reduce)" srcset="data:image/webp;base64,$poster">
<img src="data:image/webp;base64,$film" alt="$alt" width="$width" height="$height"
  style="max-width: 100%; height: auto">
</picture>
<button type="button" style="font: inherit; padding: 0.3em 0.9em; margin-top: 0.4em" onclick="$play">Play</button>
</div>""")
# A new address starts the film anew: one after # is new to the browser and means nothing to the picture.
PLAY = """\
const reel = this.closest('.lu-reel'), still = reel.querySelector('source'), film = reel.querySelector('img');
if (still) still.remove();
film.src = film.src.split('#')[0] + '#' + Date.now();"""


class Reel(NamedTuple):
    """A moving picture that a notebook displays by itself; it plays once."""

    film: bytes  # animated lossless WebP
    poster: bytes  # its first frame, lossless WebP
    size: tuple[int, int]  # width and height in pixels
    alt: str  # what it shows, for those who do not see it

    def _repr_html_(self) -> str:
        film, poster = (base64.b64encode(data).decode() for data in (self.film, self.poster))
        width, height = self.size
        return PAGE.substitute(
            film=film,
            poster=poster,
            alt=html.escape(self.alt),
            width=width,
            height=height,
            play=html.escape(PLAY.replace("\n", " ")),
        )


def reel(frames: np.ndarray, alt: str, *, frame_ms: int = 300, most_bytes: int = MOST_BYTES) -> Reel:
    """Frames as a moving picture that shows each once and stays at the last.

    Args:
        frames: uint8 (S, H, W) gray or (S, H, W, 3) colors; a frame equal to the one before it prolongs that one.
        alt: what the reel shows, in words.
        frame_ms: how long a frame stays, 1 or more.
        most_bytes: size above which the reel is refused.
    Raises:
        InputError: frames have another type or shape or there are none, `alt` is empty, the reel lasts longer than
            five seconds, or it is too large.
    """
    from PIL import Image

    frames = np.asarray(frames)
    require(frames.dtype == np.uint8, f"frames have type {frames.dtype}; wanted uint8")
    sizes = require_shape("frames", frames, "SHW") if frames.ndim == 3 else require_shape("frames", frames, "SHWC", C=3)
    require(min(sizes.values()) > 0, f"frames have shape {frames.shape}; wanted one frame with one pixel or more")
    require(alt.strip(), "alt is empty; wanted what the reel shows, in words")
    lasts = frame_ms * len(frames)
    if frame_ms < 1 or lasts > LONGEST_MS:
        raise InputError(f"{len(frames)} frames of {frame_ms} ms last {lasts} ms; wanted 1 to {LONGEST_MS}")
    pictures = [Image.fromarray(frame).convert("RGB") for frame in frames]
    film, poster = io.BytesIO(), io.BytesIO()
    pictures[0].save(film, "WEBP", lossless=True, save_all=True, append_images=pictures[1:], duration=frame_ms, loop=1)
    pictures[0].save(poster, "WEBP", lossless=True)
    if len(film.getvalue()) > most_bytes:
        raise InputError(
            f"the reel has {len(film.getvalue())} bytes; wanted {most_bytes} at most: fewer or smaller frames"
        )
    return Reel(film.getvalue(), poster.getvalue(), pictures[0].size, alt)


def sample_frames(image: np.ndarray, samples: np.ndarray, *, spacing_mm: Spacing = None) -> np.ndarray:
    """One frame a sample: its outline on the image, its number in the corner, a scale bar.

    Args:
        image: float (C, H, W) or (H, W) in [0, 1].
        samples: (S, H, W) masks or probabilities; outlined where above 0.5.
        spacing_mm: (row, column) for the scale bar and the proportions; None gives pixels.
    Returns:
        uint8 (S, rows, columns, 3), larger than the image: an outline runs along the edges of pixels.
    Raises:
        InputError: there is no sample, or its size is not the image's.
    """
    image, samples = np.asarray(image), np.asarray(samples)
    count = require_shape("samples", samples, "SHW", H=image.shape[-2], W=image.shape[-1])["S"]
    require(count > 0, "samples is empty; wanted S >= 1")
    row_mm, column_mm = (1.0, 1.0) if spacing_mm is None else spacing_mm[-2:]
    high, wide = samples.shape[1] * row_mm, samples.shape[2] * column_mm
    size_in = (SIDE_IN * wide / max(high, wide), SIDE_IN * high / max(high, wide))
    frames = []
    for place, sample in enumerate(samples, 1):
        with matplotlib.rc_context(BOOK_STYLE):
            figure = BookFigure(figsize=size_in)
            ax = figure.add_axes((0, 0, 1, 1))
            show_image(ax, image, spacing_mm)
            outline(ax, sample > 0.5, MODEL_COLOR, width=1.8)
            corner_label(ax, f"sample {place} of {count}")
            canvas = FigureCanvasAgg(figure)
            canvas.draw()
        frames.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    return np.stack(frames)
