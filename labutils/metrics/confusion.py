"""Confusion matrices of raters against planted ones, and how far the truth stands out from what raters say.

Entry [i, j] of a confusion matrix is p(rater says i | truth is j), so each column sums to 1. Of matrices that may
differ from pixel to pixel, labels constrain only the column of the pixel's true class; the others are arbitrary, and no
score here reads them. Far from the rim of the truth most raters are right, so a score of all pixels says little; give
`rim_band` to count the pixels near it alone.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from labutils.core.checks import InputError, require, require_choice, require_same_shape, require_shape

Center = Literal["mean", "median"]
_SUM_TOLERANCE = 1e-4  # of a column in single precision


class MatrixError(NamedTuple):
    """How far matrices are from the planted ones, over all entries of all raters; lower is better."""

    mean: float  # absolute, 0 to 1
    largest: float  # absolute, 0 to 1


def matrix_error(estimated: Tensor, planted: Tensor) -> MatrixError:
    """Mean and largest absolute error of one confusion matrix per rater.

    Args:
        estimated: float (R, K, K), columns summing to 1.
        planted: float (R, K, K), likewise.
    Returns:
        Over all R * K * K entries, each counting once: a rare class weighs as much as a common one.
    Raises:
        InputError: shapes differ, or either is not as above.
    """
    for name, matrices in (("estimated", estimated), ("planted", planted)):
        sizes = require_shape(name, matrices, "RKJ")
        require(sizes["K"] == sizes["J"], f"{name} has shape {tuple(matrices.shape)}; wanted axes (R, K, K)")
        _require_columns(name, matrices, dim=1)
    require_same_shape("estimated", estimated, "planted", planted)
    errors = (estimated.double() - planted.double()).abs()
    return MatrixError(float(errors.mean()), float(errors.max()))


def column_of_truth(matrices: Tensor, truth: Tensor) -> Tensor:
    """What each rater says at each pixel of the class that is there: the matrix's column of the true class.

    Args:
        matrices: float (B, R, K, K, H, W), or (B, R, K, K) where they are equal at all pixels; B, and H and W, may
            be 1 where they are equal in all cases, and at all pixels.
        truth: uint8 (B, H, W), classes below K.
    Returns:
        As `matrices` in type, (B, R, K, H, W), summing to 1 over K; its entry of the true class is p(rater is right).
    Raises:
        InputError: shapes do not fit, a column does not sum to 1, or the truth holds a class of K or more.
    """
    require_shape("truth", truth, "BHW")
    wide = matrices[..., None, None] if matrices.ndim == 4 else matrices
    sizes = require_shape("matrices", wide, "BRKJHW")
    whole = sizes["K"] == sizes["J"] and sizes["B"] in (1, len(truth))
    wanted = f"(B, R, K, K) or (B, R, K, K, H, W) for a truth of {tuple(truth.shape)}"
    fits = whole and wide.shape[-2:] in ((1, 1), truth.shape[1:])
    require(fits, f"matrices have shape {tuple(matrices.shape)}; wanted axes {wanted}")
    _require_columns("matrices", wide, dim=2)
    _require_classes(truth, sizes["K"])
    shape = (len(truth), *wide.shape[1:4], *truth.shape[1:])
    chosen = truth.long()[:, None, None, None].expand(*shape[:3], 1, *shape[4:])
    return wide.expand(shape).gather(3, chosen).squeeze(3)


def dominance(columns: Tensor, truth: Tensor) -> Tensor:
    """By how much the raters' mean favors the true class over the strongest other one.

    Args:
        columns: float (B, R, K, H, W), from `column_of_truth`; all raters count alike.
        truth: uint8 (B, H, W), classes below K.
    Returns:
        (B, H, W) in [-1, 1], p(a rater drawn by lot says the truth) minus p(it says the likeliest other class). Above 0
        the matrices are diagonally dominant in the mean, and raters who err independently tell the truth; at 0 or below
        another truth explains the labels as well or better.
    Raises:
        InputError: shapes do not fit, or the truth holds a class of K or more.
    """
    _check_columns("columns", columns, truth)
    mean = columns.mean(dim=1)
    own = truth.long()[:, None]
    return (mean.gather(1, own) - mean.scatter(1, own, -1.0).amax(dim=1, keepdim=True)).squeeze(1)


def rim_distance_px(truth: Tensor) -> Tensor:
    """Distance from each pixel to the nearest pixel of another class.

    Args:
        truth: uint8 (B, H, W).
    Returns:
        float64 (B, H, W) in pixels, between centers, so 1 or more; infinite in a case of one class only.
    Raises:
        InputError: wrong axes.
    """
    from scipy.ndimage import distance_transform_edt

    require_shape("truth", truth, "BHW")
    distances = np.full(truth.shape, np.inf)
    for labels, distance in zip(truth.cpu().numpy(), distances, strict=True):
        present = np.unique(labels)
        for label in present if len(present) > 1 else ():
            inside = labels == label
            distance[inside] = distance_transform_edt(inside)[inside]
    return torch.from_numpy(distances).to(truth.device)


def rim_band(truth: Tensor, within_px: float) -> Tensor:
    """Pixels on either side of the truth's rim: those with a pixel of another class within `within_px` of them.

    Args:
        truth: uint8 (B, H, W).
        within_px: 1 or more, between centers.
    Returns:
        bool (B, H, W); nothing in a case of one class only.
    Raises:
        InputError: wrong axes, or a band of less than 1 px.
    """
    require(within_px >= 1, f"within_px is {within_px}; wanted 1 or more, as neighbors are 1 px apart")
    return rim_distance_px(truth) <= within_px


def column_error(estimated: Tensor, planted: Tensor, pixels: Tensor | None = None) -> Tensor:
    """Mean absolute error of each rater's column of the true class.

    Args:
        estimated: float (B, R, K, H, W), from `column_of_truth`.
        planted: float (B, R, K, H, W), likewise.
        pixels: bool (B, H, W), those that count, such as `rim_band`; None for all.
    Returns:
        float64 (R,) in [0, 1], over the K entries and all pixels that count in all cases; lower is better. Each pixel
        counts once, so a class weighs as much as it has pixels there.
    Raises:
        InputError: shapes do not fit, or no pixel counts.
    """
    require_same_shape("estimated", estimated, "planted", planted)
    where = _counted(planted, pixels)
    return _by_pixel(estimated, where).sub(_by_pixel(planted, where)).abs().mean(dim=(0, 2))


def constant_error(planted: Tensor, truth: Tensor, pixels: Tensor | None = None, *, center: Center = "mean") -> Tensor:
    """`column_error` of the best matrix per rater that is equal at all pixels: what a varying matrix must beat.

    Args:
        planted: float (B, R, K, H, W), from `column_of_truth`.
        truth: uint8 (B, H, W), classes below K.
        pixels: bool (B, H, W), those that count; None for all. The constant is fitted to the same pixels.
        center: "mean" takes for each true class the mean of the planted columns, which is the rater's own confusion
            matrix over these pixels, and what an estimator of one matrix can at best find. "median" takes the median
            of each entry: no constant has a lower error, though its columns need not sum to 1 where K > 2.
    Returns:
        float64 (R,) in [0, 1], as for `column_error`.
    Raises:
        InputError: shapes do not fit, no pixel counts, the truth holds a class of K or more, or `center` is unknown.
    """
    require_choice("center", center, get_args(Center), InputError)
    _check_columns("planted", planted, truth)
    where = _counted(planted, pixels)
    columns, labels = _by_pixel(planted, where), truth[where]
    total = torch.zeros(columns.shape[1], dtype=torch.float64, device=columns.device)
    for label in labels.unique():
        same = columns[labels == label]
        best = same.mean(dim=0) if center == "mean" else same.median(dim=0).values
        total += (same - best).abs().mean(dim=2).sum(dim=0)
    return total / len(columns)


def _by_pixel(columns: Tensor, where: Tensor) -> Tensor:
    """The columns of the pixels that count, float64 (pixels, R, K)."""
    return columns.permute(0, 3, 4, 1, 2)[where].double()


def _counted(planted: Tensor, pixels: Tensor | None) -> Tensor:
    sizes = require_shape("planted", planted, "BRKHW")
    if pixels is None:
        return torch.ones(*(sizes[axis] for axis in "BHW"), dtype=torch.bool, device=planted.device)
    require_shape("pixels", pixels, "BHW", **{axis: sizes[axis] for axis in "BHW"})
    require(pixels.dtype == torch.bool, f"pixels is {pixels.dtype}; wanted torch.bool")
    require(bool(pixels.any()), "pixels is all False; wanted at least one pixel that counts")
    return pixels


def _check_columns(name: str, columns: Tensor, truth: Tensor) -> None:
    sizes = require_shape(name, columns, "BRKHW")
    require_shape("truth", truth, "BHW", **{axis: sizes[axis] for axis in "BHW"})
    _require_classes(truth, sizes["K"])


def _require_classes(truth: Tensor, classes: int) -> None:
    require(truth.dtype == torch.uint8, f"truth is {truth.dtype}; wanted labels of torch.uint8")
    require(truth.numel() > 0, f"truth of shape {tuple(truth.shape)} holds no pixel")
    highest = int(truth.max())
    require(highest < classes, f"truth holds the label {highest}; wanted labels below K = {classes}")


def _require_columns(name: str, matrices: Tensor, dim: int) -> None:
    require(matrices.numel() > 0 and matrices.is_floating_point(), f"{name} is {matrices.dtype}; wanted some floats")
    off = float((matrices.sum(dim=dim, dtype=torch.float64) - 1).abs().max())  # NaN when any value is
    require(off <= _SUM_TOLERANCE, f"{name} has a column whose sum is off 1 by {off:.2g}; wanted columns summing to 1")
    require(float(matrices.min()) >= 0, f"{name} has a negative entry; wanted probabilities")
