"""Reading TIFF files that somebody else wrote: an array, or one sentence about the file; and writing such files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from labutils.core.checks import DataError, require
from labutils.core.files import names_file

MAX_VALUES = 2**28  # of a picture; checked before decoding, as a few bytes can claim any size
COMPRESSIONS = ("NONE", "ADOBE_DEFLATE", "DEFLATE", "PACKBITS", "LZMA")  # that tifffile reads by itself
LZW = "LZW"  # that OpenCV writes and reads


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
    """Write an array as the first series of a new TIFF file, its axes kept; an error names the file."""
    import tifffile

    path.parent.mkdir(parents=True, exist_ok=True)
    with names_file(path):
        tifffile.imwrite(path, array, photometric=photometric)


def read_tiff_picture(path: Path) -> np.ndarray:
    """The values of a TIFF file of one page as stored, (H, W), or (H, W, 3) in the order R, G, B.

    Axes of size 1 before H are left out.

    Of the tags only those of the pixels' layout are used, and no error repeats what a decoder said, as tags may name
    a patient. Whether 0 is meant to be shown white is passed over: the values count.

    Raises:
        DataError: the file cannot be read or decoded, holds several pages, a palette, transparency or further axes,
            more than `MAX_VALUES`, or is compressed in a way that is not read; the text names the file.
    """
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            _require_picture(path, tiff)
            if tiff.pages[0].compression.name == LZW:
                return _lzw(path, tiff)
            array = tiff.series[0].asarray().reshape(tiff.pages[0].shape)
            return array if tiff.series[0].axes != "SYX" else np.ascontiguousarray(array.transpose(1, 2, 0))
    except DataError:
        raise
    except OSError as error:
        fault = f"cannot be read: {error.strerror or 'it is no whole TIFF file'}"
    except Exception:  # a damaged file makes tifffile raise nearly anything, from IndexError to struct.error
        fault = "is damaged or no TIFF file; wanted the whole file, copied again"
    raise DataError(f"{path} {fault}")  # not inside the except: an error raised there keeps what the decoder said


def _require_picture(path: Path, tiff: Any) -> None:
    pages, series, page = len(tiff.pages), tiff.series[0], tiff.pages[0]
    require(pages == 1, f"{path} holds {pages} pages; wanted one picture a file", DataError)
    require(page.photometric.name != "PALETTE", f"{path} holds a palette; wanted gray or RGB values", DataError)
    colors = series.axes in ("YXS", "SYX") and page.samplesperpixel == 3
    shape = tuple(series.shape)
    wanted = "(H, W) or (H, W, 3), without transparency"
    gray = series.axes.endswith("YX") and math.prod(shape[:-2]) == 1
    require(colors or gray, f"{path} has shape {shape}; wanted {wanted}", DataError)
    require(math.prod(shape) <= MAX_VALUES, f"{path} claims {shape}; wanted {MAX_VALUES} values at most", DataError)
    known = page.compression.name in (*COMPRESSIONS, LZW)
    wanted = "no compression, deflate or LZW"
    require(known, f"{path} is compressed with {page.compression.name}, which is not read; wanted {wanted}", DataError)


def _lzw(path: Path, tiff: Any) -> np.ndarray:
    """Decoded by OpenCV, in the cases where it gives the stored values."""
    import cv2

    page, content = tiff.pages[0], path.read_bytes()
    plain = page.photometric.name in ("MINISBLACK", "RGB") and page.dtype in (np.uint8, np.uint16)
    plain = plain and (274 not in page.tags or page.tags[274].value == 1)  # the orientation, which OpenCV would apply
    wanted = "no compression, or deflate"
    require(plain, f"{path} is an unusual picture compressed with LZW, which is not read; wanted {wanted}", DataError)
    ends = [offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
    array = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) if max(ends) <= len(content) else None
    if array is None or array.dtype != page.dtype or array.shape != page.shape:
        raise DataError(f"{path} is damaged or no TIFF file; wanted the whole file, copied again")
    return array if array.ndim == 2 else np.ascontiguousarray(array[..., ::-1])  # OpenCV's order is B, G, R


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
