"""What the prose pages say is what the package does: shape letters, notices, layouts, error sentences, commands."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from labutils.core.checks import DataError
from labutils.core.runtime import BUDGETS, RESEARCH_USE
from labutils.core.types import SHAPE_LETTERS
from labutils.data.catalog import load

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"
FIRST = "pid_0001_nod_0_slice_0.tif"


def page(name: str) -> str:
    return (BOOK / f"{name}.md").read_text(encoding="utf-8")


def test_the_table_of_shape_letters_is_the_package_s():
    rows = re.findall(r"^\| ([A-Z]) \| (.+) \|$", page("notation"), flags=re.MULTILINE)
    assert dict(rows) == SHAPE_LETTERS


@pytest.mark.parametrize("path", ["README.md", "book/index.md", "_config.yml"])
def test_the_research_use_notice_stands(path):
    assert RESEARCH_USE in (ROOT / path).read_text(encoding="utf-8")


def test_every_budget_is_explained():
    assert all(name in page("notation") for name in BUDGETS)


def test_every_page_begins_with_its_label_and_is_listed():
    toc = (BOOK / "_toc.yml").read_text()
    for path in BOOK.glob("*.md"):
        label = "landing" if path.stem == "index" else path.stem
        assert path.read_text(encoding="utf-8").startswith(f"({label})=\n# "), path.name
        assert f"book/{path.stem}\n" in toc, path.name


def prepared(root: Path) -> Path:
    """A prepared folder, written by the very code of the page."""
    source = re.search(r"```python\n(.*?)```", page("own-data"), flags=re.DOTALL)[1]
    exec(source.replace("DIR/", f"{root}/"), {})
    return root


def write(path: Path, array: np.ndarray) -> None:
    import tifffile

    tifffile.imwrite(path, array)


def lose_masks(root: Path) -> None:
    shutil.copy(root / "train" / "masks" / "annots" / FIRST, root / "train" / "masks" / "annots" / f"2{FIRST}")
    (root / "train" / "masks" / "annots" / FIRST).unlink()


BREAK = (  # what is done to a good folder, then what is asked of it; in the order of the sentences on the page
    (lambda root: None, "", "validate"),
    (lambda root: None, "train", "train"),
    (lambda root: (root / "train/scans" / FIRST).rename(root / "train/scans/scan7.tif"), "", "train"),
    (lose_masks, "", "train"),
    (lambda root: write(root / "train/masks/annots" / FIRST, np.zeros((1, 32, 32, 3), bool)), "", "train"),
    (lambda root: write(root / "train/masks/annots" / FIRST, np.full((1, 64, 64, 3), 255, np.uint8)), "", "train"),
    (lambda root: write(root / "train/scans" / FIRST, np.zeros((1, 64, 64), bool)), "", "train"),
)
SENTENCES = re.findall(r"```text\n(.*?)```", page("own-data"), flags=re.DOTALL)[-1].splitlines()


def test_the_files_of_the_page_are_read(tmp_path, monkeypatch):
    monkeypatch.setenv("LABUTILS_CACHE", str(tmp_path / "cache"))
    store = load("lidc-crops", "train", root=prepared(tmp_path / "DIR"))
    assert store.masks.shape == (1, 3, 64, 64)
    assert store.masks.sum(axis=(0, 2, 3)).tolist() == [400, 400, 0]


@pytest.mark.parametrize(
    ("harm", "inside", "split", "sentence"), [(*b, s) for b, s in zip(BREAK, SENTENCES, strict=True)]
)
def test_the_page_shows_the_sentences_that_appear(tmp_path, monkeypatch, harm, inside, split, sentence):
    monkeypatch.setenv("LABUTILS_CACHE", str(tmp_path / "cache"))
    root = prepared(tmp_path / "DIR")
    harm(root)
    with pytest.raises(DataError) as caught:
        load("lidc-crops", split, root=root / inside)
    assert str(caught.value).replace(str(root), "DIR") == sentence


def test_readme_and_pages_give_the_same_commands():
    commands = {line for line in page("own-data").splitlines() if line.startswith("labutils ")}
    assert len(commands) == 2
    assert commands <= set((ROOT / "README.md").read_text().splitlines())
