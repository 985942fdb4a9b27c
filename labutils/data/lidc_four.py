"""LIDC-IDRI lesion crops that always have four raters, in either of two public forms, told apart by their folders.

The crops of the Hierarchical Probabilistic U-Net, 180 x 180 pixels (splits ``train``, ``val``, ``test``)::

    <root>/<split>/images/<patient>/z-<z>_c<crop>.png      gray, 8 bits
    <root>/<split>/gt/<patient>/z-<z>_c<crop>_l<k>.png     0 or 255; four labels, k from 0 to 3 or from 1 to 4

Slices with four labels, 128 x 128 pixels (folders ``training`` and, where given, ``testing``)::

    <root>/<folder>/<case number>/image_<n>.jpg             gray, 8 bits
    <root>/<folder>/<case number>/label<k>_.jpg             near 0 or near 255 (JPEG), k from 0 to 3

A folder that `labutils.data.lidc_pickle` made of the published pickle has the first form, with 128 x 128 pixels.

All four raters are present in every case. One who marked nothing has an empty mask, which says "no lesion here", so
nothing is missing. The label number is no person: raters are exchangeable.

The second form does not say whose slices they are, and neighboring slices look alike. Any division by case number
would claim an independence that nobody knows of, since gaps in the numbers may come from slices drawn at random. All
its cases are therefore of one patient, ``UNKNOWN``: intervals over patients become NaN, no patient can be held out,
and its two splits are refused as not disjoint.

A split is read and checked once, then kept as a memory-mapped store. A split of the first form without ``gt`` gives a
store with ``labeled`` False.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from labutils.core.checks import DataError, require
from labutils.core.files import read_json
from labutils.data.cards import Card
from labutils.data.catalog import Dataset
from labutils.data.pictures import read_gray, require_two_tone
from labutils.data.prepared import files_key, prepared_store, require_folder, source_of
from labutils.data.store import Source, Store

READER_VERSION = 1  # raise it when the same files would give another store
RATERS = 4
UNKNOWN = "unknown"  # the patient of every case of the second form
# Images and patients of each split of the first form, as its homepage states them.
EXPECTED = {"train": (8843, 530), "validate": (1993, 111), "test": (1980, 103)}
RECORD = "preparation.json"  # in a folder that was made here, from DICOM files or a pickle: how many crops it holds
ARCHIVES = (".tar", ".tar.gz", ".tgz")
_CROP = re.compile(r"(([^/]+)/(z-(-?\d+(?:\.\d+)?)_c(\d+)))\.png")
_CROP_LABEL = re.compile(r"([^/]+/z--?\d+(?:\.\d+)?_c\d+)_l(0|[1-9]\d*)\.png")
_SLICE = re.compile(r"(\d+)/(?:image_(\d+)|label(0|[1-9]\d*)_)\.jpg")

CARD = Card(
    name="lidc-four",
    title="LIDC-IDRI lesion crops, always 4 raters",
    what="CT crops around a lung lesion, with the masks of four radiologists, empty where one marked nothing.",
    licence="LIDC-IDRI images and contours under CC BY 3.0; four-label slices as prepared under Apache 2.0",
    citation="Armato et al., Medical Physics 38(2), 2011; The Cancer Imaging Archive, 10.7937/K9/TCIA.2015.LO9QL9SX",
    homepage="https://github.com/google-deepmind/deepmind-research/tree/master/hierarchical_probabilistic_unet",
    raters="4 anonymous radiologists per case, in no fixed order",
    identified=False,
    classes=2,
    image="(C, H, W) = (1, 180, 180), or (1, 128, 128) for the four-label slices and the converted pickle; gray values "
    "divided by 255",
    splits=("train", "validate", "test"),
    how_to_get="copy the folder lidc_crops that the homepage links to and give its path as root or in LABUTILS_DATA",
    quirks=(
        "All four radiologists are present in every case; one who marked nothing has an empty mask.",
        "Pixel spacing is not kept: spacing_mm is 1.0 and counts pixels, although the 180 x 180 crops were resampled "
        "to 0.5 mm; the four-label slices say nothing of theirs.",
        "The four-label slices do not say which patient they show and neighbors look alike, so all count as one "
        "patient 'unknown': intervals over patients are NaN and no patient can be held out.",
        "The published pickle, turned into files by this package, gives crops of 128 x 128 pixels; the z in their "
        "names is unknown and stands as 0.",
        "The published label files are numbered 0 to 3 and their documentation says 1 to 4; both are read.",
        "Results on these crops do not compare with results on other preparations of LIDC-IDRI.",
    ),
    spacing_known=False,
)


class CaseFiles(NamedTuple):
    """The files of one case."""

    case: str
    patient: str
    image: Path
    masks: tuple[Path, ...]  # four in the order of their numbers, or none for an image alone


class Form(NamedTuple):
    """One of the two public forms."""

    folders: Mapping[str, str]  # what each split's folder is called
    inside: str  # the folder of images within it, "" for none
    sign: str  # a pattern of files that only this form has in a split's folder
    slack: int  # gray values a mask may be off 0 and 255
    cases: Callable[[Path], list[CaseFiles]]  # of a split's folder, in order


def load(split: str, root: Path | None, limit: int | None = None) -> Store:
    """One split of the crops; see `labutils.data.catalog.load` for the arguments.

    Case ids are ``<patient>_z-<z>_c<crop>``, or ``<case number>_image_<n>`` for the four-label slices.

    Returns:
        A memory-mapped store in numeric order of patient, z and crop, or of case number; source "your copy" or
        "twin"; no truth.
    Raises:
        DataError: a file or folder is missing, damaged, or not what its name says; or the folder holds as many
            patients as the published split and another number of images; the text names it.
    """
    root = require_folder(root, CARD)
    form = _form(root, split)
    cases = form.cases(root / form.folders[split])
    source = source_of(root)
    if form is CROPS and source != "twin":
        _require_whole(root / form.folders[split], cases, *_expected(root, split))
    files = [path for case in cases for path in (case.image, *case.masks)]
    key = files_key(root, files, READER_VERSION, CARD)
    return prepared_store(f"lidc-four-{split}", key, lambda: _read_split(split, cases, form.slack, source)).first(limit)


def _holds(folder: Path, split: str) -> bool:
    return any(split in form.folders and (folder / form.folders[split] / form.inside).is_dir() for form in FORMS)


def _found(folder: Path) -> bool:
    """Looks for the files' names too, as folders called ``train/images`` are common."""
    return any(any(folder.glob(f"{name}/{form.sign}")) for form in FORMS for name in form.folders.values())


def _form(root: Path, split: str) -> Form:
    """The form of the folder; refuses archives, folders of another kind, and a split that is not there."""
    archive = root.is_file() and root.name.endswith(ARCHIVES)
    require(not archive, f"{root} is an archive; unpack it first and give the folder that it holds", DataError)
    names = [" or ".join(form.folders.values()) for form in FORMS]
    wanted = f"{names[0]} with images in it, or {names[1]}"
    require(root.is_dir(), f"{root} is not a folder; wanted the one that holds {wanted}", DataError)
    there = [
        (form, name) for form in FORMS for name, sub in form.folders.items() if (root / sub / form.inside).is_dir()
    ]
    if not there:
        inside = (root / "images").is_dir() or root.name in {*CROPS.folders.values(), *SLICES.folders.values()}
        hint = "it looks like a folder inside the dataset" if inside else "it has none of them"
        raise DataError(f"{root} is not the dataset's folder: wanted {wanted}, and {hint}")
    forms = [form for form in FORMS if any(form is other for other, _ in there)]
    require(len(forms) == 1, f"{root} holds both forms of the dataset; wanted {names[0]}, or {names[1]}", DataError)
    splits = [name for _, name in there]
    require(split in splits, f"{root} has no files for the split {split!r}; it has {', '.join(splits)}", DataError)
    return forms[0]


def _pictures(folder: Path, ending: str, name: re.Pattern[str], wanted: str) -> Iterator[tuple[Path, re.Match[str]]]:
    """The pictures below a folder in alphabetical order, each with what its name says; hidden files are passed over."""
    for path in sorted(folder.rglob(f"*{ending}")):
        if not path.name.startswith("."):
            match = name.fullmatch(path.relative_to(folder).as_posix())
            if match is None:
                raise DataError(f"{path} has a name of another form; wanted {wanted} in {folder}")
            yield path, match


def natural(text: str) -> list[str | int]:
    """A key that sorts p2 before p10: text and numbers by turns, so that like is compared with like."""
    return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"(\d+)", text))]


def _crop_cases(folder: Path) -> list[CaseFiles]:
    """The cases of a split of the first form, by patient, z and crop."""
    labels: dict[str, dict[int, Path]] = {}
    for path, match in _pictures(folder / "gt", ".png", _CROP_LABEL, "<patient>/z-<z>_c<crop>_l<k>.png"):
        labels.setdefault(match[1], {})[int(match[2])] = path
    found = list(_pictures(folder / "images", ".png", _CROP, "<patient>/z-<z>_c<crop>.png"))
    require(found, f"{folder / 'images'} holds no .png file", DataError)
    found.sort(key=lambda one: (natural(one[1][2]), float(one[1][4]), int(one[1][5])))
    if (folder / "gt").is_dir():
        _require_same_names(folder, {match[1]: path for path, match in found}, labels)
    return [
        CaseFiles(
            case=f"{match[2]}_{match[3]}",
            patient=match[2],
            image=path,
            masks=_four(path, labels[match[1]], firsts=(0, 1)) if labels else (),
        )
        for path, match in found
    ]


def _require_same_names(folder: Path, images: Mapping[str, Path], labels: Mapping[str, Mapping[int, Path]]) -> None:
    if bare := [path for name, path in images.items() if name not in labels]:
        raise DataError(f"{bare[0]} has no masks in {folder / 'gt'} ({len(bare)} such images in all)")
    if bare := [path for name, numbered in labels.items() if name not in images for path in numbered.values()]:
        raise DataError(f"{bare[0]} has no image in {folder / 'images'} ({len(bare)} such masks in all)")


def _slice_cases(folder: Path) -> list[CaseFiles]:
    """The cases of a folder of the second form, by case number."""
    images: dict[str, list[Path]] = {}
    labels: dict[str, dict[int, Path]] = {}
    wanted = "<case number>/image_<n>.jpg or label<k>_.jpg"
    for path, match in _pictures(folder, ".jpg", _SLICE, wanted):
        images.setdefault(match[1], [])
        if match[2] is not None:
            images[match[1]].append(path)
        else:
            labels.setdefault(match[1], {})[int(match[3])] = path
    require(images, f"{folder} holds no .jpg file", DataError)
    cases = []
    for number in sorted(images, key=int):
        count = len(images[number])
        require(count == 1, f"{folder / number} holds {count} images; wanted one image_<n>.jpg", DataError)
        image = images[number][0]
        masks = _four(image, labels.get(number, {}), firsts=(0,))
        cases.append(CaseFiles(f"{number}_{image.stem}", UNKNOWN, image, masks))
    return cases


def _four(image: Path, labels: Mapping[int, Path], firsts: Sequence[int]) -> tuple[Path, ...]:
    """The label files in order; their numbers must run from one of `firsts`, four in all."""
    runs = [list(range(first, first + RATERS)) for first in firsts]
    if sorted(labels) not in runs:
        has = f"the labels {', '.join(map(str, sorted(labels)))}" if labels else "no labels"
        wanted = " or ".join(f"{run[0]} to {run[-1]}" for run in runs)
        raise DataError(f"{image} has {has}; wanted {RATERS} files, numbered {wanted}")
    return tuple(labels[k] for k in sorted(labels))


def _expected(root: Path, split: str) -> tuple[int, int]:
    """How many images and patients a whole split has: as published, or as was written down when it was made here."""
    record = root / RECORD
    if not record.is_file():
        return EXPECTED[split]
    try:
        counts = read_json(record)["splits"][split]
        return int(counts["images"]), int(counts["patients"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{record} does not say what was prepared; prepare the folder again") from error


def _require_whole(folder: Path, cases: Sequence[CaseFiles], images: int, patients: int) -> None:
    """Refuse a damaged copy of the whole split; one with fewer patients is a part, taken on purpose."""
    found = len({case.patient for case in cases})
    if found >= patients and (len(cases), found) != (images, patients):
        raise DataError(
            f"{folder} holds {len(cases)} images of {found} patients; wanted {images} of {patients}, or fewer patients"
        )


def _read_split(split: str, cases: Sequence[CaseFiles], slack: int, source: Source) -> Store:
    size = read_gray(cases[0].image).shape
    labeled = bool(cases[0].masks)
    image = np.empty((len(cases), 1, *size), np.float32)
    masks = np.zeros((len(cases), RATERS if labeled else 1, *size), np.uint8)
    for i, case in enumerate(cases):
        image[i, 0] = _read_sized(case.image, cases[0].image, size).astype(np.float32) / np.float32(255)
        for k, path in enumerate(case.masks):
            masks[i, k] = _binary(path, _read_sized(path, cases[0].image, size), slack)
    return Store(
        image=image,
        masks=masks,
        present=np.full(masks.shape[:2], labeled),
        spacing_mm=np.ones((len(cases), 2)),
        patients=tuple(case.patient for case in cases),
        cases=tuple(case.case for case in cases),
        card=CARD,
        split=split,
        source=source,
    )


def _read_sized(path: Path, first: Path, size: tuple[int, ...]) -> np.ndarray:
    gray = read_gray(path)
    require(gray.shape == size, f"{path} has {gray.shape} pixels and {first} {size}; wanted one size", DataError)
    return gray


def _binary(path: Path, gray: np.ndarray, slack: int) -> np.ndarray:
    """bool (H, W), True from 128 on; refuses what is no mask."""
    require_two_tone(path, gray, slack)
    return gray >= 128


CROPS = Form(
    folders={"train": "train", "validate": "val", "test": "test"},
    inside="images",
    sign="images/*/z-*_c*.png",
    slack=0,
    cases=_crop_cases,
)
SLICES = Form(
    folders={"train": "training", "test": "testing"},
    inside="",
    sign="*/label*_.jpg",
    slack=10,  # what JPEG adds to a mask of 0 and 255
    cases=_slice_cases,
)
FORMS = (CROPS, SLICES)
DATASET = Dataset(
    card=CARD,
    load=load,
    folders=("lidc_four", "lidc_4raters_kohl128", "lidc_crops"),
    found=_found,
    holds=_holds,
)
