"""Reading NIfTI volumes that somebody else wrote: planes and their grid, or one sentence about the file; writing them.

Only numbers leave a header: its free text (``descrip``, ``aux_file``, ``intent_name``) and its extensions, which may
name a patient, are not read, and no error repeats what a decoder said.
"""

from __future__ import annotations

import contextlib
import gzip
import math
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from labutils.core.checks import DataError, require
from labutils.core.files import atomic_write
from labutils.data.grids import Grid, corner_distance_mm, planes_to_volume, to_planes

ENDINGS = (".nii", ".nii.gz")
MAX_VOXELS = 2**28  # 512 x 512 x 1024; checked before decoding, as a few bytes can claim any size
MAX_OFFSET = 2**26  # bytes before the voxels
Stream = BufferedReader | gzip.GzipFile
DTYPES = ("uint8", "int16", "uint16", "int32", "float32", "float64")  # that `write_volume` writes


class Volume(NamedTuple):
    """A volume as planes, and the grid of its file."""

    planes: np.ndarray  # (D, H, W), finite; of the file's dtype, or floating point where its header scales
    grid: Grid


def read_grid(path: Path) -> Grid:
    """The grid of a NIfTI file, from its header alone.

    The sform counts where it is set, else the qform, else the voxel sizes alone (``placed`` False).

    Raises:
        DataError: the file cannot be read, is no NIfTI-1 or -2 of one file, has more than three axes (those of size 1
            are dropped, missing ones added) or more than `MAX_VOXELS`, counts in another unit than mm, or its affine
            cannot be inverted; or its sform and qform name other axes or, being of one space, place a corner more
            than half a voxel apart. The text names the file.
    """
    with _opened(path) as stream:
        return _grid(path, _header(path, stream))


def read_volume(path: Path) -> Volume:
    """A NIfTI file as planes; the header's scaling is applied.

    Raises:
        DataError: as for `read_grid`; or the voxels are cut short, damaged, no real numbers, or NaN or infinite.
    """
    with _opened(path) as stream:
        header = _header(path, stream)
        grid = _grid(path, header)
        array = _scaled(path, header, _voxels(path, header, grid.shape, stream))
    finite = array.dtype.kind != "f" or bool(np.isfinite(array).all())
    require(finite, f"{path} holds values that are NaN or infinite; wanted numbers", DataError)
    return Volume(to_planes(array, grid), grid)


def write_volume(path: Path, planes: np.ndarray, grid: Grid) -> None:
    """Write planes as a NIfTI-1 file in the grid they came from, whole or not at all.

    Args:
        path: ends in ``.nii`` or ``.nii.gz``.
        planes: (D, H, W) as for `planes_to_volume`; bool, or one of `DTYPES`.
        grid: of the file that the planes came from; its affine is written as the sform, in float32.
    Raises:
        InputError: another ending or dtype, or as for `planes_to_volume`.
    """
    import nibabel

    require(path.name.endswith(ENDINGS), f"{path} has another ending; wanted {' or '.join(ENDINGS)}")
    if planes.dtype == bool:
        planes = planes.astype(np.uint8)
    require(planes.dtype.name in DTYPES, f"planes are {planes.dtype}; wanted bool, {', '.join(DTYPES)}")
    image = nibabel.Nifti1Image(planes_to_volume(planes, grid), grid.affine)
    image.header.set_xyzt_units("mm")
    content = image.to_bytes()
    with atomic_write(path) as stream:
        # without the time of writing, so that equal volumes give equal files
        stream.write(gzip.compress(content, mtime=0) if path.name.endswith(".gz") else content)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Stream]:
    """The file's bytes, unpacked where they are packed, whatever its ending says."""
    try:
        stream = open(path, "rb")  # noqa: SIM115  closed below; an error inside must not read as "cannot be read"
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    with stream:
        packed = stream.peek(2)[:2] == b"\x1f\x8b"
        with gzip.GzipFile(fileobj=stream) if packed else contextlib.nullcontext(stream) as content:
            yield content


def _take(path: Path, stream: Stream, count: int) -> bytes:
    """The next `count` bytes; refuses a stream that is damaged or ends before."""
    try:
        content = stream.read(count)
    except (EOFError, OSError, zlib.error):
        content = b""
    require(len(content) == count, f"{path} is cut short or damaged; wanted the whole file, copied again", DataError)
    return content


def _header(path: Path, stream: Stream) -> Any:
    """nibabel's header, without the extensions that nibabel's own loading would read, of whatever size they claim."""
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    start = _take(path, stream, 4)
    kinds = {348: Nifti1Header, 540: Nifti2Header}
    kind = kinds.get(int.from_bytes(start, "little")) or kinds.get(int.from_bytes(start, "big"))
    if kind is None:
        raise DataError(f"{path} is no NIfTI file; wanted NIfTI-1 or NIfTI-2")
    # unchecked: nibabel's checks repair what they can and print what they found
    header = kind(start + _take(path, stream, kind.sizeof_hdr - 4), check=False)
    single = bytes(header["magic"]).startswith((b"n+1", b"n+2"))
    require(single, f"{path} is a header without its voxels; wanted NIfTI in one file", DataError)
    return header


def _grid(path: Path, header: Any) -> Grid:
    shape = _shape(path, header)
    unit = int(header["xyzt_units"]) & 7
    require(unit in (0, 2), f"{path} counts lengths in {'m' if unit == 1 else 'micrometers'}; wanted mm", DataError)
    forms = None
    with contextlib.suppress(Exception):  # e.g. HeaderDataError from quaternions that are none
        forms = header.get_sform(coded=True), header.get_qform(coded=True)
    if forms is None:
        raise DataError(f"{path} has a qform that is no rotation; wanted a header of one geometry")
    (sform, s_code), (qform, q_code) = forms
    affine = sform if sform is not None else qform if qform is not None else header.get_base_affine()
    regular = np.isfinite(affine).all() and (np.linalg.norm(affine[:3, :3], axis=0) > 0).all()
    regular = regular and np.linalg.matrix_rank(affine[:3, :3]) == 3
    require(regular, f"{path} has an affine that cannot be inverted; wanted voxels of a size in mm", DataError)
    grid = Grid(shape, np.asarray(affine, np.float64), sform is not None or qform is not None)
    if sform is not None and qform is not None:
        _require_one_geometry(path, grid, grid._replace(affine=qform), same_space=s_code == q_code)
    return grid


def _shape(path: Path, header: Any) -> tuple[int, int, int]:
    axes = int(header["dim"][0])
    sizes = [int(size) for size in header["dim"][1 : axes + 1]]
    good = 1 <= axes <= 7 and all(size >= 1 for size in sizes)
    require(good, f"{path} claims {axes} axes of sizes {sizes}; wanted three, none of them empty", DataError)
    told = " x ".join(map(str, sizes))
    require(all(size == 1 for size in sizes[3:]), f"{path} holds {told} voxels; wanted three axes", DataError)
    few = math.prod(sizes) <= MAX_VOXELS
    require(few, f"{path} claims {told} voxels; wanted {MAX_VOXELS} at most", DataError)
    i, j, k = [*sizes, 1, 1][:3]
    return i, j, k


def _require_one_geometry(path: Path, sform: Grid, qform: Grid, *, same_space: bool) -> None:
    """Small differences are rounding, and two spaces may differ in place; other axes are a mistake in one of them."""
    apart = corner_distance_mm(sform.shape, sform.affine, qform.affine)
    half = float(np.linalg.norm(sform.affine[:3, :3], axis=0).min()) / 2
    if sform.axes != qform.axes or (same_space and apart > half):
        raise DataError(
            f"{path} has a sform ({sform.facts()}) and a qform ({qform.facts()}) up to {apart:.3g} mm apart; "
            "wanted one geometry"
        )


def _voxels(path: Path, header: Any, shape: tuple[int, int, int], stream: Stream) -> np.ndarray:
    """The voxels as stored (I, J, K), in the machine's byte order."""
    dtype = None
    with contextlib.suppress(Exception):  # raised for a code that nibabel does not know
        dtype = np.dtype(header.get_data_dtype())
    if dtype is None:
        raise DataError(f"{path} holds voxels of an unknown kind; wanted whole or floating-point numbers")
    plain = dtype.kind in "iuf" and dtype.itemsize <= 8
    kind = "colors" if dtype.fields else dtype
    require(plain, f"{path} holds {kind}; wanted whole or floating-point numbers of 8 bytes at most", DataError)
    start, offset = int(header.sizeof_hdr), float(header["vox_offset"])
    known = start <= offset <= MAX_OFFSET and offset == int(offset)
    require(known, f"{path} claims that its voxels begin at byte {offset:.5g}; wanted them near the start", DataError)
    _take(path, stream, int(offset) - start)
    content = _take(path, stream, math.prod(shape) * dtype.itemsize)
    with contextlib.suppress(EOFError, OSError, zlib.error):
        stream.read(1)
        return np.frombuffer(content, dtype).reshape(shape, order="F").astype(dtype.newbyteorder("="), copy=False)
    raise DataError(f"{path} is cut short or damaged; wanted the whole file, copied again")


def _scaled(path: Path, header: Any, raw: np.ndarray) -> np.ndarray:
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if not math.isfinite(slope) or slope == 0 or (slope, inter) == (1, 0):
        return raw  # NIfTI's way to say that there is no scaling
    require(math.isfinite(inter), f"{path} adds {inter} to its voxels; wanted a number", DataError)
    if raw.dtype.itemsize <= 2:  # float32 holds them exactly
        return raw.astype(np.float32) * np.float32(slope) + np.float32(inter)
    return raw.astype(np.float64) * slope + inter
