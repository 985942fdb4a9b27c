"""Each way a folder can be wrong is one fault with its file; all are told at once, and loading raises the first."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile

from labutils.core.checks import DataError
from labutils.data.findings import Fault
from labutils.data.own import load_own
from labutils.data.own_faults import faults_of, survey
from tests.own_folders import (
    AFFINE,
    require_told,
    retold,
    save,
    save_volume,
    settings,
    write_discs,
    write_table,
    write_volumes,
)

D00, M01 = "images/d00.png", "masks/anna/d01.png"
EMPTY = np.zeros((16, 16), np.uint8)


@pytest.fixture
def scans(tmp_path):
    """Two good volumes of three planes."""
    root = write_volumes(tmp_path, count=2)
    write_table(root, "case,split", "v0,train", "v1,test")
    return root


def cut(path, share=0.7):
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


def as_tiff(root, array, **more):
    (root / D00).unlink()
    tifffile.imwrite(root / "images" / "d00.tif", array, **more)


TIFF = "images/d00.tif"
PICTURES = {  # what is done to good pictures, and the fault that it makes
    "extra mask": (
        lambda r: save(r / "masks/anna/x.png", EMPTY),
        "masks/anna/x.png: has no image 'x' in images/; wanted one for every mask",
    ),
    "extra mask in capitals": (
        lambda r: (r / M01).rename(r / "masks/anna/D01.png"),
        "masks/anna/D01.png: has no image 'D01' in images/ (there is 'd01', which differs in upper and lower case); "
        "wanted one for every mask",
    ),
    "extra truth": (
        lambda r: save(r / "truth/x.png", EMPTY),
        "truth/x.png: has no image 'x' in images/; wanted one for every mask",
    ),
    "all raters missing": (
        lambda r: [path.unlink() for path in r.glob("masks/*/d01.png")],
        "images/d01.png: has no rater, and case 'd00' of the same split 'train' has; "
        "wanted masks for every case of a split, or for none",
    ),
    "truth for some": (
        lambda r: save(r / "truth/d01.png", EMPTY),
        f"{D00}: has no truth, and case 'd01' of the same split 'train' has; "
        "wanted truths for every case of a split, or for none",
    ),
    "mask of another size": (
        lambda r: save(r / M01, EMPTY[1:]),
        f"{M01}: is 15 x 16 pixels and its image 16 x 16; wanted them equal",
    ),
    "gray mask": (
        lambda r: save(r / M01, EMPTY + 17),
        f"{M01}: holds the value 17; wanted 0 and 1, or 0 and 255, only",
    ),
    "three values": (
        lambda r: save(r / M01, np.diag([1] * 15 + [255]).astype(np.uint8)),
        f"{M01}: holds the value 255; wanted 0 and 1, or 0 and 255, only",
    ),
    "label beyond": (
        lambda r: [settings(r, "classes = 3"), save(r / M01, EMPTY + 3)],
        f"{M01}: holds the value 3; wanted whole labels from 0 to 2",
    ),
    "colored mask": (
        lambda r: save(r / M01, np.eye(3, dtype=np.uint8)[None].repeat(16, 0)),
        f"{M01}: holds colors; wanted one channel of gray values",
    ),
    "cut image": (
        lambda r: cut(r / D00),
        f"{D00}: is cut short; wanted the whole file, copied again",
    ),
    "no picture": (lambda r: (r / D00).write_text("hello"), f"{D00}: is no PNG file; wanted a picture"),
    "transparency": (
        lambda r: save(r / D00, np.ones((16, 16, 4), np.uint8)),
        f"{D00}: has 4 channels; wanted 1 or 3, without transparency",
    ),
    "colors once": (
        lambda r: save(r / "images/d01.png", np.ones((16, 16, 3), np.uint8)),
        "images/d01.png: has 3 channels, and the first image 1; wanted gray or RGB throughout",
    ),
    "TIFF of two pages": (
        lambda r: as_tiff(r, np.ones((2, 16, 16), np.uint8), photometric="minisblack"),
        f"{TIFF}: holds 2 pages; wanted one picture a file",
    ),
    "TIFF of signed numbers": (
        lambda r: as_tiff(r, np.full((16, 16), -5, np.int16)),
        f"{TIFF}: holds int16 values from -5 to -5; wanted 8 or 16 bits without sign, values from 0.0 to 1.0, or "
        "window = [low, high] in dataset.toml",
    ),
    "TIFF beyond one": (
        lambda r: as_tiff(r, np.full((16, 16), 1.5, np.float32)),
        f"{TIFF}: holds float32 values from 1.5 to 1.5; wanted 8 or 16 bits without sign, values from 0.0 to 1.0, or "
        "window = [low, high] in dataset.toml",
    ),
    "TIFF with NaN": (
        lambda r: as_tiff(r, np.full((16, 16), np.nan, np.float32)),
        f"{TIFF}: holds values that are NaN or infinite; wanted numbers",
    ),
    "TIFF with transparency": (
        lambda r: as_tiff(r, np.ones((16, 16, 4), np.uint8), photometric="rgb", extrasamples=["unassalpha"]),
        f"{TIFF}: has shape (16, 16, 4); wanted (H, W) or (H, W, 3), without transparency",
    ),
    "TIFF with a palette": (
        lambda r: as_tiff(r, EMPTY, photometric="palette", colormap=np.zeros((3, 256), np.uint16)),
        f"{TIFF}: holds a palette; wanted gray or RGB values",
    ),
    "cut TIFF": (
        lambda r: [as_tiff(r, np.ones((16, 16), np.uint8)), cut(r / TIFF)],
        f"{TIFF}: is damaged or no TIFF file; wanted the whole file, copied again",
    ),
    "two files of a case": (
        lambda r: tifffile.imwrite(r / TIFF, EMPTY),
        f"{TIFF}: is a second file of case 'd00', beside d00.png; wanted one file a case",
    ),
    "names alike": (
        lambda r: [save(r / "masks/Anna/d00.png", EMPTY)],
        "masks/anna: differs from Anna only in upper and lower case; wanted other names",
    ),
    "another ending": (
        lambda r: (r / "images/notes.txt").write_text("hello"),
        "images/notes.txt: has another ending; wanted .png, .tif, .tiff, .nii, .nii.gz",
    ),
    "folder among images": (lambda r: (r / "images/more").mkdir(), "images/more: is a folder; wanted files only"),
    "mask without rater": (
        lambda r: save(r / "masks/d00.png", EMPTY),
        "masks/d00.png: is a file; wanted one folder a rater, with the masks in it",
    ),
    "a volume's mask": (
        lambda r: [(r / M01).unlink(), save_volume(r / "masks/anna/d01.nii", EMPTY[None])],
        "masks/anna/d01.nii: is a volume and its image a picture; wanted two of a kind",
    ),
    "picture in two splits": (
        lambda r: shutil.copy(r / D00, r / "images/d03.png"),
        "images/d03.png: holds the same bytes as d00.png: one is in test, the other in train; "
        "wanted every picture in one split",
    ),
}


def moved(root, by, path="masks/anna/v0.nii.gz", size=(16, 16, 3)):
    affine = AFFINE.copy()
    affine[:3, 3] += by
    save_volume(root / path, np.zeros(size, np.uint8), affine)


def listening(path):
    """A socket with this name, of which a system takes short ones only."""
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)


def dangling(path):
    path.symlink_to(path.with_name("gone"))


def to_device(path):
    path.symlink_to("/dev/null")


FOLDER = "one folder a rater, with the masks in it"
NO_FILES = {  # what stands where files and folders are wanted: path, how it is made, and the fault
    "pipe for an image": ("images/p.png", os.mkfifo, "is a pipe; wanted files only"),
    "pipe for a mask": ("masks/ben/d00.png", os.mkfifo, "is a pipe; wanted files only"),
    "pipe for a truth": ("truth/d00.png", os.mkfifo, "is a pipe; wanted files only"),
    "pipe for a rater": ("masks/zoe", os.mkfifo, f"is a pipe; wanted {FOLDER}"),
    "pipe for the settings": ("dataset.toml", os.mkfifo, "is a pipe; wanted a file of text"),
    "socket": ("images/s.png", listening, "is a socket; wanted files only"),
    "device": ("masks/anna/d00.png", to_device, "is a device; wanted files only"),
    "link to nothing for a mask": (
        "masks/ben/d00.png",
        dangling,
        "is a link that leads nowhere; wanted files only",
    ),
    "link to nothing for a rater": ("masks/zoe", dangling, f"is a link that leads nowhere; wanted {FOLDER}"),
    "link to nothing for all masks": ("masks", dangling, "is a link that leads nowhere; wanted a folder"),
    "link to itself": ("truth", lambda path: path.symlink_to(path), "is a link that leads nowhere; wanted a folder"),
}


@pytest.fixture
def soon():
    """Ends a test that waits for a writer who never comes."""
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it hangs"))
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("name", NO_FILES)
def test_what_is_no_file_is_told_and_not_opened(pictures, soon, name):
    place, make, fault = NO_FILES[name]
    path = pictures / place
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path)
    assert [str(fault) for fault in faults_of(pictures)] == [f"{place}: {fault}"]
    require_told(pictures, f"{place}: {fault}")


def test_links_to_files_and_folders_are_read(pictures, tmp_path_factory):
    away = tmp_path_factory.mktemp("away")
    shutil.move(pictures / "masks" / "anna", away / "anna")
    (pictures / "masks" / "anna").symlink_to(away / "anna")
    shutil.move(pictures / D00, away / "d00.png")
    (pictures / D00).symlink_to(away / "d00.png")
    assert faults_of(pictures) == ()


NAMES = {
    b"weird\n\x1b[31mname": r"weird\n\x1b[31mname",
    "right\u202eleft".encode(): r"right\u202eleft",
    b"latin\xe9": r"latin\udce9",
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", ["images/{}.png", "masks/anna/{}.png", "masks/{}"])
def test_names_that_could_garble_a_line_are_refused_and_shown_escaped(pictures, name, place):
    path = os.fsencode(pictures) + b"/" + place.encode().replace(b"{}", name)
    try:
        os.mkdir(path) if place.endswith("{}") else shutil.copy(pictures / D00, path)
    except OSError:
        pytest.skip("this file system takes no such name")
    shown = place.format(NAMES[name])
    require_told(pictures, f"{shown}: has a name with control characters or damaged ones; wanted a name of plain text")
    found = survey(pictures)
    assert len(found.faults) == 1
    assert "\x1b" not in str(found.faults[0]) + "".join(found.notes) + str(found.summary)


def test_a_folder_with_such_a_name_is_shown_escaped(tmp_path):
    root = write_discs(tmp_path / "a\nb", cases=2)
    cut(root / D00)
    with pytest.raises(DataError) as caught:
        load_own(root, "train")
    assert str(caught.value).startswith(f"{tmp_path}/a\\nb/{D00}: is cut short")
    with pytest.raises(DataError, match=r"c\\nd is not a folder"):
        faults_of(tmp_path / "c\nd")


V0 = "masks/anna/v0.nii.gz"
LIES = "16 x 16 x 3 voxels LPS of 0.5 x 0.75 x 3 mm from (10, 20, -30) mm"
VOLUMES = {
    "moved": (
        lambda r: moved(r, [0, 0, 3]),
        f"{V0}: {LIES.replace('-30', '-27')} are up to 3 mm apart from its image's {LIES}; "
        "wanted one grid: resample the mask onto its image",
    ),
    "another size": (
        lambda r: moved(r, 0, size=(16, 16, 2)),
        f"{V0}: {LIES.replace('x 3 voxels', 'x 2 voxels')} are of other sizes from its image's {LIES}; "
        "wanted one grid: resample the mask onto its image",
    ),
    "no window": (
        lambda r: settings(r, ""),
        "images/v0.nii.gz: is a volume that holds int16 values from -999 to 399; "
        "wanted window = [low, high] in dataset.toml",
    ),
    "cut": (
        lambda r: cut(r / "images/v0.nii.gz"),
        "images/v0.nii.gz: is cut short or damaged; wanted the whole file, copied again",
    ),
    "another spacing": (
        lambda r: write_table(r, "case,split,spacing_row_mm,spacing_column_mm", "v0,train,0.75,0.6", "v1,test,,"),
        "cases.csv: case 'v0' has the spacing 0.75 x 0.6 mm, its volume 0.75 x 0.5 mm; "
        "wanted them equal, or no spacing for a volume",
    ),
    "a plane's name": (
        lambda r: [
            save(r / "images/v0_z001.png", EMPTY),
            save(r / "masks/anna/v0_z001.png", EMPTY),
            write_table(
                r, "case,split,spacing_row_mm,spacing_column_mm", "v0,train,,", "v1,test,,", "v0_z001,train,1,1"
            ),
        ],
        "images/v0_z001.png: gives a case 'v0_z001', as v0.nii.gz does; wanted another name",
    ),
}


@pytest.mark.parametrize("name", PICTURES)
def test_what_is_wrong_with_pictures_is_told(pictures, name):
    assert faults_of(pictures) == ()
    harm, sentence = PICTURES[name]
    harm(pictures)
    require_told(pictures, sentence)


@pytest.mark.parametrize("name", VOLUMES)
def test_what_is_wrong_with_volumes_is_told(scans, name):
    assert faults_of(scans) == ()
    harm, sentence = VOLUMES[name]
    harm(scans)
    require_told(scans, sentence)


def test_every_fault_is_told_at_once(pictures):
    for name in ("extra mask", "cut image", "mask of another size", "mask without rater"):
        PICTURES[name][0](pictures)
    settings(pictures, "license = 'MIT'")
    save(pictures / "masks/ben/d02.png", EMPTY + 9)
    retold(pictures, (4, "d03,p0,test"), (5, "gone,p9,train"))
    told = [str(fault) for fault in faults_of(pictures)]
    assert [line.split(":")[0] for line in told] == [
        "dataset.toml", "masks/d00.png", "masks/anna/x.png", "cases.csv", "cases.csv",
        D00, M01, "masks/ben/d02.png",
    ]  # fmt: skip
    assert len(set(told)) == len(told)


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"")])
def test_a_mask_of_a_case_whose_image_cannot_be_read_is_looked_at_too(pictures, damage):
    (pictures / D00).write_bytes(b"")
    damage(pictures / "masks/ben/d00.png")
    paths = [fault.path for fault in faults_of(pictures)]
    assert paths[0] == D00
    assert ("masks/ben/d00.png" in paths) == (pictures / "masks/ben/d00.png").exists()


def test_notes_and_counts_are_told_apart_from_faults(tmp_path):
    root = write_volumes(tmp_path, count=3)
    moved(root, [1e-4, 0, 0])
    shutil.copy(root / "images/v0.nii.gz", root / "images/v2.nii.gz")
    write_table(root, "case,patient", "v0,p", "v1,q", "v2,p")
    (root / "masks" / "idle").mkdir()
    found = survey(root)
    assert found.faults == ()
    told = " ".join(found.notes)
    for words in (
        "the license is not stated",
        "rater 'idle' judged no case",
        "patients are dealt by the hash of their names (60% train, 20% validate, 20% test)",
        "1 image of the same bytes as another of the same split",
        "to 16 x 16",
        "1 mask up to 0.0001 mm off the image",
    ):
        assert words in told
    assert found.summary | {"splits": None} == {
        "name": tmp_path.name,
        "images": 3,
        "cases": 9,
        "splits": None,
        "images_by_rater": {"anna": 3, "idle": 0},
        "images_by_number_of_raters": {"1": 3},
        "cases_by_size": {"16 x 16": 6, "15 x 16": 3},
    }
    assert sum(split["patients"] for split in found.summary["splits"].values()) == 2


def test_volumes_that_do_not_say_how_they_lie_and_images_alone_are_notes(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((4, 4, 2), np.uint8), None)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.nii").write_bytes(image.to_bytes())
    settings(tmp_path, "window = [0, 1]")
    told = " ".join(survey(tmp_path).notes)
    assert "1 volume without a direction: the third axis is taken as feet to head" in told
    assert "there are no masks" in told


def test_a_fault_reads_as_one_line():
    assert str(Fault("a/b.png", "is gray", "colors")) == "a/b.png: is gray; wanted colors"
