"""Small folders with the layout and the quirks of BU-BIL."""

import struct
import zlib
from itertools import cycle

import cv2
import numpy as np

from labutils.data.bubil_experts import RATERS


def save(path, array, kind="gray"):
    """Write uint8 (H, W) as a PNG file; `kind` is how the same grays are stored."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "palette":
        path.write_bytes(_palette(array))
        return path
    channels = {"rgb": [array] * 3, "rgba": [array] * 3 + [np.full_like(array, 255)]}.get(kind)
    flags = [cv2.IMWRITE_PNG_BILEVEL, 1] if kind == "1 bit" else []
    assert cv2.imwrite(str(path), np.dstack(channels) if channels else array, flags)
    return path


def _palette(array):
    """A PNG file whose pixels are numbers of grays in a table, which OpenCV reads and does not write."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + row.tobytes() for row in array)
    header = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], 8, 3, 0, 0, 0)
    table = bytes(np.repeat(np.arange(256, dtype=np.uint8), 3))
    parts = [(b"IHDR", header), (b"PLTE", table), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def black_on_white(mask):
    """A mask as it is stored: the object 0, the background 255."""
    return np.where(mask, 0, 255).astype(np.uint8)


def box(size, top, left, height, width):
    """bool (H, W), True in a box."""
    mask = np.zeros(size, bool)
    mask[top : top + height, left : left + width] = True
    return mask


def expert_mask(number, rater, size):
    """What rater `rater` draws in image `number`: a box in the middle, one row higher for each rater."""
    top, left = size[0] // 2 - 6, size[1] // 2 - 3 - number % 2
    return box(size, top, left, 2 + rater, 5)


def write_experts(root, images=12):
    """Dataset 1: 20 x 24 pixels, but the third image has 24 x 30 and a palette; names differ in case."""
    folder = root / "BU-BIL_Dataset1"
    for number in range(images):
        size, kind = ((24, 30), "palette") if number == 2 else ((20, 24), "gray")
        gray = np.arange(size[0] * size[1], dtype=np.uint8).reshape(size) + np.uint8(number)
        save(folder / "RawImages" / f"B{number:02}.png", gray, kind)
        gold = black_on_white(expert_mask(number, 9, size))
        save(folder / "GoldStandard" / f"seg_B{number:02}.png", gold, "1 bit")
        for rater, (name, stored) in enumerate(zip(RATERS, cycle(["gray", "rgb"]), strict=False)):
            start = "Seg" if (rater, number) == (2, 5) else "seg"
            drawn = black_on_white(expert_mask(number, rater, size))
            save(folder / "ExpertsAnnotations" / name / f"{start}_B{number:02}.png", drawn, stored)
    return root


# name, (height, width) of the crop, top left corner of the gold object in the frame
CROWD = (
    ("001", (8, 6), (2, 2)),
    ("002", (5, 9), (20, 2)),
    ("003", (7, 7), (4, 2)),  # overlaps 001
    ("004", (6, 6), (6, 2)),  # overlaps 003 but not 001
    ("005", (6, 6), (20, 20)),
)


def crowd_mask(slot, size):
    """What slot `slot` draws: a box that grows with it."""
    return box(size, 1, 1, 2, min(1 + slot // 2, size[1] - 1))


def write_crowd(root, number=4):
    """Dataset 4 or 6: crops of different sizes with RGBA masks, gold standards in a frame of 40 x 40 pixels."""
    folder = root / f"BU-BIL_Dataset{number}"
    for name, size, corner in CROWD:
        save(folder / "RawImages" / f"T{name}.png", np.full(size, int(name), np.uint8), "palette")
        save(folder / "GoldStandard" / f"seg_t{name}.png", black_on_white(box((40, 40), *corner, 3, 3)), "1 bit")
        for slot in range(7):
            path = folder / "CrowdsourcedAnnotations" / f"mturk_annotation{number}-{slot + 1}" / f"seg_T{name}.png"
            save(path, black_on_white(crowd_mask(slot, size)), "rgba")
    return root
