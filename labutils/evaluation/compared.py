"""Reading recorded comparisons, and their two parts as tables for a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labutils.evaluation.leaderboard import NO_BREAK, read_rows, recorded_file


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
