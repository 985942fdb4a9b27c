"""Reading IDX files, the form in which MNIST is published: an array, or one sentence about the file."""

from __future__ import annotations

import struct
import zlib
from math import prod
from pathlib import Path

import numpy as np

from labutils.core.checks import DataError, require

UNSIGNED_BYTES = 0x08  # the only element type that MNIST uses
LARGEST_BYTES = 1 << 30  # no published digits come near; a damaged header may claim anything


def read_idx(path: Path, axes: int) -> np.ndarray:
    """The array of an IDX file, plain or compressed with gzip (by its content, not its name).

    Args:
        path: the file.
        axes: how many the array must have: 3 for images (N, H, W), 1 for labels (N,).
    Returns:
        uint8.
    Raises:
        DataError: the file is missing, damaged, cut short, too long, or holds another kind of array.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    if content[:2] == b"\x1f\x8b":
        content = _unpacked(path, content)
    head = 4 + 4 * axes
    known = len(content) >= head and content[:4] == bytes((0, 0, UNSIGNED_BYTES, axes))
    require(known, f"{path} is not an IDX file of bytes with {axes} axes", DataError)
    shape = struct.unpack(f">{axes}I", content[4:head])
    size = len(content) - head
    require(size == prod(shape), f"{path} holds {size} bytes of data; its header says {shape}", DataError)
    require(0 not in shape, f"{path} has shape {shape}; wanted no axis of size 0", DataError)
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)


def _unpacked(path: Path, content: bytes) -> bytes:
    decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        plain = decoder.decompress(content, LARGEST_BYTES)
        if not decoder.eof:
            raise DataError(f"{path} is cut short, or unpacks to more than {LARGEST_BYTES >> 20} MiB")
        return plain
    except zlib.error as error:
        raise DataError(f"{path} cannot be unpacked: {error}") from error
