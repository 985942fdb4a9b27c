"""Answers to one image from the command line: the library's, as pictures or as a volume that lies as the image."""

import json
import shutil

import nibabel
import numpy as np
import pytest
import torch

import labutils
from labutils.cli.sample import WIDEST, draw_answers
from labutils.core.files import sha256_of_file
from labutils.core.runtime import rng_for
from labutils.data import lidc_crops
from labutils.data.own_pixels import KINDS, read_image, read_labels
from labutils.data.pictures import read_gray, write_gray
from labutils.data.tiff import write_tiff
from labutils.data.volumes import read_volume
from labutils.evaluation.passport import check_passport
from labutils.models.registry import build, make_config
from labutils.models.samplers import FixedMap, IndependentPixels
from labutils.training import trained
from labutils.training.checkpoint import save_weights
from labutils.training.tensors import content_hash
from labutils.training.trained import ModelCard, ship
from tests.cli.asking import ask, files_below, refused


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A network that draws answers, with the weights it begins with."""
    folder = tmp_path_factory.mktemp("runs") / "drawing"
    folder.mkdir()
    settings = {"width": 4, "levels": 2, "convs": 1, "latent": 2}
    save_weights(
        folder / "weights.safetensors", build("prob-unet", make_config("prob-unet", settings), rng_for(0, "w"))
    )
    return folder


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "image.png"
    write_gray(path, np.random.default_rng(0).integers(0, 256, (10, 13), dtype=np.uint8))
    return path


@pytest.fixture
def volume(tmp_path):
    """Three planes, seen from the left: a grid that is not the identity."""
    path = tmp_path / "image.nii.gz"
    affine = np.array([[0, 0, 2.0, 5], [-0.5, 0, 0, 6], [0, 0.5, 0, 7], [0, 0, 0, 1]])
    voxels = np.random.default_rng(0).normal(0, 400, (9, 8, 3)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(voxels, affine), path)
    return path


def test_pictures_are_the_library_s_answers(run, picture, tmp_path):
    out = tmp_path / "out"
    answer = ask("sample", run, picture, "--n", 3, "--out", out, "--seed", 4)
    assert answer.code == 0, answer
    assert answer.out == f"3 answers to {picture}, their mean and their spread are in {out}\n"
    names = ["answer_01.png", "answer_02.png", "answer_03.png", "mean.png", "sample.json", "spread.png"]
    assert sorted(path.name for path in out.iterdir()) == names
    image = read_image(picture, None).planes
    with torch.no_grad():
        probs = labutils.load(run).sample(torch.from_numpy(image), 3, rng_for(4, "sample", 0))[0]
    for number, one in enumerate(probs, start=1):
        assert (read_labels(out / f"answer_0{number}.png", 2).planes[0] == one.argmax(dim=0).numpy()).all()
    mean, spread = 1 - probs[:, 0].mean(dim=0), probs[:, 0].std(dim=0, correction=0)
    assert np.abs(read_gray(out / "mean.png") / 255 - mean.numpy()).max() <= 0.5 / 255 + 1e-6
    assert np.abs(read_gray(out / "spread.png") / 255 * WIDEST - spread.numpy()).max() <= 0.25 / 255 + 1e-6


def test_the_limits_of_a_network_that_comes_with_the_package_are_told(run, picture, tmp_path, monkeypatch):
    card = ModelCard(title="t", learned_from="noise", answers="noise", limits="It has never seen a dog.", licence="CC0")
    own = shutil.copytree(run, tmp_path / "own")
    (own / "passport.json").write_text(json.dumps({"weights_sha256": content_hash(labutils.load(own).state_dict())}))
    ship(own, tmp_path / "weights" / "noisy", card)
    monkeypatch.setattr(trained, "FOLDER", tmp_path / "weights")
    answer = ask("sample", "noisy", picture, "--n", 1, "--out", tmp_path / "out")
    assert answer.code == 0, answer
    assert answer.out.splitlines()[0] == "note: It has never seen a dog."
    assert len(answer.out.splitlines()) == 2


def test_one_answer_n_times_is_told_with_the_samplers_that_draw_several(picture, tmp_path):
    one = build("unet", make_config("unet", {"width": 4, "levels": 2}), rng_for(0, "w"))
    (tmp_path / "one").mkdir()
    save_weights(tmp_path / "one" / "weights.safetensors", one)
    words = ("sample", tmp_path / "one", picture, "--n")
    first, told = ask(*words, 3, "--out", tmp_path / "alike").out.splitlines()[0], "so all 3 are alike; different ones"
    assert told in first
    assert first.endswith("--sampler and one of random-threshold, independent-pixels, symmetries")
    assert "alike" not in ask(*words, 1, "--out", tmp_path / "one-answer").out
    cut = ask(*words, 3, "--sampler", "random-threshold", "--out", tmp_path / "cut")
    assert (cut.code, len(cut.out.splitlines())) == (0, 1)


def test_one_answer_of_a_clean_head_n_times_is_told_though_the_network_draws_several(picture, tmp_path):
    settings = {"width": 4, "levels": 2, "latent": 2}
    (tmp_path / "two").mkdir()
    save_weights(
        tmp_path / "two" / "weights.safetensors",
        build("stochastic-cm", make_config("stochastic-cm", settings), rng_for(0, "w")),
    )
    words = ("sample", tmp_path / "two", picture, "--n", 3)
    told = ask(*words, "--sampler", "clean", "--out", tmp_path / "clean").out.splitlines()
    assert told[0].startswith("note: the clean head gives one answer to an image, so all 3 are alike; ")
    assert told[0].endswith("--sampler and one of model")
    assert len(ask(*words, "--out", tmp_path / "drawn").out.splitlines()) == 1


def test_a_file_of_the_nodule_crops_is_answered_as_the_case_that_the_dataset_makes_of_it(tmp_path):
    z = np.random.default_rng(0).normal(0, 1, (1, 64, 64))
    file = tmp_path / "pid_0001_nod_0_slice_0.tif"
    write_tiff(file, z)
    assert "or --window LOW HIGH" in refused("sample", "lidc-crops-ssn", file, "--out", tmp_path / "out")
    window = lidc_crops.WINDOW_Z
    answer = ask("sample", "lidc-crops-ssn", file, "--n", 3, "--out", tmp_path / "out", "--window", *window)
    assert answer.code == 0, answer
    assert f"window is from {window[0]:g} to {window[1]:g}" in answer.out  # the network's card says which
    image = ((np.clip(z, *window) - window[0]) / (window[1] - window[0])).astype(np.float32)
    drawn = draw_answers(labutils.load("lidc-crops-ssn"), image[None], 3, 0)
    read = [read_gray(tmp_path / "out" / f"answer_{n:02d}.png") // 255 for n in (1, 2, 3)]
    np.testing.assert_array_equal(np.stack(read), drawn.labels[:, 0])


@pytest.mark.parametrize("name", ["sample", "evaluate"])
def test_the_help_says_that_a_network_of_the_package_can_be_named(name):
    told = " ".join(ask(name, "--help").out.split())
    assert "or the name of a network that comes with the package (the book's page of model cards has them)" in told


def test_the_help_says_how_a_window_is_given():
    assert "--window LOW HIGH" in " ".join(ask("sample", "--help").out.split())


def test_the_passport_names_weights_image_and_sampler(run, picture, tmp_path):
    ask("sample", run, picture, "--n", 1, "--out", tmp_path / "out", "--seed", 4)
    told = json.loads((tmp_path / "out" / "sample.json").read_text())
    check_passport(told["passport"], "the sample")
    assert told["passport"]["config"]["sampler"] == "model"
    assert told["passport"]["seed"] == 4
    assert told["passport"]["data"] == [{"image": "image.png", "sha256": sha256_of_file(picture)}]


def test_volumes_lie_as_the_image_does(run, volume, tmp_path):
    out = tmp_path / "out"
    answer = ask("sample", run, volume, "--n", 2, "--out", out, "--window", -500, 500)
    assert answer.code == 0, answer
    pixels = read_image(volume, (-500.0, 500.0))
    wanted = draw_answers(labutils.load(run), pixels.planes, 2, 0)
    for name, planes in (("answer_01", wanted.labels[0]), ("answer_02", wanted.labels[1]), ("mean", wanted.mean)):
        found = read_volume(out / f"{name}.nii.gz")
        assert np.array_equal(found.planes, planes), name
        assert np.allclose(found.grid.affine, pixels.grid.affine)
        assert nibabel.load(out / f"{name}.nii.gz").shape == nibabel.load(volume).shape
    assert np.array_equal(read_volume(out / "spread.nii.gz").planes, wanted.spread)


def test_mean_and_spread_by_hand():
    """A pixel that is foreground in a quarter of all answers has a standard deviation of sqrt(3) / 4."""
    probs = torch.tensor([0.75, 0.25])[:, None, None].expand(2, 4, 5)
    found = draw_answers(IndependentPixels(FixedMap(probs)), np.zeros((1, 1, 4, 5), np.float32), 4000, 0)
    assert found.labels.shape == (4000, 1, 4, 5)
    assert found.mean == pytest.approx(0.25, abs=0.03)
    assert found.spread == pytest.approx(3**0.5 / 4, abs=0.02)
    assert np.allclose(found.labels.mean(axis=0), found.mean)


def test_three_classes_are_written_as_their_numbers(tmp_path, picture):
    folder = tmp_path / "three"
    folder.mkdir()
    network = build("unet", make_config("unet", {"width": 4, "levels": 2, "classes": 3}), rng_for(0, "w"))
    save_weights(folder / "weights.safetensors", network)
    assert ask("sample", folder, picture, "--n", 1, "--out", tmp_path / "out").code == 0
    labels = network.eval()(torch.from_numpy(read_image(picture, None).planes)).logits.argmax(dim=1)
    assert (read_gray(tmp_path / "out" / "answer_01.png") == labels[0].numpy()).all()


def test_what_does_not_fit_is_refused_and_nothing_is_written(run, picture, volume, tmp_path):
    photo, text = picture.with_name("photo.JPG"), picture.with_name("text.png")
    write_gray(picture.with_name("photo.jpg"), read_gray(picture))
    picture.with_name("photo.jpg").rename(photo)
    text.write_text("hello")
    before = files_below(tmp_path)
    out = tmp_path / "out"
    color = tmp_path.parent / f"{tmp_path.name}-color.png"
    import cv2

    cv2.imwrite(str(color), np.zeros((8, 8, 3), np.uint8))
    for words, told in (
        ((run, volume, "--out", out), "wanted --window LOW HIGH"),
        ((run, volume, "--out", out, "--window", 5, 5), "--window 5 5 is empty"),
        ((run, tmp_path / "gone.png", "--out", out), "gone.png"),
        ((run, photo, "--out", out), f"photo.JPG is a file of a kind that is not read; wanted {KINDS}"),
        ((run, text, "--out", out), "text.png is no PNG file; wanted a picture"),
        ((run, color, "--out", out), "has 3 channels and the network 1; wanted them equal"),
        ((run, picture, "--out", tmp_path), "exists already; wanted the name of a new folder"),
        ((run, picture, "--out", out, "--sampler", "random-threshold"), "sampler of prob-unet"),
        ((tmp_path, picture, "--out", out), "weights.safetensors"),
    ):
        assert told in refused("sample", *words)
    assert files_below(tmp_path) == before
