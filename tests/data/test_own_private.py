"""What a file says besides its pixels stays in the file: a planted name is in no store, error, log or map."""

from __future__ import annotations

import logging
import struct
import zlib

import nibabel
import numpy as np
import pytest
import tifffile

from labutils.core.checks import DataError
from labutils.core.runtime import cache_root
from labutils.data.findings import Findings
from labutils.data.own import load_own, own_dataset
from labutils.data.own_faults import survey
from labutils.data.own_files import list_folder
from labutils.data.own_volumes import join_maps
from tests.own_folders import AFFINE, save, write_table

CANARY = "JANE-DOE-1961"


def png(path, array):
    """A picture with the name in a text chunk and in a comment of its EXIF data."""
    content = save(path, array).read_bytes()
    chunks = b""
    for kind, text in ((b"tEXt", b"Patient\0" + CANARY.encode()), (b"eXIf", b"MM\0*" + CANARY.encode())):
        chunks += struct.pack(">I", len(text)) + kind + text + struct.pack(">I", zlib.crc32(kind + text))
    path.write_bytes(content[:33] + chunks + content[33:])


def tiff(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    more = [(315, 2, 0, CANARY, False), (65000, 2, 0, CANARY, False)]
    tifffile.imwrite(path, array, description=CANARY, software=CANARY, metadata=None, extratags=more)


def nifti(path, array):
    image = nibabel.Nifti1Image(array[:, :, None], AFFINE)
    for name in ("descrip", "aux_file", "intent_name", "db_name"):
        image.header[name] = CANARY.encode()
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", CANARY.encode()))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(image.to_bytes())


WRITERS = {"png": png, "tif": tiff, "nii": nifti}
FAULTY = {"png": 12, "tif": 10, "nii": 8}  # of 12 places to damage, those that must be noticed


@pytest.fixture(params=WRITERS)
def named(request, tmp_path, monkeypatch):
    """A folder of three images whose files all name a patient, and a cache of its own."""
    monkeypatch.setenv("LABUTILS_CACHE", str(tmp_path / "cache"))
    root, ending = tmp_path / "mine", request.param
    rng = np.random.default_rng(0)
    for i in range(3):
        WRITERS[ending](root / "images" / f"a{i}.{ending}", rng.integers(0, 256, (16, 12), dtype=np.uint8))
        WRITERS[ending](root / "masks" / "anna" / f"a{i}.{ending}", rng.integers(0, 2, (16, 12), dtype=np.uint8))
    (root / "dataset.toml").write_text("window = [0, 255]")
    write_table(root, "case,split", "a0,train", "a1,validate", "a2,test")
    assert all(CANARY.encode() in path.read_bytes() for path in root.glob(f"**/*.{ending}"))
    return root, ending


def test_stores_logs_and_maps_do_not_name_who_the_files_name(named, tmp_path, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    root, ending = named
    cases = [case for split in own_dataset(root).card.splits for case in load_own(root, split).cases]
    for case in cases:
        save(tmp_path / "maps" / f"{case}.png", np.zeros((12, 16) if ending == "nii" else (16, 12), np.uint8))
    written = join_maps(list_folder(root, Findings(root, strict=True)), tmp_path / "maps", cases)
    assert len(written) == (3 if ending == "nii" else 0)
    made = [path for folder in (cache_root(), tmp_path / "maps") for path in folder.rglob("*") if path.is_file()]
    assert len(made) >= 3 * 5
    for path in made:
        assert CANARY.encode() not in path.read_bytes()
        assert CANARY not in path.name
    assert CANARY not in repr(survey(root)) + caplog.text + "".join(capfd.readouterr())


def chain(error):
    """An error and all that led to it, shown or not."""
    return [] if error is None else [error, *chain(error.__cause__), *chain(error.__context__)]


def damaged(content, where):
    """The name's first letters at a place in percent; at even places they end what is cut short there."""
    place = where * len(content) // 100
    after = content[place + 6 :] if where % 2 else b""
    return content[:place] + CANARY[:6].encode() + after  # damage that an error might repeat


def test_errors_do_not_name_who_the_files_name(named, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    root, ending = named
    paths = [root / folder / f"a0.{ending}" for folder in ("images", "masks/anna")]
    whole = {path: path.read_bytes() for path in paths}
    faulty = 0
    for where in range(0, 100, 9):
        for path in paths:
            path.write_bytes(damaged(whole[path], where))
        found = survey(root)
        assert CANARY[:4] not in repr(found)
        if found.faults:
            faulty += 1
            with pytest.raises(DataError) as caught:
                load_own(root, "train")
            assert all(CANARY[:4] not in f"{error!r}{vars(error)}" for error in chain(caught.value))
    assert faulty >= FAULTY[ending]
    assert CANARY[:4] not in caplog.text + "".join(capfd.readouterr())


DAMAGED = {
    "table that is no text": ("cases.csv", b"case,split\na0,train\n" + CANARY.encode() + b"\xff,test\n"),
    "table with an open quote": ("cases.csv", b'case,split\n"' + CANARY.encode()),
    "settings that are no text": ("dataset.toml", b"title = '" + CANARY.encode() + b"\xff'"),
    "settings that do not parse": ("dataset.toml", b"title = '" + CANARY.encode()),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_table_or_settings_that_cannot_be_read_are_not_repeated(named, name):
    root, _ = named
    place, content = DAMAGED[name]
    (root / place).write_bytes(content)
    assert survey(root).faults[0].path == place
    assert CANARY not in repr(survey(root))
    with pytest.raises(DataError) as caught:
        load_own(root, "train")
    assert all(CANARY not in f"{error!r}{vars(error)}" for error in chain(caught.value))
