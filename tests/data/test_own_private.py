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


@pytest.mark.parametrize("where", range(0, 100, 9))
def test_errors_do_not_name_who_the_files_name(named, where, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    root, ending = named
    for folder in ("images", "masks/anna"):
        path = root / folder / f"a0.{ending}"
        content = bytearray(path.read_bytes())
        place = where * len(content) // 100
        content[place : place + 6] = CANARY[:6].encode()  # damage that an error might repeat
        path.write_bytes(content if where % 2 else content[: place + 6])
    found = survey(root)
    if found.faults:
        with pytest.raises(DataError) as caught:
            load_own(root, "train")
        error: BaseException | None = caught.value
        while error is not None:
            assert CANARY[:4] not in f"{error!r}"
            error = error.__cause__
    assert CANARY[:4] not in repr(found) + caplog.text + "".join(capfd.readouterr())
