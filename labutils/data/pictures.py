"""Reading PNG and JPEG files that somebody else wrote: a gray picture, or one sentence about the file; and writing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from labutils.core.checks import DataError, require

_ENDS = {b"\x89PNG\r\n\x1a\n": b"IEND\xaeB`\x82", b"\xff\xd8\xff": b"\xff\xd9"}  # how a whole file starts and ends
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
    import cv2

    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    end = next((end for start, end in _ENDS.items() if content.startswith(start)), None)
    if end is None:
        raise DataError(f"{path} is neither PNG nor JPEG; wanted a gray picture of 8 bits")
    # Without this check a decoder may fill what is missing with gray and say nothing.
    require(end in content[-_TAIL:], f"{path} is cut short; wanted the whole file, copied again", DataError)
    try:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:  # e.g. a damaged header that claims too many pixels; its text names lines of C++
        picture = None
    if picture is None:
        raise DataError(f"{path} is damaged and cannot be decoded; wanted the whole file, copied again")
    return _gray(path, picture, opaque)


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
    path.write_bytes(content.tobytes())


def _gray(path: Path, picture: np.ndarray, opaque: bool) -> np.ndarray:
    require(picture.dtype == np.uint8, f"{path} holds {picture.dtype}; wanted 8 bits a pixel, uint8", DataError)
    if picture.ndim == 2:
        return picture
    first, channels = picture[..., 0], picture.shape[-1]
    if opaque and channels == 4:
        require((picture[..., 3] == 255).all(), f"{path} is transparent in places; wanted an opaque picture", DataError)
        picture = picture[..., :3]
    else:
        require(channels == 3, f"{path} has {channels} channels; wanted one, gray without transparency", DataError)
    require((picture == first[..., None]).all(), f"{path} holds colors; wanted one channel of gray values", DataError)
    return np.ascontiguousarray(first)
