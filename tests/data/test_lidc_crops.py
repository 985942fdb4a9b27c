import re
from collections import Counter

import numpy as np
import pytest
import tifffile

from labutils.core.checks import DataError, InputError
from labutils.core.runtime import data_root
from labutils.data import catalog, lidc_crops
from labutils.data.cards import require_identified
from labutils.data.lidc_crops import CARD, RATINGS, parse_name, read_metadata
from labutils.data.splits import assert_disjoint

RATERS = {"pid_0001_nod_0_slice_2": 4, "pid_0001_nod_0_slice_10": 2, "pid_0007_nod_3_slice_0": 3}
FIRST, LAST = "pid_0001_nod_0_slice_2", "pid_0007_nod_3_slice_0"  # in the reader's order


def z_scores(scan):
    return (scan - scan.mean()) / (scan.std() or 1)


def write(root, split, stem, raters, *, size=(8, 6)):
    rng = np.random.default_rng(raters)
    masks = rng.random((1, *size, raters)) < 0.5
    for folder, array in {
        "scans": z_scores(rng.normal(size=(1, *size))),
        "masks/annots": masks,
        "masks/GT": masks.mean(axis=-1) >= 0.5,
    }.items():
        path = root / split / folder / f"{stem}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, array)


@pytest.fixture
def root(tmp_path):
    """The layout of the public original: two splits of small slices, and the metadata."""
    folder = tmp_path / "data" / "lidc_crops"
    for stem, raters in RATERS.items():
        write(folder, "train", stem, raters)
    write(folder, "validate", "pid_0009_nod_1_slice_0", 3)
    (folder / "meta").mkdir()
    header = ",".join(("patient_id", "nodule_no", *RATINGS, "nod_sz_per_slice"))
    rows = ('0001,0,4,1,6,4,4,1,1,5,3,"[31, 66]"', "0007,3,5,1,6,3,4,2,1,5,2,[]")
    (folder / "meta" / "metadata.csv").write_text("\n".join((header, *rows)) + "\n")
    return folder


def load(root, split="train", **settings):
    return catalog.load("lidc-crops", split, root=root, **settings)


def part(root, stem=FIRST, folder="scans", split="train"):
    return root / split / folder / f"{stem}.tif"


def test_a_slice_becomes_a_case(root):
    store = load(root)
    assert store.cases == ("pid_0001_nod_0_slice_2", "pid_0001_nod_0_slice_10", "pid_0007_nod_3_slice_0")
    assert store.patients == ("LIDC-IDRI-0001", "LIDC-IDRI-0001", "LIDC-IDRI-0007")
    assert (store.source, store.split, store.truth, store.card) == ("your copy", "train", None, CARD)
    assert store.spacing_mm.tolist() == [[1.0, 1.0]] * 3
    assert not CARD.spacing_known
    for i, (stem, raters) in enumerate(RATERS.items()):
        case = store[i]
        assert case.present.tolist() == [r < raters for r in range(4)]
        drawn = tifffile.imread(part(root, stem, "masks/annots"))[0]
        np.testing.assert_array_equal(case.masks[:raters], drawn.transpose(2, 0, 1))
        assert not case.masks[raters:].any()


def test_scans_are_mapped_by_one_fixed_rule(root, monkeypatch):
    monkeypatch.setattr(lidc_crops, "Z_TOLERANCE", np.inf)
    z = np.array([[-9.0, -3.0, 0.0, 1.5, 6.0, 17.0]] * 8)[None]
    tifffile.imwrite(part(root), z)
    image = load(root)[0].image
    assert image.dtype == np.float32
    np.testing.assert_allclose(image[0, 0], [0, 0, 1 / 3, 0.5, 1, 1], rtol=1e-7)


def test_the_second_load_opens_what_the_first_prepared(root, monkeypatch):
    first = load(root)
    monkeypatch.setattr(lidc_crops, "read_tiff", lambda *_: pytest.fail("a file was read again"))
    second = load(root)
    assert second.manifest == first.manifest
    assert isinstance(second.image.base, np.memmap)
    assert load(root, limit=2).cases == first.cases[:2]


def test_a_changed_file_is_read_again(root):
    before = load(root).manifest
    tifffile.imwrite(part(root), np.zeros((1, 8, 6)))
    assert load(root).manifest != before


def test_a_new_reader_reads_again(root, monkeypatch):
    load(root)
    monkeypatch.setattr(lidc_crops, "READER_VERSION", 99)
    asked = []
    read = lidc_crops.read_tiff
    monkeypatch.setattr(lidc_crops, "read_tiff", lambda *a: asked.append(a) or read(*a))
    load(root)
    assert len(asked) == 9


def test_one_rater_and_one_pixel(tmp_path):
    write(tmp_path, "test", "pid_0001_nod_0_slice_0", 1, size=(1, 1))
    case = load(tmp_path, "test")[0]
    assert (case.image.shape, case.masks.shape) == ((1, 1, 1), (1, 1, 1))


def test_three_hundred_raters(tmp_path):
    write(tmp_path, "test", "pid_0001_nod_0_slice_0", 300, size=(2, 2))
    assert load(tmp_path, "test")[0].present.sum() == 300


def test_a_split_without_masks_gives_images_only(root):
    for folder in ("annots", "GT"):
        for path in (root / "train" / "masks" / folder).iterdir():
            path.unlink()
        (root / "train" / "masks" / folder).rmdir()
    store = load(root)
    assert not store.labeled
    assert store.batch([0, 1, 2]).image.shape == (3, 1, 8, 6)
    with pytest.raises(InputError, match="lidc-crops/train has no masks"):
        store[0]


def test_consensus_files_may_be_left_out(root):
    for path in (root / "train" / "masks" / "GT").iterdir():
        path.unlink()
    assert load(root).labeled


def rewrite(path, array):
    tifffile.imwrite(path, array)


def shorten(path, keep):
    path.write_bytes(path.read_bytes()[:keep])


def swap(root):
    (root / "train" / "scans").rename(root / "kept")
    (root / "train" / "masks" / "annots").rename(root / "train" / "scans")
    (root / "kept").rename(root / "train" / "masks" / "annots")


def with_value(value, **settings):
    array = np.zeros((1, 8, 6), **settings)
    array[0, 0, 0] = value
    return array


ANNOTS = "masks/annots"
SCAN, MASK = rf"scans/{FIRST}\.tif", rf"masks/annots/{FIRST}\.tif"
REFUSALS = {
    "mask of another size": (
        lambda r: rewrite(part(r, folder=ANNOTS), np.zeros((1, 8, 7, 2), bool)),
        MASK + r" has \(8, 7\) pixels and its image \(8, 6\)",
    ),
    "scan of another size": (
        lambda r: rewrite(part(r, LAST), np.zeros((1, 9, 6))),
        rf"{LAST}\.tif has shape \(1, 9, 6\) and {FIRST}\.tif \(1, 8, 6\)",
    ),
    "scan without mask": (lambda r: part(r, folder=ANNOTS).unlink(), SCAN + " has no masks in"),
    "mask without scan": (lambda r: part(r).unlink(), MASK + " has no scan in"),
    "gray values from 0 to 1": (
        lambda r: rewrite(part(r), np.linspace(0, 1, 48).reshape(1, 8, 6)),
        SCAN + " has mean 0.5 and standard deviation 0.295; wanted a slice with 0 and 1",
    ),
    "one gray value": (lambda r: rewrite(part(r), np.full((1, 8, 6), 3.0)), SCAN + " has mean 3 and standard"),
    "a thousand times too bright": (
        lambda r: rewrite(part(r), 1000 * tifffile.imread(part(r))),
        "standard deviation 1e[+]03; wanted a slice with 0 and 1",
    ),
    "NaN": (lambda r: rewrite(part(r), with_value(np.nan)), SCAN + " has values that are NaN"),
    "infinity": (lambda r: rewrite(part(r), with_value(-np.inf)), SCAN + " has values that are NaN or infinite"),
    "mask value 2": (
        lambda r: rewrite(part(r, folder=ANNOTS), with_value(2, dtype=np.uint8)[..., None]),
        MASK + " holds the value 2; wanted 0 and 1",
    ),
    "mask value 255": (
        lambda r: rewrite(part(r, folder=ANNOTS), with_value(255, dtype=np.uint8)[..., None]),
        MASK + " holds the value 255",
    ),
    "scan cut short": (lambda r: shorten(part(r), 300), SCAN + " cannot be read as TIFF"),
    "scan cut in its header": (lambda r: shorten(part(r), 20), SCAN + " cannot be read as TIFF"),
    "scan empty": (lambda r: shorten(part(r), 0), SCAN + " cannot be read as TIFF"),
    "mask no TIFF": (lambda r: part(r, folder=ANNOTS).write_text("no"), MASK + " cannot be read as TIFF"),
    "mask without rater axis": (
        lambda r: rewrite(part(r, folder=ANNOTS), np.zeros((1, 8, 6), bool)),
        MASK + r" has shape \(1, 8, 6\); wanted \(1, H, W, R\)",
    ),
    "scan of two planes": (lambda r: rewrite(part(r), np.zeros((2, 8, 6))), SCAN + r" has shape \(2, 8, 6\)"),
    "folders swapped": (swap, r"scans/\S+\.tif has shape \(1, 8, 6, 4\); wanted \(1, H, W\)"),
    "scan holds a mask": (
        lambda r: rewrite(part(r), np.zeros((1, 8, 6), bool)),
        SCAN + " holds bool; wanted floating point .are scans and masks swapped",
    ),
    "mask holds a scan": (
        lambda r: rewrite(part(r, folder=ANNOTS), np.zeros((1, 8, 6, 2))),
        MASK + " holds float64; wanted bool or unsigned",
    ),
    "mask holds signed numbers": (
        lambda r: rewrite(part(r, folder=ANNOTS), np.zeros((1, 8, 6, 2), np.int16)),
        MASK + " holds int16",
    ),
    "consensus of others": (
        lambda r: rewrite(part(r, folder="masks/GT"), ~tifffile.imread(part(r, folder="masks/GT"))),
        rf"masks/GT/{FIRST}\.tif is not the consensus \(2v >= R\) of 4 raters",
    ),
    "strange name": (lambda r: part(r).rename(part(r, "scan1")), "'scan1' has another form"),
    "no scans": (lambda r: [p.unlink() for p in (r / "train" / "scans").iterdir()], r"train/scans holds no \.tif"),
    "no masks in the folder": (
        lambda r: [p.unlink() for p in (r / "train" / ANNOTS).iterdir()],
        SCAN.replace(FIRST, r"\S+") + " has no masks in",
    ),
}


@pytest.mark.parametrize("damage", REFUSALS)
def test_each_damage_gets_one_sentence(root, damage):
    change, text = REFUSALS[damage]
    change(root)
    with pytest.raises(DataError, match=text) as caught:
        load(root)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("inside", "text"),
    [
        ("train", "looks like a folder inside the dataset"),
        ("train/scans", "looks like a folder inside the dataset"),
        ("meta", "none of them has a folder 'scans'"),
        ("nowhere", "is not a folder"),
    ],
)
def test_a_wrong_root_is_explained(root, inside, text):
    with pytest.raises(DataError, match=text):
        load(root / inside)


def test_a_split_without_files_names_those_that_exist(root):
    with pytest.raises(DataError, match=r"no files for the split 'test'; it has train, validate"):
        load(root, "test")


def test_nothing_is_kept_of_a_split_that_was_refused(root, monkeypatch, tmp_path):
    monkeypatch.setenv("LABUTILS_CACHE", str(tmp_path / "cache"))
    rewrite(part(root, LAST), with_value(np.nan))
    with pytest.raises(DataError):
        load(root)
    assert not (tmp_path / "cache" / "stores").exists()


def test_the_raters_are_exchangeable():
    with pytest.raises(InputError, match="exchangeable"):
        require_identified(CARD, "a matrix per rater")


def test_metadata_rows(root):
    first, second = read_metadata(root)
    assert (first.patient, first.nodule, first.areas_px) == ("LIDC-IDRI-0001", 0, (31, 66))
    assert (first.ratings["subtlety"], first.ratings["malignancy"]) == (4.0, 3.0)
    assert tuple(first.ratings) == RATINGS
    assert (second.patient, second.nodule, second.areas_px) == ("LIDC-IDRI-0007", 3, ())


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("malignancy", "malign", r"metadata\.csv has no column \['malignancy'\]"),
        ("[31, 66]", "[31, x]", r"metadata\.csv, line 2 does not parse"),
        (",6,4,4,1,1", ",six,4,4,1,1", r"line 2 does not parse: could not convert string to float: 'six'"),
        ("0007,3,", "0007,", "line 3 does not parse"),
        ("0007,3", "\x00,3", "does not parse"),
    ],
)
def test_metadata_that_does_not_parse_is_refused(root, old, new, text):
    path = root / "meta" / "metadata.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError, match=text):
        read_metadata(root)


def test_missing_and_binary_metadata_are_refused(root):
    path = root / "meta" / "metadata.csv"
    path.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(DataError, match="not a table"):
        read_metadata(root)
    path.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        read_metadata(root)


@pytest.mark.parametrize(
    "stem", ["", "pid_1_nod_2", "pid_a_nod_0_slice_0", "xpid_1_nod_2_slice_3", "pid_1_nod_2_slice_3.tif"]
)
def test_names_of_another_form_are_refused(stem):
    with pytest.raises(DataError, match=re.escape(repr(stem))):
        parse_name(stem)


def test_names_are_read():
    assert parse_name("pid_0048_nod_2_slice_13") == ("LIDC-IDRI-0048", 2, 13)


@pytest.fixture(scope="module")
def real():
    return {split: catalog.load("lidc-crops", split) for split in ("train", "validate")}


@pytest.mark.data
@pytest.mark.parametrize(
    ("split", "slices", "nodules", "patients", "raters", "with_empty"),
    [
        ("train", 570, 118, 55, {4: 310, 3: 138, 2: 122}, 63),
        ("validate", 114, 14, 8, {4: 82, 3: 29, 2: 3}, 13),
    ],
)
def test_the_public_files_hold_what_they_should(real, split, slices, nodules, patients, raters, with_empty):
    store = real[split]
    assert len(store) == slices
    assert len({parse_name(case)[:2] for case in store.cases}) == nodules
    assert len(set(store.patients)) == patients
    assert Counter(store.present.sum(axis=1).tolist()) == raters
    drawn = store.masks.any(axis=(2, 3))
    assert (store.present & ~drawn).any(axis=1).sum() == with_empty
    assert store.manifest == dict(CARD.manifests)[split]


@pytest.mark.data
def test_no_patient_of_the_public_files_is_in_two_splits(real):
    assert_disjoint(real)


@pytest.mark.data
def test_few_public_pixels_fall_outside_the_window(real):
    for store in real.values():
        assert (store.image == 0).mean() < 0.001
        assert (store.image == 1).mean() < 0.001
        assert 0 <= store.image.min() < store.image.max() <= 1


@pytest.mark.data
def test_every_patient_with_slices_has_metadata(real):
    rows = {(row.patient, row.nodule) for row in read_metadata(catalog.searched("lidc-crops", data_root())[0][0])}
    assert {parse_name(case)[:2] for store in real.values() for case in store.cases} <= rows
