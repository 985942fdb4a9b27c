"""Reading recorded comparisons, and their two parts as tables for a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from labutils.evaluation.leaderboard import NO_BREAK, read_rows, recorded_file
from labutils.evaluation.recovery import FUSED, RIM_PX
from labutils.evaluation.scores import METRICS

PLANTED = {
    "matrices": "error of the planted matrices, mean/largest",
    "columns": f"error of the planted columns within {RIM_PX:g} px of the rim, mean over raters",
    "styles": "total variation of drawn styles from the planted frequencies",
}


Told = Mapping[str, float] | None  # mean, low, high


def recorded(name: str) -> dict[str, Any]:
    """A recorded comparison of the book, ``results/<name>.json`` beside the package; each row has a whole passport.

    Raises:
        DataError: there is no such file, it is damaged, no comparison, or a row has no passport.
    """
    return read_rows(recorded_file(name), "image_only", {"with_masks", "score", "compared_with"}, "comparison")


def image_only_markdown(table: Mapping[str, Any], digits: int = 3) -> str:
    """The image-only part for a page: the score of every seed, and how each row fares against the first one.

    Seeds that settled on a rater are marked with a star; "above" counts the seeds whose interval of the difference to
    the row that all are compared with, on the same cases, lies above 0, and "below" those where it lies below.
    """
    first = table["compared_with"]
    heads = ("learned from the image", "median", "worst", "every seed", "above", "below")
    lines = ["| " + " | ".join(heads) + " |", "| :-- | --: | --: | :-- | --: | --: |"]
    for row in table["image_only"]:
        means = [_starred(seed, digits) for seed in row["seeds"]]
        gaps = [seed["minus_first"] for seed in row["seeds"] if "minus_first" in seed]
        sure = (sum(gap["low"] > 0 for gap in gaps), sum(gap["high"] < 0 for gap in gaps))
        counts = ("", "") if row["name"] == first else sure
        cells = (f"{row['median']:.{digits}f}", f"{row['worst']:.{digits}f}", " ".join(means), *counts)
        lines.append(f"| {row['name']} | " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def _starred(seed: Mapping[str, Any], digits: int) -> str:
    return f"{seed['score']['mean']:.{digits}f}" + ("" if seed.get("settled_on") is None else r"\*")


def with_masks_markdown(table: Mapping[str, Any], digits: int = 3) -> str:
    """The part that fuses the test cases' own masks for a page: mean and interval of each way."""
    lines = ["| fused from the masks of the test case | score |", "| :-- | --: |"]
    for row in table["with_masks"]:
        mean, low, high = (f"{row['score'][part]:.{digits}f}" for part in ("mean", "low", "high"))
        lines.append(f"| {row['name']} | {mean} [{low},{NO_BREAK}{high}] |")
    return "\n".join(lines)


def planted_found(table: Mapping[str, Any], what: str) -> dict[str, str]:
    """How far each row is from what was planted, every seed, and what that is to be compared with.

    Args:
        table: a comparison on planted data, as recorded.
        what: one of `PLANTED`.
    Returns:
        numbers by the name of a row, or of a reference; empty where nothing of the kind was planted or found.
    """
    told = {}
    for row in table["image_only"]:
        found = [seed["planted"][what] for seed in row["seeds"] if what in seed.get("planted", {})]
        if found:
            told[row["name"]] = " ".join(map(_digits, found))
    given = table.get("planted", {})
    if told and what == "matrices":
        told |= {name: _digits(given[name]) for name in FUSED if name in given}
    if told and what == "columns" and "best constant" in given:
        told["best constant for each rater"] = _digits(given["best constant"]["median"])
    return told


def planted_markdown(table: Mapping[str, Any], what: str) -> str:
    """`planted_found` for a page."""
    rows = [f"| {name} | {seeds} |" for name, seeds in planted_found(table, what).items()]
    return "\n".join([f"| found by | {PLANTED[what]}: every seed |", "| :-- | :-- |", *rows])


def styles_markdown(table: Mapping[str, Any], planted: Mapping[str, float]) -> str:
    """How often every network that draws gives each planted answer, for a page.

    Shares of the answers and of "none", an answer like no planted one, are medians over the seeds; total variation, in
    which nobody gives "none", and nats of the latents are those of every seed.

    Args:
        table: a comparison on planted styles, as recorded.
        planted: the frequency of each style, by its name, in the order of the columns.
    """
    heads = [*(f"{name} ({share:g})" for name, share in planted.items()), "none", "total variation", "nats"]
    lines = ["| network | " + " | ".join(heads) + " |", "| :-- |" + " --: |" * len(heads)]
    nats = nats_found(table)
    for row in table["image_only"]:
        found = [seed["planted"]["styles"] for seed in row["seeds"] if "styles" in seed.get("planted", {})]
        if not found:
            continue
        shares = [median(one["shares"][name] for one in found) for name in planted]
        cells = [f"{share:.2f}" for share in (*shares, median(one["other"] for one in found))]
        cells.append(" ".join(f"{one['total_variation']:.3f}" for one in found))
        cells.append(" ".join(f"{one:.1f}" for one in nats.get(row["name"], [])))
        lines.append(f"| {row['name']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def spread_found(table: Mapping[str, Any], metric: str) -> dict[str, str]:
    """How like the raters the answers are that a row draws, every seed, by the row's name.

    A row without a sampler of its own draws by a rule, which is named. Rows that draw nothing are left out.
    """
    told = {}
    for row in table["image_only"]:
        means = [f"{seed['spread'][metric]['mean']:.3f}" for seed in row["seeds"] if metric in seed.get("spread", {})]
        if means:
            rule = row["seeds"][0]["spread"]["sampler"]
            told[row["name"]] = " ".join(means) + ("" if rule == "model" else f"  by {rule}")
    return told


def nats_found(table: Mapping[str, Any]) -> dict[str, list[float]]:
    """What seeing a mask says to the latent vector of a row, in nats, every seed; rows without a vector are left out.

    It is the KL of the posterior from the prior, mean over the masks that were scored; 0 is a vector that is not used.
    """
    told = {row["name"]: [seed["nats"] for seed in row["seeds"] if "nats" in seed] for row in table["image_only"]}
    return {name: nats for name, nats in told.items() if nats}


def with_spread_markdown(table: Mapping[str, Any], metrics: Sequence[str], digits: int = 3) -> str:
    """Score and spread of every row for a page, each as the mean and interval of the seed in the middle.

    Beside each stand two counts of seeds, where differences are kept: whose interval of the difference to the row that
    all are compared with, on the same cases, lies above 0, and whose lies below.

    Args:
        table: a comparison, as recorded.
        metrics: of the answers drawn, such as "ged2_v"; rows that draw nothing have no cell.
        digits: after the point.
    """
    columns = [["row", *(row["name"] for row in table["image_only"])]]
    marks = [":--"]
    for name in (None, *metrics):
        told = [[_score_and_gap(seed, name) for seed in row["seeds"]] for row in table["image_only"]]
        label = METRICS[name or table["score"]["name"]].label
        columns.append([label, *(_middle([score for score, _ in seeds if score], digits) for seeds in told)])
        marks.append("--:")
        if any(gap for seeds in told for _, gap in seeds):
            columns.append(["above, below", *(_sure([gap for _, gap in seeds if gap]) for seeds in told)])
            marks.append(":--")
    head, *body = ("| " + " | ".join(cells) + " |" for cells in zip(*columns, strict=True))
    return "\n".join([head, "| " + " | ".join(marks) + " |", *body])


def _score_and_gap(seed: Mapping[str, Any], metric: str | None) -> tuple[Told, Told]:
    """A seed's score and its difference to the first row; of a metric, those of what it draws. None for what is not."""
    if metric is None:
        return seed["score"], seed.get("minus_first")
    return seed.get("spread", {}).get(metric), seed.get("spread_minus_first", {}).get(metric)


def _middle(scores: Sequence[Mapping[str, float]], digits: int) -> str:
    """Mean and interval of the seed in the middle, of two the lower; "" for none."""
    if not scores:
        return ""
    middle = sorted(scores, key=lambda score: score["mean"])[(len(scores) - 1) // 2]
    mean, low, high = (f"{middle[part]:.{digits}f}" for part in ("mean", "low", "high"))
    return f"{mean} [{low},{NO_BREAK}{high}]"


def _sure(gaps: Sequence[Mapping[str, float]]) -> str:
    return f"{sum(gap['low'] > 0 for gap in gaps)}, {sum(gap['high'] < 0 for gap in gaps)}" if gaps else ""


def _digits(found: Any) -> str:
    """One number, the mean over raters, or those of a table that matter, to three places."""
    if isinstance(found, Mapping):
        return "/".join(f"{found[key]:.3f}" for key in ("mean", "largest", "total_variation") if key in found)
    return f"{sum(found) / len(found):.3f}" if isinstance(found, list) else f"{found:.3f}"
