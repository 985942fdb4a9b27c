"""Wherever something is written, an error of the disk names a file, and nothing half-written stands at its place."""

import io
import os
import zipfile

import numpy as np
import pytest
import torch

from labutils.core import files
from labutils.data.archives import unpack
from labutils.data.pictures import write_gray
from labutils.data.store import Store, write_store
from labutils.data.tiff import write_tiff
from labutils.training.tensors import write_tensors
from tests.cli.asking import SMALL, ask, refused, write_crops
from tests.data.conftest import TOY
from tests.full_disk import no_file_beyond

NOISE = np.random.default_rng(0).integers(0, 256, (100, 100), dtype=np.uint8)
LIMIT = 4096  # bytes; the noise has more, however it is packed


def fill_folder(path):
    with files.new_folder(path) as building, open(building / "table.csv", "w") as stream:
        stream.write("0," * LIMIT)


def fill_store(path):
    case = (1, *NOISE.shape)
    write_store(
        path,
        Store(
            image=np.zeros((1, *case), np.float32),
            masks=np.zeros((1, *case), np.uint8),
            present=np.ones((1, 1), bool),
            spacing_mm=np.ones((1, 2)),
            patients=("p",),
            cases=("c",),
            card=TOY,
            split="train",
            source="memory",
        ),
    )


def fill_from_archive(path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data/zeros", bytes(2 * LIMIT))
    path.with_name("packed").write_bytes(packed.getvalue())
    unpack(path.with_name("packed"), path)


WRITERS = {
    "JSON": lambda path: files.write_json(path, NOISE.tolist()),
    "folder": fill_folder,
    "picture": lambda path: write_gray(path.with_suffix(".png"), NOISE),
    "TIFF": lambda path: write_tiff(path, NOISE),
    "store": fill_store,
    "archive": fill_from_archive,
    "checkpoint": lambda path: write_tensors(path, {"weights": torch.from_numpy(NOISE)}, {}),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_full_disk_names_the_file(tmp_path, write):
    with no_file_beyond(LIMIT), pytest.raises(OSError) as caught:
        write(tmp_path / "place")
    assert caught.value.errno
    assert caught.value.filename.startswith(str(tmp_path))
    assert "requested and" not in str(caught.value)


@pytest.mark.parametrize("name", ["lidc-crops", "mnist-annotators", "lidc-four"])
def test_a_twin_on_a_full_disk_is_refused_with_a_name_and_leaves_nothing(tmp_path, name):
    with no_file_beyond(500):
        sentence = refused("data", "make-twin", name, tmp_path / "twin", "--cases", 10)
    assert f"labutils: {tmp_path}" in sentence
    assert os.listdir(tmp_path) == []


def test_a_training_on_a_full_disk_names_its_file_and_goes_on_later(tmp_path):
    crops, run = write_crops(tmp_path / "crops", train=range(1, 4), validate=[11]), tmp_path / "run"
    settings = (*SMALL, "--set", "fit.epochs=1")
    command = ("train", "unet", "--data", "lidc-crops", "--root", crops, "--out", run, *settings)
    with no_file_beyond(20_000):
        answer = ask(*command)
    assert answer.code == 2
    assert f"labutils: {run}" in answer.err
    assert not [name for name in os.listdir(run) if "checkpoint" in name or name.endswith(".part")]
    assert ask(*command).code == 0
