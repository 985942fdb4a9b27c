"""Planted data that the catalog knows by name: wavy discs under noise, and raters of known confusion matrices.

Which of them can be learned from labels at all is said in `labutils.data.planted_raters`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from labutils.core.checks import require_choice
from labutils.core.files import sha256_of_bytes
from labutils.data.cards import Card
from labutils.data.catalog import Dataset
from labutils.data.planted import Labels, Planted, Population, plant
from labutils.data.planted_raters import Everywhere, Over, Part, PlantedRater, Sideways, Under, even_slips, rates_matrix
from labutils.data.planted_truths import ShapesConfig, wavy_shapes
from labutils.data.prepared import prepared_store
from labutils.data.store import Store

VERSION = 1  # raise it when the same request would give another store
CASES = {"train": 1600, "validate": 200, "test": 200}


class Setting(NamedTuple):
    """Raters, and the card of what they draw."""

    card: Card
    raters: tuple[PlantedRater, ...] | Population
    shared: bool = False
    labels: Labels = "all"
    shapes: ShapesConfig = ShapesConfig()


_CARD = Card(
    name="planted-global",
    title="Wavy discs with planted raters: one confusion matrix each",
    what="A disc under noise; each rater is wrong with the same chance at all pixels of a class. The truth is planted.",
    licence="MIT (made here)",
    citation="",
    homepage="",
    raters="4 simulated raters with known confusion matrices",
    identified=True,
    classes=2,
    image="(C, H, W) = (1, 64, 64), gray values in [0, 1]",
    splits=tuple(CASES),
    how_to_get="comes with the package",
    quirks=(
        "The truth and each rater's confusion matrix are planted: labutils.data.planted_sets gives them.",
        "Raters err independently of each other at each pixel, so masks have holes and specks that no person draws.",
    ),
    spacing_known=False,
)
_MODES = replace(
    _CARD,
    what="A disc under noise; each mask is one of a few answers, chosen by lot. The image does not say which.",
    identified=False,
    image="(C, H, W) = (1, 32, 32), gray values in [0, 1]",
    quirks=(_CARD.quirks[0], "Each mask is a whole answer without slips, so a sample is like one of them or wrong."),
)
_SMALL = ShapesConfig(size_px=32, radius_px=(7.0, 10.0))
_RATES = ((0.95, 0.98), (0.8, 0.95), (0.7, 0.9), (0.9, 0.75))  # sensitivity and specificity of each rater
_FOUR = tuple(Everywhere(name=f"rates {p}, {q}", matrix=rates_matrix(p, q)) for p, q in _RATES)

SETTINGS = {
    setting.card.name: setting
    for setting in (
        Setting(_CARD, _FOUR),
        Setting(
            replace(
                _CARD,
                name="planted-global-one",
                title="Wavy discs with planted raters: one confusion matrix each, and one mask a case",
                quirks=(*_CARD.quirks, "Each case has the mask of one rater, chosen by lot; the others are absent."),
            ),
            _FOUR,
            labels="one",
        ),
        Setting(
            replace(
                _CARD,
                name="planted-pixel",
                title="Wavy discs with planted raters: confusion matrices that differ from pixel to pixel",
                what="A disc under noise; one rater draws it truly, one too large, one too small, and one less "
                "carefully from left to right. The truth is planted.",
            ),
            (Everywhere(name="good", matrix=even_slips(2, 0.02)), Over(), Under(), Sideways()),
        ),
        Setting(
            replace(
                _CARD,
                name="planted-shared",
                title="Wavy discs with planted raters who all draw the same wrong mask",
                what="A disc under noise; all raters draw one mask, which is too large. The truth is planted, and "
                "nothing in the labels tells it.",
                quirks=(_CARD.quirks[0], "The raters' errors are shared, so that no method can find the truth."),
            ),
            (Over(name="first"), Over(name="second"), Over(name="third"), Over(name="fourth")),
            shared=True,
        ),
        Setting(
            replace(
                _CARD,
                name="planted-styles",
                title="Wavy discs with planted raters who draw in one of three styles",
                what="A disc under noise; each mask is too large, true or too small, by lot. The truth is planted.",
                raters="4 masks a case, each of its own style: over (half of all), good (3 in 10) or under (2 in 10)",
                identified=False,
            ),
            Population(
                styles=(Over(chance=0.95), Everywhere(name="good", matrix=even_slips(2, 0.02)), Under(chance=0.95)),
                frequencies=(0.5, 0.3, 0.2),
            ),
        ),
        Setting(
            replace(
                _MODES,
                name="planted-two-modes",
                title="Small wavy discs of which raters mark all or one half",
                raters="4 masks a case, each by lot: the whole disc (7 in 10) or its left half (3 in 10)",
            ),
            Population(styles=(Part(name="whole"), Part(name="left half")), frequencies=(0.7, 0.3)),
            shapes=_SMALL,
        ),
        Setting(
            replace(
                _MODES,
                name="planted-four-modes",
                title="Small wavy discs of which raters mark all, one half, the core or nothing",
                raters="4 masks a case, each by lot: the whole disc (half of all), its left half (3 in 10), its core "
                "(3 in 20) or nothing (1 in 20)",
            ),
            Population(
                styles=(Part(name="whole"), Part(name="left half"), Part(name="core"), Part(name="nothing")),
                frequencies=(0.5, 0.3, 0.15, 0.05),
            ),
            shapes=_SMALL,
        ),
    )
}


def planted(name: str, split: str, *, cases: int | None = None, labels: Labels | None = None, seed: int = 0) -> Planted:
    """Cases of one of the `SETTINGS`, made in memory; more cases leave the first ones as they were.

    Args:
        name: one of `SETTINGS`, such as "planted-global".
        split: "train", "validate" or "test".
        cases: 1 or more; None for as many as the catalog has.
        labels: as for `plant`; None for those of the setting.
        seed: 0 gives the cases of the catalog.
    Raises:
        ConfigError: an unknown name, split or kind of labels, or no case.
    """
    require_choice("planted data", name, tuple(SETTINGS))
    require_choice("split", split, tuple(CASES))
    setting, count = SETTINGS[name], CASES[split] if cases is None else cases
    truths = wavy_shapes(count, setting.shapes, seed=seed, split=split)
    return plant(
        truths,
        setting.raters,
        card=setting.card,
        split=split,
        seed=seed,
        labels=setting.labels if labels is None else labels,
        shared=setting.shared,
    )


def _load(name: str, split: str, root: Path | None, limit: int | None) -> Store:
    key = sha256_of_bytes(repr((VERSION, SETTINGS[name].card)).encode())
    return prepared_store(f"{name}-{split}", key, lambda: planted(name, split).store).first(limit)


DATASETS = {name: Dataset(card=setting.card, load=partial(_load, name)) for name, setting in SETTINGS.items()}
