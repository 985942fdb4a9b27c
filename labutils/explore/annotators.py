"""The explorer of drawn raters: move a latent vector, or draw one, and see who that is and what that rater would mark.

The model is a `labutils.models.stochastic_cm.StochasticCM`. All of it that needs a neighboring pixel is done once for
each image; what is left is a small network at every pixel, from a latent vector to a confusion matrix. That network is
packed, and the page runs it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.special import softmax
from torch import nn

from labutils.core.checks import require, require_shape
from labutils.core.types import Case
from labutils.explore.core import Explorer, module, pack, pack_cases, pack_floats, require_index
from labutils.metrics.overlap import pairwise_dice
from labutils.models.stochastic_cm import StochasticCM
from labutils.viz.annotators import FAINTEST, DrawnRater, drawn_raters, error_names
from labutils.viz.sampling import map_colors
from labutils.viz.style import AGREEMENT_MAP, MODEL_COLOR, PAPER, TRUTH_COLOR

MOST_LATENT = 12  # sliders
DECIMALS = 4  # of a drawn latent number
STEPS = 100  # of a slider, at least


class Layer(NamedTuple):
    """A linear map at every pixel, of what is above 0."""

    weight: np.ndarray  # float32 (outputs, inputs)
    bias: np.ndarray  # float32 (outputs,)


@dataclass(frozen=True, kw_only=True, eq=False)
class RaterDecoder:
    """What a trained model needs to draw raters of some images: numbers of each image, and a network at each pixel.

    Chances are computed in float64 from these numbers, here as on the page.
    """

    logits: np.ndarray  # float32 (B, K, H, W), of the truth, before softmax
    seen: np.ndarray  # float16 or float32 (B, F, H, W), features that the decoder sees
    who: np.ndarray  # float32 (F, Z), from a latent vector to what it adds to them
    layers: tuple[Layer, ...]  # from F features to the K * K logits of a matrix, [i, j] at i * K + j
    draws: np.ndarray  # float64 (B, S, Z), latent vectors drawn for each image

    def __post_init__(self) -> None:
        sizes = require_shape("logits", self.logits, "BKHW")
        space = {axis: sizes[axis] for axis in "BHW"}
        features = require_shape("seen", self.seen, "BFHW", **space)["F"]
        latent = require_shape("who", self.who, "FZ", F=features)["Z"]
        count = require_shape("draws", self.draws, "BSZ", B=sizes["B"], Z=latent)["S"]
        require(
            1 <= latent <= MOST_LATENT, f"there are {latent} latent numbers; wanted 1 to {MOST_LATENT}, a slider each"
        )
        require(count >= 1, "draws hold no latent vector; wanted one or more for each image")
        require(len(self.layers) >= 1, "layers is empty; wanted one or more")
        for at, layer in enumerate(self.layers):
            outputs = require_shape(f"layers[{at}].weight", layer.weight, "OI", I=features)["O"]
            require_shape(f"layers[{at}].bias", layer.bias, "O", O=outputs)
            features = outputs
        wanted = sizes["K"] ** 2
        require(
            features == wanted, f"the last layer has {features} outputs; wanted {wanted}, a {sizes['K']}-class matrix"
        )

    def truth(self, case: int) -> np.ndarray:
        """Chances of each class to be at each pixel of an image: float64 (K, H, W), summing to 1 over K."""
        return softmax(self.logits[case].astype(np.float64), axis=0)

    def matrices(self, case: int, z: Sequence[float] | np.ndarray) -> np.ndarray:
        """The confusion matrices of the rater of latent vector `z` (Z,) at each pixel: float64 (K, K, H, W).

        Entry [i, j] is p(rater says i | truth is j); columns sum to 1.
        """
        added = self.who.astype(np.float64) @ np.asarray(z, dtype=np.float64)
        hidden = self.seen[case].astype(np.float64) + added[:, None, None]
        for weight, bias in self.layers:
            hidden = np.einsum("oi,ihw->ohw", weight.astype(np.float64), np.maximum(hidden, 0)) + bias[:, None, None]
        classes = self.logits.shape[1]
        return softmax(hidden.reshape(classes, classes, *hidden.shape[1:]), axis=0)

    def name_of(self, case: int, z: Sequence[float] | np.ndarray) -> str:
        """Which of the draws of an image this is, in words."""
        same = np.flatnonzero((self.draws[case] == np.asarray(z)).all(axis=1))
        return f"drawn rater {same[0] + 1}" if len(same) else "not drawn"


def rater_decoder(
    model: StochasticCM,
    cases: Sequence[Case],
    rng: torch.Generator,
    *,
    draws: int = 64,
    bits: Literal[16, 32] = 32,
) -> RaterDecoder:
    """Take out of a trained model what draws raters of some cases.

    Args:
        model: in evaluation mode, as `labutils.load` gives it.
        cases: 2D, of one size.
        rng: draws the latent vectors, from the prior of each image.
        draws: S, latent vectors for each image; they are rounded to four decimals.
        bits: of each number of the features; 16 halve what a page carries, and move chances by less than .01 as a rule.
    Raises:
        InputError: the model is in training mode, there is no case or no draw, or sizes differ.
    """
    require(not model.training, "the model is in training mode; wanted model.eval()")
    require(len(cases) > 0, "cases is empty; wanted at least one case")
    require(draws >= 1, f"draws is {draws}; wanted 1 or more")
    for one in cases:
        require_shape(
            f"case {one.case!r}: image", one.image, "CHW", **dict(zip("CHW", cases[0].image.shape, strict=True))
        )
    image = torch.from_numpy(np.stack([one.image for one in cases])).to(next(model.parameters()).device)
    decoder = model.decoder
    with torch.no_grad():
        features, z = model.features(image), model.draw(image, draws, rng)
        seen = decoder.see(features) + decoder.who.bias[:, None, None]
        layers = [_layer(part) for part in (*decoder.mix, decoder.entries) if isinstance(part, nn.Conv2d)]
        layers[-1] = layers[-1]._replace(bias=layers[-1].bias + _array(decoder.start.flatten()))
        return RaterDecoder(
            logits=_array(model.head(features)),
            seen=_array(seen).astype({16: np.float16, 32: np.float32}[bits]),
            who=_array(decoder.who.weight),
            layers=tuple(layers),
            draws=np.round(z.double().cpu().numpy(), DECIMALS),
        )


def annotators_at(cases: Sequence[Case], decoder: RaterDecoder, value: Mapping[str, Any]) -> DrawnRater:
    """What the explorer shows at a value.

    Args:
        cases: 2D, with any class but 0 as foreground.
        decoder: of these cases.
        value: "case", 0 to B - 1, and "z", the Z latent numbers; other keys are not looked at.
    """
    at, case = value["case"], cases[value["case"]]
    truth, matrices = decoder.truth(at), decoder.matrices(at, value["z"])
    says = np.einsum("ijhw,jhw->ihw", matrices, truth)
    there, marked = (torch.from_numpy(one.argmax(0) != 0)[None, None] for one in (truth, says))
    with_raters = pairwise_dice(marked, torch.from_numpy(case.masks != 0)[None])[0, 0].tolist()
    return DrawnRater(
        label=decoder.name_of(at, value["z"]),
        case=case,
        truth=truth,
        errors=1 - np.einsum("kkhw->khw", matrices),
        says=says,
        truth_dice=pairwise_dice(marked, there).item(),
        dice=tuple(one if here else math.nan for one, here in zip(with_raters, case.present, strict=True)),
    )


def annotators_figure(cases: Sequence[Case], decoder: RaterDecoder, values: Sequence[Mapping[str, Any]]) -> Figure:
    """The explorer in some positions side by side, from the values that it would have."""
    return drawn_raters([annotators_at(cases, decoder, value) for value in values])


class AnnotatorsExplorer(Explorer):
    """A slider for each latent number and a button that draws a rater: chances to err at each pixel, and the label.

    ``value``: ``case`` (0 to B - 1), ``z`` (Z numbers), ``draw`` (0 to S - 1, the draw that the button took last) and
    ``raters`` (whether their outlines are shown). Another case keeps z: the same rater looks at another image.
    """

    name = "annotators"
    _esm = module("annotators")

    def __init__(self, cases: Sequence[Case], decoder: RaterDecoder, *, case: int = 0) -> None:
        """Pack some cases and what draws their raters; the first draw is shown first.

        Args:
            cases: 2D, of one size, with one to eight raters; the first channel of an image is shown.
            decoder: of these cases, in this order.
            case: which is shown first.
        Raises:
            InputError: there is no case, the decoder has other cases or pixels, or there is no such case.
        """
        packed = pack_cases(cases)
        found, wanted = decoder.logits.shape, (len(cases), packed["height"], packed["width"])
        have = (found[0], *found[2:])
        require(have == wanted, f"decoder has {have} cases, rows and columns; wanted {wanted}")
        require_index("case", case, len(cases))
        data = {
            "title": "Drawn raters: a latent vector, where that rater errs, and the label",
            "latents": [_slider(f"z {place + 1}", decoder.draws[..., place]) for place in range(decoder.who.shape[1])],
            "draws": decoder.draws.tolist(),
            "errors": [{"of": of, "name": name} for of, name in error_names(found[1]).items()],
            "logits": pack_floats(decoder.logits),
            "seen": pack_floats(decoder.seen),
            "who": pack_floats(decoder.who),
            "layers": [[pack_floats(part) for part in layer] for layer in decoder.layers],
            "palette": pack(map_colors(AGREEMENT_MAP)),
            "color": MODEL_COLOR,
            "truth_color": TRUTH_COLOR,
            "ground": PAPER,
            "faintest": FAINTEST,
            **packed,
        }
        super().__init__(data, {"case": case, "z": data["draws"][case][0], "draw": 0, "raters": False})

    def check(self, value: Mapping[str, Any]) -> None:
        """Refuse cases and draws that are not there, and latent numbers beyond their sliders."""
        require_index("case", value["case"], len(self.data["cases"]))
        require_index("draw", value["draw"], len(self.data["draws"][0]))
        latents = self.data["latents"]
        require(len(value["z"]) == len(latents), f"z has {len(value['z'])} numbers; wanted {len(latents)}")
        for one, at in zip(latents, value["z"], strict=True):
            low, high = one["low"], one["high"]
            require(low <= at <= high, f"{one['name']} is {at}; wanted {low} to {high}")


def _slider(name: str, drawn: np.ndarray) -> dict[str, Any]:
    """A slider that reaches a little beyond all draws of a latent number, in round steps."""
    low, high = float(drawn.min()), float(drawn.max())
    room = 0.1 * (high - low) or 1.0
    digits = math.ceil(math.log10(STEPS / (high - low + 2 * room)))
    step = 10.0**-digits
    low, high = step * math.floor((low - room) / step), step * math.ceil((high + room) / step)
    ends = {"low": round(low, digits + 1), "high": round(high, digits + 1)}
    return {"name": name, **ends, "step": round(step, digits + 1), "digits": max(digits, 0)}


def _layer(part: nn.Conv2d) -> Layer:
    """A 1x1 convolution."""
    assert part.bias is not None
    return Layer(_array(part.weight[:, :, 0, 0]), _array(part.bias))


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()
