"""What the prose pages say is what the package does: shape letters, notices, layouts, error sentences, commands."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from labutils.core.checks import DataError
from labutils.core.runtime import BUDGETS, RESEARCH_USE
from labutils.core.types import SHAPE_LETTERS
from labutils.data.catalog import load
from labutils.data.own_faults import faults_of
from labutils.data.pictures import read_picture
from labutils.evaluation.leaderboard import read_table
from tests.cli.asking import ask
from tests.own_folders import save, write_discs

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"


def page(name: str) -> str:
    return (BOOK / f"{name}.md").read_text(encoding="utf-8")


def test_the_table_of_shape_letters_is_the_package_s():
    rows = re.findall(r"^\| ([A-Z]) \| (.+) \|$", page("notation"), flags=re.MULTILINE)
    assert dict(rows) == SHAPE_LETTERS


@pytest.mark.parametrize("path", ["README.md", "book/index.md", "_config.yml"])
def test_the_research_use_notice_stands(path):
    assert RESEARCH_USE in (ROOT / path).read_text(encoding="utf-8")


def test_every_budget_is_explained():
    assert all(name in page("glossary") for name in BUDGETS)


def test_every_page_begins_with_its_label_and_is_listed():
    toc = (BOOK / "_toc.yml").read_text()
    for path in BOOK.glob("*.md"):
        label = "landing" if path.stem == "index" else path.stem
        whole = path.read_text(encoding="utf-8")
        text = re.sub(r"\A---\n.*?\n---\n\n", "", whole, flags=re.DOTALL)  # a page that runs begins with its kernel
        assert text.startswith(f"({label})=\n# "), path.name
        assert f"book/{path.stem}\n" in toc, path.name


COMMANDS, LIDC_COMMANDS = (
    block.splitlines() for block in re.findall(r"```sh\n(.*?)```", page("own-data"), flags=re.DOTALL)
)
SENTENCES = re.findall(r"```text\n(.*?)```", page("own-data"), flags=re.DOTALL)[-1].splitlines()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to stand in, and a cache of its own."""
    monkeypatch.setenv("LABUTILS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def write_by_the_page() -> Path:
    """The folder of the page, written by the very code of the page."""
    exec(re.search(r"```python\n(.*?)```", page("own-data"), flags=re.DOTALL)[1], {})
    return Path("my-folder")


def test_the_folder_of_the_page_is_read(here):
    root = write_by_the_page()
    assert faults_of(root) == ()
    store = load("./my-folder", "train")
    assert store.masks.sum(axis=(2, 3)).tolist() == [[400, 0]] * len(store)
    assert store.present.all()


def test_the_table_and_the_card_of_the_page_are_read(here):
    root = write_by_the_page()
    for path in sorted(root.rglob("*.png")):
        if path.stem > "scan02":
            path.unlink()
    (root / "dataset.toml").write_text(re.search(r"```toml\n(.*?)```", page("own-data"), flags=re.DOTALL)[1])
    (root / "cases.csv").write_text(re.search(r"```text\n(case,.*?)```", page("own-data"), flags=re.DOTALL)[1])
    store = load("./my-folder", "train")
    assert (store.patients, store.card.name, store.card.identified) == (("p01", "p01"), "ward-7", True)
    assert store.card.spacing_known


def harm(root: Path) -> None:
    """What the page's faults come from; its table puts two images of a patient in two splits."""
    (root / "dataset.toml").write_text("license = 'MIT'\n")
    cv2.imwrite(str(root / "masks/anna/scan99.png"), np.zeros((64, 64), np.uint8))
    lines = [f"scan{i:02d},p{i // 2},{'train' if i < 14 else 'test'}" for i in range(20)]
    lines[7], lines[19] = "scan7,p3,train", "scan19,p9,train"
    (root / "cases.csv").write_text("\n".join(["case,patient,split", *lines]))
    shutil.copy(root / "images/scan00.png", root / "images/scan18.png")
    whole = (root / "images/scan01.png").read_bytes()
    (root / "images/scan01.png").write_bytes(whole[: len(whole) // 2])
    cv2.imwrite(str(root / "masks/anna/scan02.png"), np.full((64, 64), 128, np.uint8))
    cv2.imwrite(str(root / "masks/ben/scan03.png"), np.zeros((32, 64), np.uint8))


def test_the_page_shows_the_faults_that_appear(here):
    root = write_by_the_page()
    harm(root)
    assert list(map(str, faults_of(root))) == SENTENCES
    with pytest.raises(DataError, match=re.escape(f"my-folder/{SENTENCES[0]}")):
        load("./my-folder", "train")


def of_discs(root: Path) -> None:
    write_discs(root, cases=20, size=32)


def of_crowd_workers(root: Path) -> None:
    """BU-BIL's sixth set: small crops, seven annotation slots, the object black."""
    source = Path(os.environ["LABUTILS_DATA"]) / "bubil_cells" / "BU-BIL_Dataset6"
    for path in source.glob("RawImages/*.png"):
        save(root / "images" / path.name, read_picture(path))
    for folder in source.glob("CrowdsourcedAnnotations/*"):
        for path in folder.glob("*.png"):
            drawn = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) < 128
            save(root / "masks" / f"slot{folder.name[-1]}" / path.name.removeprefix("seg_"), drawn.astype(np.uint8))
    (root / "dataset.toml").write_text("licence = 'BSD-4-Clause, Boston University'\n")


def carry_out(commands: list[str]) -> list[str]:
    """What the command line answers to each."""
    answers = []
    for command in commands:
        program, *words = shlex.split(command)
        answer = ask(*words)
        assert (program, answer.code) == ("labutils", 0), answer
        answers.append(answer.out)
    return answers


def test_the_commands_of_the_page_prepare_lidc(here):
    answers = carry_out(LIDC_COMMANDS)
    assert "4 scans prepared, 0 skipped" in answers[1]
    assert [line.split()[0] for line in answers[2].splitlines()] == ["train", "validate", "test"]


@pytest.mark.parametrize("write", [of_discs, pytest.param(of_crowd_workers, marks=pytest.mark.data)])
def test_the_five_commands_of_the_page_lead_to_a_row_in_the_table(here, write):
    write(here / "my-folder")
    assert len(COMMANDS) == 5
    carry_out(COMMANDS)
    assert COMMANDS[0].startswith("labutils data verify")
    table = read_table(here / "runs" / "table.json")
    row = next(row for row in table["rows"] if row["name"] == "first")
    assert row["kind"] == "model"
    assert 0 <= row["summary"]["dice"]["mean"] <= 1
    assert table["data"]["name"] == "my-folder"


def test_readme_and_pages_give_the_same_commands():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("labutils ")] == COMMANDS


def test_readme_and_pages_expect_the_same_of_a_computer():
    tables = re.findall(
        r"^\| on two cores.*\n(?:\|.*\n)+", (ROOT / "README.md").read_text(encoding="utf-8") + page("run"), re.M
    )
    assert len(tables) == 2
    assert tables[0] == tables[1]
