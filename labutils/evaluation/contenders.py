"""The rows of a comparison: which model, with which settings, learns from which labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from labutils.core.words import hyphened
from labutils.data.fused import POOLED
from labutils.data.store import Store
from labutils.models.registry import MODELS
from labutils.training.settings import FitConfig
from labutils.training.suit import model_config

RATERS = "raters"


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A row of the image-only part: a model, its settings, and the labels it learns from."""

    name: str
    model: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    labels: str = RATERS  # or a way of `labutils.data.fused`: learn from the fused mask as the only rater
    also: tuple[str, ...] = ()  # metrics of the answers it draws, besides those of every row
    fit: Mapping[str, Any] = field(default_factory=dict)  # settings of its training, over those that all share

    @property
    def folder(self) -> str:
        """The name as part of a folder's."""
        return hyphened(self.name)

    @property
    def per_rater(self) -> bool:
        """Whether its model learns the errors of single raters."""
        return bool(getattr(MODELS[self.model].config, "per_rater", False))

    def fit_with(self, shared: FitConfig, seed: int) -> FitConfig:
        """How it trains: to the last epoch, chosen by nothing."""
        return replace(shared, **self.fit, seed=seed, keep="last", patience=0)

    @property
    def own_fit(self) -> str:
        """How it trains otherwise than asked of all, as a sentence; "" where it does not."""
        told = ", ".join(f"fit.{name}={value}" for name, value in self.fit.items())
        return f"{self.name} trains with settings of its own: {told}" if told else ""

    def knows(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Those of some settings that its model has."""
        names = {entry.name for entry in fields(MODELS[self.model].config)}
        return {name: value for name, value in settings.items() if name in names}

    def unsuited(self, store: Store) -> str:
        """Why it cannot learn from a store; "" where it can."""
        if (self.per_rater or self.labels in POOLED) and not store.card.identified:
            return f"it follows single raters, and those of {store.card.name!r} are exchangeable"
        return ""

    def config(self, shared: Mapping[str, Any], store: Store, crop_px: int = 0) -> Any:
        """The configuration of its model for a store: settings shared by all contenders, and over them its own.

        Of windows of the store's cases, where `crop_px` is their side.

        Raises:
            ConfigError, InputError: as `labutils.training.suit.model_config`.
        """
        return model_config(self.model, {**self.knows(shared), **self.settings}, store, crop_px)


PUBLISHED = {"coupled": True, "clean": "none", "likelihood": "marginal", "trace": 0.02}  # .01 of the sum of 2 classes
CONTENDERS = (
    Contender(name="U-Net, vote fraction", model="unet", settings={"target": "soft"}),
    Contender(name="U-Net, random rater", model="unet", settings={"target": "random-rater"}),
    Contender(name="U-Net, STAPLE labels", model="unet", labels="staple"),
    Contender(name="U-Net, pooled STAPLE labels", model="unet", labels="staple-pooled"),
    Contender(name="global matrices", model="global-cm"),
    Contender(name="global matrices, published loss", model="global-cm", settings=PUBLISHED),
    Contender(name="pixel matrices", model="pixel-cm"),
    Contender(name="pixel matrices, published loss", model="pixel-cm", settings=PUBLISHED),
    Contender(name="stochastic matrices", model="stochastic-cm"),
)

AS_PUBLISHED = ("ged2_published", "dice_first")  # what the published code scores by
REPAIRS: dict[str, dict[str, Any]] = {
    "probabilities mixed": {"mixed": "probabilities"},
    "KL once": {"kl_times": 1},
    "z from image and mask": {"z": "conditional"},
    "no second term": {"second_term": False},
    "no third term": {"third_term": False},
    "a rater for each image": {"drawn": "image"},
}
_ALL = {name: value for settings in REPAIRS.values() for name, value in settings.items()}
_ALL_BUT_THIRD = {name: value for name, value in _ALL.items() if name != "third_term"}  # it holds the classes in place
FAULTS = (
    Contender(name="original, as published", model="original-cm", also=AS_PUBLISHED),
    *(
        Contender(name=f"original, {says}", model="original-cm", settings=settings, also=AS_PUBLISHED)
        for says, settings in {**REPAIRS, "all but third term": _ALL_BUT_THIRD, "all repaired": _ALL}.items()
    ),
    Contender(name="stochastic matrices", model="stochastic-cm", also=AS_PUBLISHED),
)
DRAWING = (  # reduced, so that each trains on a processor in minutes; `labutils.models` has the published sizes
    Contender(name="U-Net, vote fraction", model="unet", settings={"target": "soft", "width": 16}),
    Contender(
        name="probabilistic U-Net, reduced",
        model="prob-unet",
        settings={"width": 16, "levels": 3, "convs": 2, "beta": 10.0},
    ),
    Contender(
        name="hierarchical probabilistic U-Net, reduced",
        model="hier-prob-unet",
        settings={"width": 8, "latents": (1, 1, 1), "blocks": 1, "convs": 2, "start": 0.2},
        fit={"epochs": 40, "lr": 1e-3},
    ),
    Contender(
        name="PHiSeg, reduced",
        model="phiseg",
        settings={"width": 12, "levels": 5, "convs": 2, "latents": (2, 2, 2), "anneal": "linear", "ramp": 2200},
        fit={"lr": 6e-3, "epochs": 44},
    ),
    Contender(name="stochastic segmentation network", model="ssn", settings={"width": 16}, fit={"lr": 3e-3}),
)


@dataclass(frozen=True, kw_only=True)
class Entrant:
    """A network of a leaderboard: how it is trained, and how answers are drawn from it."""

    contender: Contender
    rules: tuple[str, ...] = ("model",)  # of `labutils.models.samplers`, each a row
    members: int = 1  # trainings with seeds of their own; several make one more row, their ensemble

    def row(self, rule: str) -> str:
        """The name of a row."""
        return self.contender.name if rule == "model" else f"{self.contender.name}, {rule.replace('-', ' ')}"

    @property
    def ensemble(self) -> str:
        """The name of the row of all members together."""
        return f"{self.contender.name}, ensemble of {self.members}"


def _entrants(
    body: Mapping[str, Any], fits: Mapping[str, Mapping[str, Any]], **settings: Mapping[str, Any]
) -> tuple[Entrant, ...]:
    """The networks of a leaderboard.

    `body` is shared by the U-Nets and the network whose logits are normal; `fits` are trainings of their own, by model.
    """
    soft = {"target": "soft", **body}

    def entrant(
        name: str, model: str, own: Mapping[str, Any], rules: tuple[str, ...] = ("model",), members: int = 1
    ) -> Entrant:
        contender = Contender(name=name, model=model, settings=own, fit=fits.get(model, {}))
        return Entrant(contender=contender, rules=rules, members=members)

    one_map = ("model", "random-threshold", "independent-pixels", "symmetries")
    return (
        entrant("U-Net", "unet", soft, rules=one_map, members=4),
        entrant("U-Net with dropout", "unet", {**soft, "dropout": 0.3}, rules=("model", "dropout")),
        entrant("probabilistic U-Net", "prob-unet", settings.get("prob_unet", {})),
        entrant("hierarchical probabilistic U-Net", "hier-prob-unet", settings.get("hier_prob_unet", {})),
        entrant("PHiSeg", "phiseg", settings.get("phiseg", {})),
        # where its logits begin decides how far its answers differ: three units, all shown
        entrant("stochastic segmentation network", "ssn", {**body, "start": 1.0}),
        entrant("stochastic segmentation network, unit 1 in 3", "ssn", {**body, "start": 1 / 3}),
        entrant("stochastic segmentation network, unit 1 in 8", "ssn", {**body, "start": 1 / 8}),
    )


ENTRANTS = {  # reduced: a training on a processor takes minutes
    "reduced": _entrants(
        {"width": 16, "levels": 4},
        {
            "unet": {"lr": 2.5e-3, "warmup": 0.05},
            "prob-unet": {"lr": 5e-3, "warmup": 0.05},
            "hier-prob-unet": {"epochs": 80},
            "phiseg": {"epochs": 120, "lr": 1e-2, "warmup": 0.05},
            "ssn": {"lr": 3e-3},
        },
        prob_unet={"width": 16, "levels": 4, "convs": 2, "norm": "batch"},
        hier_prob_unet={"width": 8, "latents": (1, 1, 1, 1), "blocks": 1, "convs": 2, "start": 0.1},
        phiseg={"width": 8, "levels": 6, "convs": 2, "latents": (2, 2, 2, 2), "anneal": "linear", "ramp": 2000},
    ),
    "published": _entrants({"width": 32, "levels": 5}, {}),
}
# what a comparison can be of; all rows are compared with the first
ROWS = {"models": CONTENDERS, "faults": FAULTS, "drawing": DRAWING}
