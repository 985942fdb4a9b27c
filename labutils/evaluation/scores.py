"""The metrics of a table: each with a label, an id that changes when its meaning does, and which way is better."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from labutils.consensus.majority import majority, majority_of_others
from labutils.core.checks import InputError
from labutils.core.types import Batch, Goal
from labutils.data.store import Store
from labutils.metrics.calibration import average_calibration_error, crps_volume, expected_calibration_error
from labutils.metrics.disagreement import (
    dice_max,
    ged_published_sign,
    ged_squared,
    hungarian_iou,
    ncc,
    rater_diversity,
    sample_diversity,
)
from labutils.metrics.overlap import dice, iou
from labutils.metrics.qubiq import thresholded_dice
from labutils.metrics.surface import hausdorff_percentile


class Answer(NamedTuple):
    """One case and the samples drawn for it, seen as one foreground class against the rest; B is 1."""

    label: int  # of the class
    probs: Tensor  # float (B, S, K, H, W)
    samples: Tensor  # bool (B, S, H, W), where the class is the most probable one
    mean: Tensor  # float (B, H, W), probability of the class, averaged over samples
    found: Tensor  # bool (B, H, W), where the class is the most probable of the averaged samples, ties: the lowest
    raters: Tensor  # bool (B, R, H, W)
    masks: Tensor  # uint8 (B, R, H, W), all classes
    present: Tensor  # bool (B, R)
    consensus: Tensor  # bool (B, H, W), where 2v >= R
    truth: Tensor | None  # bool (B, H, W), where a truth is known
    spacing: tuple[float, ...]  # mm, or 1.0 for pixels where the spacing is not known


class Metric(NamedTuple):
    """One column of a table."""

    label: str  # what pages and figures call it
    id: str
    says: str
    better: Literal["higher", "lower", "neither"]
    score: Callable[[Answer], Tensor]  # (B,) float
    needs_truth: bool = False
    published_fault: bool = False  # what published code scores by mistake: in no table that does not ask for it

    @property
    def definition(self) -> dict[str, str]:
        """What a table says of its column."""
        return {"id": self.id, "says": self.says, "better": self.better}


def _dice_with_truth(answer: Answer) -> Tensor:
    if answer.truth is None:
        raise InputError("there is no truth to score against; wanted cases whose truth is known")
    return dice(answer.found, answer.truth)


def _dice_left_out(answer: Answer) -> Tensor:
    here = answer.present[0]
    if int(here.sum()) < 2:
        return torch.full((1,), torch.nan, dtype=torch.float64)
    others = majority_of_others(answer.masks, answer.present, answer.probs.shape[2], ties="highest")[0, here]
    return dice(answer.found.expand(len(others), -1, -1), others == answer.label).mean()[None]


def _first_with_truth(answer: Answer) -> Tensor:
    return _dice_with_truth(answer._replace(found=answer.samples[:, 0]))


METRICS: dict[str, Metric] = {
    "dice_truth": Metric(
        "Dice, truth",
        "dice-truth/1",
        "Dice of the averaged samples' most probable class (ties: the lowest) with the truth, where one is known; "
        "both empty: 1",
        "higher",
        _dice_with_truth,
        needs_truth=True,
    ),
    "dice": Metric(
        "Dice",
        "dice-consensus/1",
        "Dice of the averaged samples' most probable class (ties: the lowest) with the raters' consensus (2v >= R); "
        "both empty: 1",
        "higher",
        lambda a: dice(a.found, a.consensus),
    ),
    "dice_left_out": Metric(
        "Dice, one left out",
        "dice-left-out/1",
        "Dice of the averaged samples' most probable class with the consensus (2v >= R) of all raters but one, mean "
        "over who is left out: comparable with the Dice of the one left out; undefined with one rater",
        "higher",
        _dice_left_out,
    ),
    "iou": Metric(
        "IoU",
        "iou-consensus/1",
        "IoU of the averaged samples' most probable class (ties: the lowest) with the raters' consensus (2v >= R); "
        "both empty: 1",
        "higher",
        lambda a: iou(a.found, a.consensus),
    ),
    "ged2_v": Metric(
        "GED², V",
        "ged-squared-v/1",
        "squared generalized energy distance, d = 1 - IoU, V-statistic (self-pairs included); both empty: d = 0",
        "lower",
        lambda a: ged_squared(a.samples, a.raters, a.present),
    ),
    "ged2_u": Metric(
        "GED², U",
        "ged-squared-u/1",
        "the same without self-pairs (U-statistic); undefined with one rater or one sample",
        "lower",
        lambda a: (
            ged_squared(a.samples, a.raters, a.present, estimator="U")
            if a.samples.shape[1] > 1
            else torch.full((len(a.samples),), torch.nan, dtype=torch.float64)
        ),
    ),
    "hungarian_iou": Metric(
        "Hungarian IoU",
        "hungarian-iou/1",
        "mean IoU of samples matched one to one with raters, both repeated to their least common multiple",
        "higher",
        lambda a: hungarian_iou(a.samples, a.raters, a.present),
    ),
    "dice_max": Metric(
        "D-max",
        "dice-max/1",
        "best Dice over the samples for each rater, averaged over raters; both empty: 1",
        "higher",
        lambda a: dice_max(a.samples, a.raters, a.present),
    ),
    "diversity": Metric(
        "diversity",
        "sample-diversity/1",
        "mean 1 - IoU over all pairs of samples, self-pairs included; good when equal to the raters' own",
        "neither",
        lambda a: sample_diversity(a.samples),
    ),
    "rater_diversity": Metric(
        "raters' diversity",
        "rater-diversity/1",
        "mean 1 - IoU over all pairs of raters, self-pairs included",
        "neither",
        lambda a: rater_diversity(a.raters, a.present),
    ),
    "ncc": Metric(
        "NCC",
        "ncc/1",
        "correlation of the samples' spread with the samples' cross-entropy to each rater; undefined for flat maps",
        "higher",
        lambda a: ncc(a.probs, a.masks, a.present),
    ),
    "ece": Metric(
        "ECE",
        "ece-raters/1",
        "gap between mean probability and the raters' vote fraction in 10 bins, weighted by pixels, per case",
        "lower",
        lambda a: expected_calibration_error(a.mean, a.raters, a.present),
    ),
    "ace": Metric(
        "ACE",
        "ace-raters/1",
        "the same gap as the plain mean over bins that hold a pixel, per case",
        "lower",
        lambda a: average_calibration_error(a.mean, a.raters, a.present),
    ),
    "crps_volume": Metric(
        "CRPS of area",
        "crps-volume/1",
        "continuous ranked probability score of the samples' foreground area against the raters' areas",
        "lower",
        lambda a: crps_volume(a.samples, a.raters, a.present, a.spacing),
    ),
    "qubiq_dice": Metric(
        "QUBIQ score",
        "qubiq-dice/1",
        "mean Dice of mean probability and vote fraction at thresholds 0.1 to 0.9, 10v >= tR; both empty: 1",
        "higher",
        lambda a: thresholded_dice(a.mean, a.raters, a.present).mean(dim=-1),
    ),
    "hd95": Metric(
        "HD95",
        "hausdorff-95/1",
        "95th percentile surface distance to the raters' consensus; undefined where only one of the two is empty",
        "lower",
        lambda a: hausdorff_percentile(a.found, a.consensus, a.spacing),
    ),
    "ged2_published": Metric(
        "GED, published sign",
        "ged-published-sign-v/1",
        "the squared generalized energy distance with both spreads added, where they must be subtracted: no distance",
        "neither",
        lambda a: ged_published_sign(a.samples, a.raters, a.present),
        published_fault=True,
    ),
    "dice_first": Metric(
        "Dice of one sample, truth",
        "dice-first-sample-truth/1",
        "Dice of the first sample with the truth: of one annotator drawn at random, published as the model's",
        "neither",
        _first_with_truth,
        needs_truth=True,
        published_fault=True,
    ),
}


def metrics_for(store: Store, *, faults: bool = False) -> tuple[str, ...]:
    """Every metric that a store's cases allow: those of the truth where one is known; published faults if asked for."""
    allowed = {name: metric for name, metric in METRICS.items() if store.truth is not None or not metric.needs_truth}
    return tuple(name for name, metric in allowed.items() if faults or not metric.published_fault)


def epoch_ids(goal: Goal) -> list[str]:
    """Ids of the metrics that a training scores after each epoch: the overlaps, and the goal where it is one."""
    return [METRICS[name].id for name in METRICS if name in ("dice", "iou", goal.metric)]


def answers(probs: Tensor, batch: Batch, spacing: tuple[float, ...]) -> list[Answer]:
    """One case's samples as one `Answer` per foreground class.

    Args:
        probs: float (1, S, K, H, W), summing to 1 over K.
        batch: the case.
        spacing: of rows and columns.
    """
    classes = probs.shape[2]
    chosen, mean = probs.argmax(dim=2), probs.mean(dim=1)
    best = mean.argmax(dim=1)
    agreed = majority(batch.masks, batch.present, classes, ties="highest")
    return [
        Answer(
            label=k,
            probs=probs,
            samples=chosen == k,
            mean=mean[:, k],
            found=best == k,
            raters=batch.masks == k,
            masks=batch.masks,
            present=batch.present,
            consensus=agreed == k,
            truth=None if batch.truth is None else batch.truth == k,
            spacing=spacing,
        )
        for k in range(1, classes)
    ]
