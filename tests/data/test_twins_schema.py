"""A twin has the same files as the public original: names, types, sizes and kinds of values."""

import csv
import re
from functools import partial
from pathlib import Path

import cv2
import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from labutils.core.runtime import data_root
from labutils.data.idx import read_idx
from labutils.data.prepared import TWIN_FILE
from tests.data.twin_folders import twin_folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Returns the folder of a twin, made once."""
    return partial(twin_folder, tmp_path_factory.mktemp("twins"))


def facts_of(path):
    """What a file is, apart from its content: type, axes, and which kind of values."""
    if path.name.endswith(".nii.gz"):
        return volume_facts(nibabel.load(path))
    if path.suffix == ".png":
        return png_facts(path)
    if path.suffix == ".csv":
        with open(path, newline="") as stream:
            rows = csv.reader(stream)
            return ("table", *next(rows), *(re.sub(r"\d+", "#", cell) for cell in next(rows)[:-1]))
    if path.suffix == ".gz":
        array = read_idx(path, 3 if "idx3" in path.name else 1)
        return (array.dtype.name, array.ndim, array.shape[1:], array.max() > 9)
    array = tifffile.imread(path) if path.suffix == ".tif" else cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return (array.dtype.name, array.shape, kind_of(array))


def volume_facts(image):
    """All of a header but what nibabel leaves in it from file to file, and the values."""
    header, values = image.header, np.unique(np.asarray(image.dataobj))
    codes = [int(header[name]) for name in ("qform_code", "sform_code", "xyzt_units")]
    return (header.get_data_dtype().name, image.shape, *header.get_zooms(), *codes, *values.tolist())


def png_facts(path):
    """Bits and kind of color, the size unless it is that of a crop, and which values."""
    with Image.open(path) as picture:
        gray, size, mode = np.array(picture.convert("L")), picture.size[::-1], picture.mode
        opaque = mode != "RGBA" or picture.getchannel("A").getextrema() == (255, 255)
    crop = "mturk" in path.parent.name or max(size) < 200
    return (mode, "crop" if crop else size, "opaque" if opaque else "transparent", kind_of(gray))


def kind_of(array):
    if array.max() <= 1 and set(np.unique(array)) <= {0, 1}:
        return "0 and 1"
    if array.dtype == np.uint8:
        far = (array > 10) & (array < 245)
        return "gray" if far.any() else "0 and 255, nearly"
    if abs(array.mean()) < 1e-9:
        return "mean 0, deviation 1" if abs(array.std() - 1) < 1e-9 else "mean 0"
    return "in [0, 1]" if array.min() >= 0 and array.max() <= 1 else "anything"


def schema(folder):
    """For each pattern of file names, with # for numbers, all facts that its files have."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in (TWIN_FILE, "SOURCE.md"):
            name = path.relative_to(folder).as_posix()
            pattern = name if path.suffix == ".gz" else re.sub(r"(?<!label)\d+", "#", name)
            facts = facts_of(path)
            found.setdefault(pattern, set()).add(("uint8", facts[1], "mask") if is_mask(path, facts) else facts)
    return found


def is_mask(path, facts):
    """An empty JPEG mask and a full one differ in their values, and are one kind."""
    return path.name.startswith("label") and facts[-1] in ("0 and 1", "0 and 255, nearly")


NOT_HERE = {"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"}  # too large for the samples


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "form", "folder"),
    [
        ("bubil-crowd-4", "", "bubil_cells/BU-BIL_Dataset4"),
        ("bubil-crowd-6", "", "bubil_cells/BU-BIL_Dataset6"),
        ("bubil-experts", "", "bubil_cells/BU-BIL_Dataset1"),
        ("digit-annotators", "", "mnist_idx"),
        ("lidc-crops", "", "lidc_crops"),
        ("lidc-four", "slices", "lidc_4raters_kohl128"),
        ("mnist-annotators", "", "mnist_annotators"),
        ("stapler-lesions", "", "staple_ms_lesion"),
    ],
)
def test_a_twin_has_the_files_of_the_real_one(made, name, form, folder):
    below = folder.partition("/")[2]  # where a folder holds several datasets, and the twin one of them
    real, twin = schema(Path(data_root()) / folder), schema(made(name, form) / below)
    assert real
    assert {pattern: facts for pattern, facts in twin.items() if pattern not in NOT_HERE} == real
