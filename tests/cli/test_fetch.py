"""Fetching as people ask for it, from a server on this computer."""

import dataclasses
import gzip
import io
import tarfile

import numpy as np
import pytest
import tifffile

from labutils.data import mnist_annotators
from labutils.data.cards import Download
from labutils.data.catalog import load
from tests.cli.asking import ask, files_below, refused
from tests.data.serving import Answer, serving


def published(digits=3):
    """A repository with the prepared digits, as an archive of one commit."""
    rng, out = np.random.default_rng(0), io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for n in range(digits):
            mask = rng.integers(0, 2, (8, 8)).astype(np.uint8)
            image = np.repeat(rng.random((8, 8, 1)), 3, axis=2)
            for folder in ("Gaussian", *mnist_annotators.FOLDERS.values()):
                content = io.BytesIO()
                if folder == "Gaussian":
                    tifffile.imwrite(content, image, photometric="rgb")
                else:
                    tifffile.imwrite(content, mask)
                info = tarfile.TarInfo(f"repo-9ee4/MNIST_examples/train/{folder}/{n}_{folder}.tif")
                info.size = len(content.getvalue())
                archive.addfile(info, io.BytesIO(content.getvalue()))
    return gzip.compress(out.getvalue(), mtime=0)


@pytest.fixture
def server(monkeypatch):
    """A server, and the published digits at one of its addresses."""
    with serving() as running:
        url = running.says("/tar.gz", published())
        download = Download(urls=(url,), to="mnist_annotators", archive=True, below="*/MNIST_examples")
        says(monkeypatch, downloads=(download,))
        yield running


def says(monkeypatch, **changes):
    """Change the card of the digits."""
    card = dataclasses.replace(mnist_annotators.DATASET.card, **changes)
    monkeypatch.setattr(mnist_annotators, "DATASET", dataclasses.replace(mnist_annotators.DATASET, card=card))


def test_what_was_fetched_is_found_without_further_ado(server, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    answer = ask("data", "fetch", "mnist-annotators", "--trust")
    assert answer.code == 0
    place = tmp_path / "labutils" / "mnist_annotators"
    assert f"fetched {place}\nits SHA-256 is kept in {place}.fetched.json and required from now on\n" in answer.out
    assert "3 cases of 3 patients, 4 raters each, your copy; no manifest is published\n" in answer.out
    assert "MIT for the prepared files" in answer.out
    assert answer.err == ""
    assert len(load("mnist-annotators", "train")) == 3
    assert "at hand" in next(line for line in ask("data", "list").out.splitlines() if line.startswith("mnist-ann"))


def test_it_is_not_fetched_again(server, tmp_path):
    ask("data", "fetch", "mnist-annotators", "--to", tmp_path, "--trust")
    before = files_below(tmp_path)
    answer = ask("data", "fetch", "mnist-annotators", "--to", tmp_path)
    assert answer.code == 0
    assert f"{tmp_path / 'mnist_annotators'} is there already and was left as it is" in answer.out
    assert f"labutils finds it with --root {tmp_path} or LABUTILS_DATA={tmp_path}" in answer.out
    assert files_below(tmp_path) == before
    assert len(server.asked) == 1


def test_the_folder_of_all_data_is_the_one_that_is_searched(server, monkeypatch, tmp_path):
    monkeypatch.setenv("LABUTILS_DATA", str(tmp_path / "mine"))
    assert ask("data", "fetch", "mnist-annotators", "--trust").code == 0
    assert (tmp_path / "mine" / "mnist_annotators" / "train").is_dir()


def test_data_that_are_not_the_published_ones_are_told(server, monkeypatch, tmp_path):
    says(monkeypatch, manifests=(("train", "0" * 64),))
    answer = ask("data", "fetch", "mnist-annotators", "--to", tmp_path, "--trust")
    assert answer.code == 2
    assert f"not {'0' * 64} as published" in answer.err
    assert "3 cases" in answer.out
    says(monkeypatch, manifests=(("train", load("mnist-annotators", "train", root=tmp_path).manifest),))
    answer = ask("data", "verify", "mnist-annotators", "--root", tmp_path)
    assert answer.code == 0
    assert answer.out.endswith("your copy; equal to the published split\n")


REFUSALS = {
    "not trusted": ([], {}, "add --trust to take it as it comes this once, or get it by hand: download http://127"),
    "offline": (
        ["--trust"],
        {"LABUTILS_OFFLINE": "1"},
        "LABUTILS_OFFLINE=1 forbids fetching mnist-annotators; by hand",
    ),
    "offline misspelled": (["--trust"], {"LABUTILS_OFFLINE": "on"}, "LABUTILS_OFFLINE is 'on'"),
}


@pytest.mark.parametrize(("words", "variables", "text"), REFUSALS.values(), ids=REFUSALS)
def test_what_is_refused_is_one_sentence_and_sends_nothing(server, monkeypatch, tmp_path, words, variables, text):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert text in refused("data", "fetch", "mnist-annotators", "--to", tmp_path / "new", *words)
    assert server.asked == []
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Answer(status=404), "answers 404"),
        (b"<html>", "no zip and no tar archive"),
        (Answer(body=published(), cut_at=100), "breaks off at once"),
    ],
)
def test_a_bad_server_is_one_sentence(server, tmp_path, answer, text):
    server.says("/tar.gz", answer)
    assert text in refused("data", "fetch", "mnist-annotators", "--to", tmp_path, "--trust")
    assert not (tmp_path / "mnist_annotators").exists()


def test_a_license_is_accepted_by_an_option(server, monkeypatch, tmp_path):
    (download,) = mnist_annotators.DATASET.card.downloads
    says(monkeypatch, downloads=(dataclasses.replace(download, accept_licence=True),))
    words = ("data", "fetch", "mnist-annotators", "--to", tmp_path, "--trust")
    assert "add --accept-licence" in refused(*words)
    assert ask(*words, "--accept-licence").code == 0


def test_what_needs_no_fetching_says_so():
    assert "lidc-raters is not fetched; nothing to fetch" in refused("data", "fetch", "lidc-raters")
    assert "dataset is 'mnist'" in refused("data", "fetch", "mnist")
