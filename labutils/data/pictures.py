"""Reading PNG and JPEG files that somebody else wrote: a picture, or one sentence about the file; and writing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from labutils.core.checks import DataError, require
from labutils.core.files import names_file

_ENDS = {b"\x89PNG\r\n\x1a\n": b"IEND\xaeB`\x82", b"\xff\xd8\xff": b"\xff\xd9"}  # how a whole file starts and ends
_NEITHER = "neither PNG nor JPEG"
JPEG_QUALITY = 95
_TAIL = 64  # bytes searched for the end, as some writers pad the file


def read_gray(path: Path, *, opaque: bool = False) -> np.ndarray:
    """The gray values of a PNG or JPEG file, uint8 (H, W), 0 to 255; three equal channels count as gray.

    So do a palette of grays, and one bit a pixel: 0 and 255. A PNG file carries checksums; in a JPEG file only damage
    to its structure or its end can be noticed.

    Args:
        path: the file.
        opaque: also take gray with an alpha channel that is 255 everywhere, which hides nothing.
    Raises:
        DataError: the file cannot be read, is neither PNG nor JPEG, is damaged or cut short, holds more than 8 bits a
            pixel, or holds colors or transparency; the text names the file.
    """
    picture = _decoded(path, "a gray picture of 8 bits")
    require(picture.dtype == np.uint8, f"{path} holds {picture.dtype}; wanted 8 bits a pixel, uint8", DataError)
    channels = 1 if picture.ndim == 2 else picture.shape[-1]
    if opaque and channels == 4:
        require((picture[..., 3] == 255).all(), f"{path} is transparent in places; wanted an opaque picture", DataError)
        picture, channels = picture[..., :3], 3
    require(channels in (1, 3), f"{path} has {channels} channels; wanted one, gray without transparency", DataError)
    return only_gray(path, picture)


def read_picture(path: Path) -> np.ndarray:
    """The values of a PNG or JPEG file as stored, uint8 or uint16, (H, W), or (H, W, 3) in the order R, G, B.

    A palette is looked up. Text that the file carries is not read.

    Raises:
        DataError: the file cannot be read, is neither PNG nor JPEG, is damaged or cut short, or holds transparency;
            the text names the file.
    """
    kinds = "no PNG file" if path.suffix.lower() == ".png" else _NEITHER
    picture = _decoded(path, "a picture", kinds)
    if picture.ndim == 2:
        return picture
    channels = picture.shape[-1]
    require(channels == 3, f"{path} has {channels} channels; wanted 1 or 3, without transparency", DataError)
    return np.ascontiguousarray(picture[..., ::-1])  # OpenCV's order is B, G, R


def only_gray(path: Path, picture: np.ndarray) -> np.ndarray:
    """One channel (H, W) of a picture (H, W) or (H, W, 3) whose channels are equal.

    Raises:
        DataError: it holds colors; the text names the file.
    """
    if picture.ndim == 2:
        return picture
    first = picture[..., 0]
    require((picture == first[..., None]).all(), f"{path} holds colors; wanted one channel of gray values", DataError)
    return np.ascontiguousarray(first)


def require_two_tone(path: Path, gray: np.ndarray, slack: int) -> None:
    """Refuse gray values (H, W) of a mask that are more than `slack` off both 0 and 255.

    Raises:
        DataError: as said; the text names the file.
    """
    between = gray[(gray > slack) & (gray < 255 - slack)]
    if between.size:
        wanted = f"0 to {slack} and {255 - slack} to 255" if slack else "0 and 255"
        raise DataError(f"{path} holds the gray value {between[0]}; wanted a mask, {wanted} only")


def write_gray(path: Path, gray: np.ndarray) -> None:
    """Write gray values, uint8 (H, W), as the new picture that the name's ending asks for: ``.png`` or ``.jpg``.

    JPEG is written at quality `JPEG_QUALITY`, which keeps a mask of 0 and 255 within a few gray values.

    Raises:
        DataError: the values cannot be written as such a picture.
    """
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    settings = (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY) if path.suffix == ".jpg" else ()
    done, content = cv2.imencode(path.suffix, gray, settings)
    require(done, f"{path} cannot be written as a picture", DataError)
    with names_file(path):
        path.write_bytes(content.tobytes())


def _decoded(path: Path, wanted: str, otherwise: str = _NEITHER) -> np.ndarray:
    """What a file of `_ENDS` holds; of any other file it is said that it is what `otherwise` says."""
    import cv2

    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    end = next((end for start, end in _ENDS.items() if content.startswith(start)), None)
    if end is None:
        raise DataError(f"{path} is {otherwise}; wanted {wanted}")
    # Without this check a decoder may fill what is missing with gray and say nothing.
    require(end in content[-_TAIL:], f"{path} is cut short; wanted the whole file, copied again", DataError)
    try:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:  # e.g. a damaged header that claims too many pixels; its text names lines of C++
        picture = None
    if picture is None:
        raise DataError(f"{path} is damaged and cannot be decoded; wanted the whole file, copied again")
    return picture
