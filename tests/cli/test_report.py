"""One table of runs and references."""

import shutil

import pytest

from labutils.evaluation.leaderboard import difference, read_table
from tests.cli.asking import SMALL, ask


def test_runs_under_every_rule_stand_beside_the_references(crops, trained, here):
    run, _ = trained
    answer = ask(
        "report", "--data", "lidc-crops", "--root", crops, "--split", "validate", "--samples", "3",
        "--run", f"net={run}", "--out", here / "table.json", "--title", "tiny",
    )  # fmt: skip
    assert answer.code == 0, answer
    table = read_table(here / "table.json")
    assert [row["name"] for row in table["rows"]] == [
        "blank", "mean training mask", "Otsu", "rater majority", "oracle sampler",
        "net", "net, random threshold", "net, independent pixels", "net, symmetries",
    ]  # fmt: skip
    assert table["title"] == "tiny"
    kinds = {row["name"]: row["kind"] for row in table["rows"]}
    assert (kinds["blank"], kinds["oracle sampler"], kinds["net"]) == ("reference", "oracle", "model")
    hashes = {row["passport"]["weights_sha256"] for row in table["rows"][-4:]}
    assert len(hashes) == 1
    own = table["rows"][-1]["passport"]
    assert [part["split"] for part in own["data"]] == ["train", "validate", "validate"]
    assert own["config"]["fit"]["epochs"] == 2
    assert None not in hashes
    assert difference(table, "rater majority", "blank", "dice").mean == pytest.approx(1)
    assert "| net, random threshold |" in answer.out


def test_patients_held_out_are_scored_and_not_learned_from(crops, here, tmp_path):
    root = tmp_path / "crops"
    shutil.copytree(crops / "train", root / "train")
    own = ("--data", "lidc-crops", "--root", root)
    ask("train", "unet", *own, "--out", "run", *SMALL, "--set", "fit.epochs=1")
    ask("report", *own, "--split", "held-out", "--run", "net=run", "--out", "table.json")
    table = read_table("table.json")
    assert len(table["cases"]) == 4
    learned = next(row for row in table["rows"] if row["name"] == "mean training mask")["passport"]["data"][0]
    assert learned["cases"] == 8


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--run", "a=RUN", "--run", "a=RUN", "--out", "t.json"], "two runs are called 'a'"),
        (["--run", "net", "--out", "t.json"], "wanted NAME=FOLDER"),
        (["--run", "net=nowhere", "--out", "t.json"], "nowhere is not a run folder"),
        (["--out", "t.json", "--split", "held-out"], "wanted runs that did"),
        (["--run", "a=RUN", "--out", "t.json", "--split", "held-out"], "held out no patients"),
        (["--out", "t.csv"], "wanted a .json file"),
        (["--out", "t.json", "--split", "dusk"], "'dusk'"),
    ],
)
def test_a_wrong_request_is_one_sentence_and_writes_nothing(crops, trained, here, words, sentence):
    words = [word.replace("RUN", str(trained[0])) for word in words]
    answer = ask("report", "--data", "lidc-crops", "--root", crops, "--split", "validate", *words)
    assert answer.code == 2
    assert sentence in answer.err
    assert "Traceback" not in answer.err
    assert list(here.iterdir()) == []
