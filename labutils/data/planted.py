"""Images with a planted truth, and raters with planted confusion matrices: what is learned from them can be checked.

`plant` puts raters on any truths; `labutils.data.planted_sets` has those that the catalog knows by name. What can be
learned from their labels at all is said in `labutils.data.planted_raters`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple, get_args

import numpy as np

from labutils.core.checks import ConfigError, require, require_choice, require_shape
from labutils.core.runtime import numpy_rng_for
from labutils.data.cards import Card
from labutils.data.planted_raters import PlantedRater, draw_masks, likeliest_masks, matrices_at
from labutils.data.store import Store

GRAY = (0.25, 0.75)  # of the background and of the highest class, before noise
NOISE = 0.25  # standard deviation of a pixel's gray value
Labels = Literal["all", "one"]


@dataclass(frozen=True, kw_only=True)
class Population:
    """Exchangeable raters: each mask is drawn in one of several styles, chosen by lot for that mask."""

    styles: tuple[PlantedRater, ...]
    frequencies: tuple[float, ...]  # of the styles, summing to 1
    raters: int = 4  # masks a case

    def __post_init__(self) -> None:
        require(self.raters >= 1, f"raters is {self.raters}; wanted 1 or more", ConfigError)
        fits = len(self.styles) == len(self.frequencies) and min(self.frequencies, default=-1) >= 0
        sums = np.isclose(sum(self.frequencies), 1)
        told = f"frequencies are {self.frequencies} for {len(self.styles)} styles; wanted one each, summing to 1"
        require(fits and sums, told, ConfigError)


class Planted(NamedTuple):
    """Cases and what was planted in them."""

    store: Store  # truth given; identified raters unless they are drawn from a population
    raters: tuple[PlantedRater, ...]  # by rater, or the styles of a population
    drawn_by: np.ndarray  # int64 (N, R): which of `raters` drew each mask

    def matrices(self, index: int) -> np.ndarray:
        """The true matrices of one case's raters, worked out anew: float32 (R, K, K, H, W), [i, j] = p(i | j).

        Those of absent raters are what they would have done.
        """
        return self._by_rater(index)[0][self.drawn_by[index]]

    def likeliest(self, index: int) -> np.ndarray:
        """What each of `raters` would most likely draw of one case, uint8 (raters, H, W); styles are told by it."""
        return likeliest_masks(*self._by_rater(index))

    def _by_rater(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        truth: np.ndarray = self.store.truth[index]  # type: ignore[index]  # planted stores have a truth
        return matrices_at(self.raters, truth, self.store.card.classes), truth


def plant(
    truths: np.ndarray,
    raters: Sequence[PlantedRater] | Population,
    *,
    card: Card,
    split: str,
    seed: int,
    labels: Labels = "all",
    shared: bool = False,
    noise: float = NOISE,
) -> Planted:
    """Images of given truths and what planted raters draw on them.

    Args:
        truths: uint8 (N, H, W), classes below ``card.classes``.
        raters: identified ones, rater k the same in every case; or a population of exchangeable ones.
        card: of the store; it says whether raters are identified, and the number of classes.
        split: name of the split; two splits share no random number.
        seed: another seed gives other images and masks.
        labels: "one" keeps the mask of one rater per case, chosen by lot; the others are absent.
        shared: all raters of a case use the same chance at each pixel, see `draw_masks`.
        noise: standard deviation of the normal noise on gray values from 0.25 (background) to 0.75 (highest class);
            what falls outside [0, 1] is clipped.
    Returns:
        A store in memory, whose cases are patients of their own, and what was planted.
    Raises:
        InputError: truths, raters or card are not as above.
        ConfigError: `labels` is unknown or the noise is negative.
    """
    _check(truths, raters, card)
    require_choice("labels", labels, get_args(Labels))
    require(noise >= 0, f"noise is {noise}; wanted 0 or more", ConfigError)
    styles = tuple(raters.styles if isinstance(raters, Population) else raters)
    levels = np.linspace(*GRAY, card.classes)
    images, masks, present, drawn_by = [], [], [], []
    for number, truth in enumerate(truths):
        rng = partial(numpy_rng_for, seed, "planted", split, number)
        images.append(np.clip(levels[truth] + rng("noise").normal(0, noise, truth.shape), 0, 1))
        drawn_by.append(_drawn_by(raters, rng("style")))
        matrices = matrices_at(styles, truth, card.classes)[drawn_by[-1]]
        present.append(_present(labels, len(matrices), rng("rater")))
        drawn = draw_masks(matrices, truth, rng("masks"), shared=shared)
        masks.append(drawn * present[-1][:, None, None])
    ids = tuple(f"{split}-{number}" for number in range(len(truths)))
    store = Store(
        image=np.stack(images)[:, None].astype(np.float32),
        masks=np.stack(masks),
        present=np.stack(present),
        truth=truths,
        spacing_mm=np.ones((len(truths), 2)),
        patients=ids,
        cases=ids,
        card=card,
        split=split,
        source="memory",
    )
    return Planted(store, styles, np.stack(drawn_by))


def _check(truths: np.ndarray, raters: Sequence[PlantedRater] | Population, card: Card) -> None:
    require_shape("truths", truths, "NHW")
    require(truths.dtype == np.uint8 and truths.size, f"truths are {truths.dtype} {truths.shape}; wanted some uint8")
    require(truths.max() < card.classes, f"truths hold the label {truths.max()}; wanted labels below {card.classes}")
    exchangeable = isinstance(raters, Population)
    fits = card.identified != exchangeable
    require(fits, f"card {card.name!r} has identified {card.identified}; wanted {not exchangeable} for such raters")
    require(exchangeable or raters, "no rater was given; wanted at least one")


def _present(labels: Labels, raters: int, rng: np.random.Generator) -> np.ndarray:
    """Who judges a case, bool (R,): everybody, or one chosen by lot."""
    return np.ones(raters, bool) if labels == "all" else np.arange(raters) == rng.integers(raters)


def _drawn_by(raters: Sequence[PlantedRater] | Population, rng: np.random.Generator) -> np.ndarray:
    """For each mask of a case, which rater or style draws it."""
    if isinstance(raters, Population):
        return rng.choice(len(raters.styles), raters.raters, p=raters.frequencies)
    return np.arange(len(raters))
