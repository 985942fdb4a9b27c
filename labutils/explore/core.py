"""What every explorer shares: one module of JavaScript, all its data beside it, and two ways to carry them.

An explorer works where no Python runs: what its controls change is computed by its module from data that were packed
when it was made. A widget manager carries it in JupyterLab and on pages (anywidget); `as_html` carries the same module
where there is none. Python reads what a reader has chosen from ``value``, and may set it.
"""

from __future__ import annotations

import base64
import html
import json
import uuid
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

from labutils.core.checks import InputError, require, require_finite, require_shape
from labutils.core.types import Case
from labutils.viz.outlines import bar_length
from labutils.viz.style import dashes, rater_style

MOST_RATERS = 8  # one bit each in a byte
_FOLDER = Path(__file__).parent


def module(name: str) -> str:
    """The ES module of an explorer: what all share, then its own file, then what a widget manager asks for."""
    return f"{_source(name)}\nexport default carry(mount);\n"


class Explorer(anywidget.AnyWidget):
    """Base of all explorers; a subclass sets ``_esm = module(name)`` and ``name``, and packs its data.

    Traits: ``data``, plain values that JSON can hold, with a "title"; ``value``, what the controls are set to. A new
    value must have the same keys; the page follows it.
    """

    _css = (_FOLDER / "kit.css").read_text(encoding="utf-8")
    name = ""  # of the module's file
    data = traitlets.Dict().tag(sync=True)
    value = traitlets.Dict().tag(sync=True)

    def __init__(self, data: Mapping[str, Any], value: Mapping[str, Any]) -> None:
        require(data.get("title"), "the explorer's data has no title; screen readers need one", InputError)
        super().__init__(data=dict(data), value=dict(value))

    @traitlets.validate("value")
    def _same_keys(self, proposal: Any) -> dict[str, Any]:
        given, wanted = proposal["value"], self.value
        if wanted and set(given) != set(wanted):
            raise InputError(f"value has the keys {sorted(given)}; wanted {sorted(wanted)}")
        self.check(given)
        return given

    def check(self, value: Mapping[str, Any]) -> None:
        """Refuse, with an InputError, a value that the controls cannot show; `data` is there already."""


class as_html:  # noqa: N801 - reads as a verb where it is used, and must be an object for a notebook to show it
    """An explorer as plain HTML, for pages and hosts without a widget manager; Python learns nothing from it."""

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer

    def _repr_html_(self) -> str:
        explorer, place = self._explorer, f"lu-{uuid.uuid4().hex}"
        given = ", ".join(json.dumps(one).replace("<", r"\u003c") for one in (explorer.data, explorer.value))
        title = html.escape(str(explorer.data["title"]))
        return (
            f'<div id="{place}"><noscript>{title}: moving it needs JavaScript.</noscript></div>\n'
            f"<style>{explorer._css}</style>\n<script>(() => {{\n{_source(explorer.name)}\n"
            f'mount(document.getElementById("{place}"), {given}, () => {{}});\n}})();</script>'
        )


def pack(array: np.ndarray, *, smooth: bool = False) -> dict[str, Any]:
    """An array for an explorer's module, compressed without loss.

    Args:
        array: uint8, any shape with at least one axis.
        smooth: neighbors along the last axis are alike, as in images: steps between them compress better.
    Returns:
        ``shape``, ``bytes`` (base64 of zlib) and ``delta``, as kit.js unpacks them.
    Raises:
        InputError: the array is not uint8, or has no axis.
    """
    require(array.dtype == np.uint8 and array.ndim > 0, f"array is {array.dtype} {array.shape}; wanted uint8")
    stored = np.diff(array, axis=-1, prepend=np.zeros_like(array[..., :1])) if smooth else array
    packed = zlib.compress(np.ascontiguousarray(stored).tobytes(), level=9)
    return {"shape": list(array.shape), "bytes": base64.b64encode(packed).decode("ascii"), "delta": smooth}


def pack_floats(array: np.ndarray) -> dict[str, Any]:
    """Numbers for an explorer's module, to the bit.

    Args:
        array: float16 or float32, any shape with at least one axis.
    Returns:
        What `pack` gives for their bytes, with the numbers' own ``shape`` and ``bits``.
    Raises:
        InputError: the array is neither, has no axis, or holds NaN or infinity.
    """
    kinds = (np.float16, np.float32)
    require(array.dtype in kinds and array.ndim > 0, f"array is {array.dtype} {array.shape}; wanted float16 or float32")
    stored = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    require_finite("array", stored)
    return {**pack(stored.view(np.uint8)), "shape": list(array.shape), "bits": 8 * array.itemsize}


def pack_images(images: np.ndarray) -> dict[str, Any]:
    """Gray images, float (N, H, W) in [0, 1], packed with 256 steps of gray."""
    return pack(np.rint(np.clip(images, 0, 1) * 255).astype(np.uint8), smooth=True)


def pack_cases(cases: Sequence[Case]) -> dict[str, Any]:
    """Cases and how their raters are drawn, as part of an explorer's data.

    Args:
        cases: 2D, of one size, with one to eight raters; the first channel of an image is shown.
    Returns:
        ``height``, ``width``, ``images``, ``masks`` (bit r of a byte: rater r), ``cases`` and ``raters``.
    Raises:
        InputError: there is no case, sizes differ, or there are more raters.
    """
    require(len(cases) > 0, "cases is empty; wanted at least one case")
    raters, height, width = (require_shape("masks", cases[0].masks, "RHW")[axis] for axis in "RHW")
    require(raters <= MOST_RATERS, f"the cases have {raters} raters; wanted {MOST_RATERS} at most")
    for one in cases:
        require_shape(f"case {one.case!r}: masks", one.masks, "RHW", R=raters, H=height, W=width)
    return {
        "height": height,
        "width": width,
        "images": pack_images(np.stack([one.image[0] for one in cases])),
        "masks": pack(np.stack([np.packbits(one.masks != 0, axis=0, bitorder="little")[0] for one in cases])),
        "cases": [
            {
                "label": one.case or f"case {place + 1}",
                "present": one.present.tolist(),
                "bar": bar_length(one.spacing_mm, width)._asdict(),
                "tall": 1.0 if one.spacing_mm is None else one.spacing_mm[0] / one.spacing_mm[1],
            }
            for place, one in enumerate(cases)
        ],
        "raters": rater_lines(raters),
    }


def rater_lines(raters: int) -> list[dict[str, Any]]:
    """Name, color and dashes of every rater, as all figures have them; kit.js draws outlines with them."""
    styles = [rater_style(r) for r in range(raters)]
    return [
        {"name": f"rater {r + 1}", "color": style.color, "dash": dashes(style.line)} for r, style in enumerate(styles)
    ]


def require_index(name: str, index: Any, count: int) -> None:
    """Raise an InputError unless `index` is a whole number from 0 to `count` - 1."""
    require(index in range(count), f"{name} is {index!r}; wanted 0 to {count - 1}")


def _source(name: str) -> str:
    return "\n".join((_FOLDER / file).read_text(encoding="utf-8") for file in ("kit.js", f"{name}.js"))
