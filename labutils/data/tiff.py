"""Reading TIFF files that somebody else wrote: an array, or one sentence about the file; and writing such files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from labutils.core.checks import DataError, require


def read_tiff(path: Path, letters: str, kinds: str) -> np.ndarray:
    """The first series of a TIFF file, with the axes and dtype its place in a dataset promises.

    Args:
        path: the file.
        letters: shape letters in order, with ``1`` for an axis that must have size 1, e.g. ``"1HWR"``.
        kinds: NumPy kinds of dtype allowed: ``"f"`` floating point, ``"b"`` bool, ``"u"`` unsigned.
    Raises:
        DataError: the file cannot be read or decoded, or its axes or dtype are others; the text names the file.
    """
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            series = tiff.series[0]
            # Shape and dtype are checked before decoding: a damaged header can claim an array of any size.
            _require_kind(path, tuple(series.shape), series.dtype, letters, kinds)
            array = series.asarray()
    except DataError:
        raise
    except Exception as error:  # a damaged file makes tifffile raise nearly anything, from IndexError to struct.error
        raise DataError(f"{path} cannot be read as TIFF: {error}") from error
    _require_kind(path, array.shape, array.dtype, letters, kinds)
    return array


def write_tiff(path: Path, array: np.ndarray, photometric: str = "minisblack") -> None:
    """Write an array as the first series of a new TIFF file, its axes kept."""
    import tifffile

    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array, photometric=photometric)


def require_binary(path: Path, mask: np.ndarray, size: tuple[int, ...]) -> None:
    """Refuse a mask (H, W, ...) of another size than its image's (H, W), or with values besides 0 and 1.

    Raises:
        DataError: as said; the text names the file.
    """
    here = mask.shape[:2]
    require(here == size, f"{path} has {here} pixels and its image {size}; wanted them equal", DataError)
    highest = int(mask.max())
    require(highest <= 1, f"{path} holds the value {highest}; wanted 0 and 1 only", DataError)


def _require_kind(path: Path, shape: tuple[int, ...], dtype: np.dtype | None, letters: str, kinds: str) -> None:
    axes = ", ".join(letters)
    fits = len(shape) == len(letters) and 0 not in shape
    if not fits or any(letter == "1" and size != 1 for letter, size in zip(letters, shape, strict=True)):
        raise DataError(f"{path} has shape {shape}; wanted ({axes}), no axis empty")
    if dtype is None or dtype.kind not in kinds:
        wanted = "floating point" if "f" in kinds else "bool or unsigned integers"
        raise DataError(f"{path} holds {dtype}; wanted {wanted} (are scans and masks swapped?)")
