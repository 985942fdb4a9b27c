"""Comparing from the command line: a whole table, going on after a stop, and refusals that write nothing."""

import json

import pytest

from labutils.cli import compare as command
from labutils.core.files import only_one
from labutils.evaluation.contenders import CONTENDERS, FAULTS
from tests.cli.asking import SMALL, ask, files_below, refused

ONE_EPOCH = ("--set", "fit.epochs=1", "--set", "model.warm_up=0")


def planted(*more, limit=4):
    """The command for planted raters, who are identified and whose truth is known."""
    return ("compare", "--data", "planted-global", "--seeds", 1, "--limit", limit, *SMALL, *more)


def exchangeable(crops, *more):
    return ("compare", "--data", "lidc-crops", "--root", crops, "--split", "validate", "--seeds", 1, *SMALL, *more)


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A folder of trainings, what was said while it was made, and the table."""
    folder = tmp_path_factory.mktemp("compared")
    only = ("--only", "stochastic matrices", "--only", "U-Net, vote fraction")
    words = planted("--out", folder / "runs", "--json", folder / "table.json", *only, *ONE_EPOCH)
    answer = ask(*words)
    assert answer.code == 0, answer
    return words, folder, answer, json.loads((folder / "table.json").read_text())


def test_the_table_has_the_rows_asked_for_in_the_order_of_all(compared):
    _, folder, answer, table = compared
    assert [row["name"] for row in table["image_only"]] == ["U-Net, vote fraction", "stochastic matrices"]
    assert table["compared_with"] == "U-Net, vote fraction"
    assert (table["left_out"], table["notes"]) == ({}, [])
    assert {path.name for path in (folder / "runs").iterdir()} == {
        ".compare.lock",
        "u-net-vote-fraction-0",
        "stochastic-matrices-0",
    }
    assert "learn from 4 cases of 4 patients from planted-global/train; score 4 cases" in answer.out
    assert "stochastic matrices, seed 0 (2 of 2 trainings)" in answer.out
    assert "step" in answer.err  # the progress bar


def test_every_number_shown_is_in_the_table(compared):
    _, folder, answer, table = compared
    for row in table["image_only"]:
        shown = next(line for line in answer.out.splitlines() if line.startswith(f"  {row['name']} "))
        assert f"{row['median']:.3f} {row['worst']:.3f}  {row['seeds'][0]['score']['mean']:.3f}" in shown
    for row in table["with_masks"]:
        shown = next(line for line in answer.out.splitlines() if line.startswith(f"  {row['name']} "))
        assert f"{row['score']['mean']:.3f} [{row['score']['low']:.3f}" in shown
        assert shown.endswith(row["prior"])
    lines, (drawn,) = answer.out.splitlines(), table["image_only"][1]["seeds"]
    told = f"  {'stochastic matrices':34} "
    assert lines[-len(table["with_masks"]) - 5] == f"{told}{drawn['spread']['ged2_v']['mean']:.3f}"
    assert lines[-len(table["with_masks"]) - 3] == f"{told}{drawn['nats']:.2f}"
    assert answer.out.splitlines()[-1] == f"the table is in {folder / 'table.json'}"


def test_as_many_answers_are_drawn_as_asked_for_and_a_folder_keeps_to_its_number(tmp_path):
    words = ("compare", "--data", "planted-styles", "--seeds", 1, "--limit", 4, *SMALL, *ONE_EPOCH)
    words += ("--only", "stochastic matrices", "--out", tmp_path / "runs", "--json", tmp_path / "table.json")
    answer = ask(*words, "--samples", 3)
    assert answer.code == 0, answer
    table = json.loads((tmp_path / "table.json").read_text())
    shares = table["image_only"][0]["seeds"][0]["planted"]["styles"]
    assert table["samples"] == 3
    of_12 = [12 * share for share in (*shares["shares"].values(), shares["other"])]  # 4 cases, 3 answers each
    assert of_12 == pytest.approx([round(number) for number in of_12], abs=1e-4)
    assert "scoring.samples" in refused(*words, "--samples", 5)


def test_a_run_of_a_comparison_can_be_evaluated(compared, tmp_path):
    run = compared[1] / "runs" / "stochastic-matrices-0"
    answer = ask(
        *("evaluate", run, "--data", "planted-global", "--split", "test", "--limit", 4, "--sampler", "clean"),
        *("--samples", 1, "--json", tmp_path / "scores.json"),
    )
    assert answer.code == 0, answer
    told = json.loads((tmp_path / "scores.json").read_text())["summary"]["dice_truth"]["mean"]
    assert told == pytest.approx(compared[3]["image_only"][1]["seeds"][0]["score"]["mean"], abs=1e-6)


def test_a_finished_comparison_is_told_again_and_left_alone(compared):
    words, folder, first, _ = compared
    before = files_below(folder / "runs")
    answer = ask(*words)
    assert answer.code == 0
    assert answer.out.count("finished already") == 2
    assert answer.out.splitlines()[-12:] == first.out.splitlines()[-12:]
    after = [entry for entry in files_below(folder / "runs") if entry[0] != ".compare.lock"]
    assert after == [entry for entry in before if entry[0] != ".compare.lock"]


def test_more_seeds_are_added_to_those_there(compared, tmp_path):
    words, _, _, table = compared
    out = tmp_path / "two.json"
    again = [*words, "--seeds", 2, "--json", out]
    answer = ask(*again)
    assert answer.code == 0, answer
    assert answer.out.count("finished already") == 2
    seeds = json.loads(out.read_text())["image_only"][1]["seeds"]
    assert [seed["seed"] for seed in seeds] == [0, 1]
    assert seeds[0] == table["image_only"][1]["seeds"][0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("--set", "fit.epochs=2"), "fit.epochs = 1, not 2"),
        (("--set", "model.width=2"), "settings.width = 4, not 2"),
        (("--limit", 3), "data.split 0"),
        (("--data", "planted-pixel"), "data.name = 'planted-global', not 'planted-pixel'"),
        (("--split", "validate"), "data.split 1"),
    ],
)
def test_another_comparison_in_the_same_folder_is_refused(compared, change, says, tmp_path):
    words, folder, _, _ = compared
    before = files_below(folder)
    sentence = refused(*words, *change, "--json", tmp_path / "other.json")
    assert says in sentence
    assert "choose another folder for --out" in sentence
    assert files_below(folder) == before
    assert not (tmp_path / "other.json").exists()


def test_a_stopped_comparison_goes_on_to_the_same_table(tmp_path, monkeypatch):
    """Stopped inside the second training; nothing of the table is written until all are scored."""

    def go(folder):
        only = ("--only", "U-Net, vote fraction", "--only", "global matrices", "--set", "model.warm_up=0")
        only += ("--set", "fit.epochs=2")
        words = planted("--out", folder / "runs", "--json", folder / "table.json", *only, limit=8)
        return ask(*words), folder / "table.json"

    class Stops(command.ProgressBar):
        def on_step(self, epoch, step, loss):
            stops.append((epoch, step))
            if len(stops) == 6:  # of 2 steps in 2 epochs of 2 trainings
                raise KeyboardInterrupt

    stops = []
    with monkeypatch.context() as patch:
        patch.setattr(command, "ProgressBar", Stops)
        answer, path = go(tmp_path / "stopped")
    assert (answer.code, path.exists()) == (130, False)
    answer, path = go(tmp_path / "stopped")
    assert answer.code == 0, answer
    assert answer.out.count("finished already") == 1
    tables = [json.loads(path.read_text()), json.loads(go(tmp_path / "whole")[1].read_text())]
    for table in tables:
        for row in table["image_only"]:
            del row["seeds"][0]["seconds"]
    assert tables[0] == tables[1]


def test_exchangeable_raters_get_the_rows_that_suit_them_and_the_others_are_named(crops, tmp_path):
    answer = ask(*exchangeable(crops, "--out", tmp_path / "runs", "--json", tmp_path / "table.json", *ONE_EPOCH))
    assert answer.code == 0, answer
    table = json.loads((tmp_path / "table.json").read_text())
    rows = [row["name"] for row in table["image_only"]]
    assert rows[-1] == "stochastic matrices"
    assert all(name.startswith("U-Net") for name in rows[:-1])
    assert {*rows, *table["left_out"]} == {contender.name for contender in CONTENDERS}
    assert not set(rows) & set(table["left_out"])
    for name in table["left_out"]:
        assert f"note: {name} is left out: it follows single raters, and those of 'lidc-crops'" in answer.out
    assert "Dice, one left out, image only: median, worst, every seed" in answer.out
    assert f"  {'a rater with the others':34} {table['raters_among_themselves']['mean']:.3f}" in answer.out
    assert answer.out.count("by random-threshold") == len(rows) - 1
    assert table["with_masks"] == []


def test_a_truth_that_is_not_identified_is_noted_once(tmp_path):
    words = ("--only", "global matrices", "--only", "pixel matrices", *ONE_EPOCH)
    answer = ask(
        *("compare", "--data", "planted-shared", "--seeds", 1, "--limit", 4, *SMALL, *words),
        *("--out", tmp_path / "runs", "--json", tmp_path / "table.json"),
    )
    assert answer.code == 0, answer
    notes = [line for line in answer.out.splitlines() if line.startswith("note: the truth is not identified: ")]
    assert len(notes) == 1
    assert [f"note: {note}" for note in json.loads((tmp_path / "table.json").read_text())["notes"]] == notes


def test_the_rows_of_faults_are_trained_and_every_score_of_what_they_draw_is_shown(tmp_path):
    only = ("--only", FAULTS[0].name, "--only", FAULTS[-1].name)
    words = ("--rows", "faults", *only, *ONE_EPOCH)
    answer = ask(*planted("--out", tmp_path / "runs", "--json", tmp_path / "table.json", *words))
    assert answer.code == 0, answer
    table = json.loads((tmp_path / "table.json").read_text())
    assert [row["name"] for row in table["image_only"]] == ["original, as published", "stochastic matrices"]
    for metric, label in (("ged2_v", "GED², V"), ("ged2_published", "GED, published sign")):
        told = answer.out.split(f"{label}, of 16 answers drawn: every seed\n")[1].splitlines()
        for row, line in zip(table["image_only"], told, strict=False):
            assert line == f"  {row['name']:34} {row['seeds'][0]['spread'][metric]['mean']:.3f}"
    told = answer.out.split("nats that a mask says to the latent vector: every seed\n")[1].splitlines()
    for row, line in zip(table["image_only"], told, strict=False):
        assert line == f"  {row['name']:34} {row['seeds'][0]['nats']:.2f}"


def test_settings_of_a_row_s_own_are_told_before_it_trains_and_kept_in_the_table(tmp_path):
    words = ("compare", "--data", "planted-styles", "--seeds", 1, "--limit", 4, "--set", "fit.epochs=1")
    words += ("--rows", "drawing", "--only", "stochastic segmentation network", "--set", "fit.lr=0.1")
    answer = ask(*words, "--out", tmp_path / "runs", "--json", tmp_path / "table.json")
    assert answer.code == 0, answer
    note = "stochastic segmentation network trains with settings of its own: fit.lr=0.003"
    assert json.loads((tmp_path / "table.json").read_text())["notes"] == [note]
    assert answer.out.index(f"note: {note}\n") < answer.out.index("(1 of 1 training)")
    (run,) = (tmp_path / "runs").glob("*/run.json")
    assert json.loads(run.read_text())["fit"]["lr"] == 0.003


@pytest.mark.parametrize("name", ["compare", "leaderboard"])
def test_the_help_says_that_settings_of_a_model_s_own_are_kept(name):
    assert "settings of its own" in " ".join(ask(name, "--help").out.split())


def test_what_has_no_interval_is_shown_without():
    row = {"name": "staple", "prior": "", "score": {"mean": 0.5, "low": None, "high": None}}
    table = {"score": {"name": "dice_truth"}, "image_only": [], "with_masks": [row]}
    assert command.lines(table)[-1].split() == ["staple", "0.500"]


def test_seeds_nearer_to_a_rater_are_counted():
    seeds = [{"score": {"mean": 0.5}, "settled_on": rater} for rater in (None, 0, 2)]
    row = {"name": "row", "median": 0.5, "worst": 0.5, "seeds": seeds}
    shown = command.lines({"score": {"name": "dice_truth"}, "image_only": [row], "with_masks": []})
    assert shown[1].endswith("0.500 0.500 0.500  nearer to a rater than to the truth: 2")


REFUSALS = {
    "unknown rows": (["--rows", "nothing"], "--rows is 'nothing'; wanted one of 'models', 'faults', 'drawing'"),
    "row of the others": (["--rows", "faults", "--only", "global matrices"], "wanted one of 'original, as published'"),
    "unknown row": (["--only", "nobody"], "--only is 'nobody'; wanted one of 'U-Net, vote fraction'"),
    "row that does not suit": (["--only", "global matrices"], "--only 'global matrices' cannot learn from lidc-crops"),
    "unknown dataset": (["--data", "lidc"], "dataset is 'lidc'"),
    "unknown split": (["--split", "tset"], "split of lidc-crops is 'tset'"),
    "images alone": (["--split", "test"], "lidc-crops/test has no masks to score against"),
    "scored on what was learned": (["--split", "train"], "--split is 'train', which is learned from"),
    "out is a file": (["--out", "notes.txt"], "folder of trainings notes.txt is a file"),
    "out holds other files": (["--out", "."], "folder of trainings . holds ['notes.txt']"),
    "table is a folder": (["--json", "."], "--json . is a folder"),
    "table below a file": (["--json", "notes.txt/table.json"], "folder of --json notes.txt is a file"),
    "unknown setting of fit": (["--set", "fit.rate=1"], "fit has no setting 'rate'"),
    "unknown setting of a model": (["--set", "model.depth=1"], "no model of the comparison has a setting 'depth'"),
    "setting out of range": (["--set", "model.width=0"], "width is 0"),
    "setting that a row stands for": (["--set", "model.target=soft"], "model.target is what the row 'U-Net, vote"),
    "seed": (["--set", "fit.seed=3"], "fit.seed is not free in a comparison: --seeds says how many"),
    "choice of an epoch": (["--set", "fit.keep=best"], "fit.keep is not free in a comparison"),
    "end in the warm-up": (
        ["--set", "fit.epochs=1", "--limit", "4"],
        "a training of 1 epoch on 4 cases has 1 step and model.warm_up is 100; wanted a shorter warm-up or more epochs",
    ),
    "channels": (["--set", "model.channels=3"], "the network has 3 channels and lidc-crops/train has 1"),
    "raters of exchangeable data": (["--set", "model.raters=3"], "which follows single raters, needs rater k"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_done_is_told_and_nothing_is_written(case, crops, here):
    given, sentence = REFUSALS[case]
    (here / "notes.txt").write_text("mine")
    before = files_below(here)
    assert sentence in refused(*exchangeable(crops, "--out", "runs", "--json", "table.json", *given))
    assert files_below(here) == before


def test_two_comparisons_in_one_folder_do_not_meet(compared):
    words, folder, _, _ = compared
    with only_one(folder / "runs" / command.LOCK, "first"):
        assert "another comparison is running in" in refused(*words)


def test_what_was_planted_and_what_is_found_of_it_are_told(tmp_path):
    table = tmp_path / "table.json"
    only = ("--only", "global matrices", *ONE_EPOCH)
    answer = ask(*planted("--out", tmp_path / "runs", "--json", table, *only))
    assert answer.code == 0, answer
    told = json.loads(table.read_text())
    found, staple = told["image_only"][0]["seeds"][0]["planted"], told["planted"]["pooled STAPLE"]
    lines = answer.out.splitlines()
    shown = lines.index("error of the planted matrices, mean/largest: every seed")
    assert lines[shown + 1].split()[-1] == f"{found['matrices']['mean']:.3f}/{found['matrices']['largest']:.3f}"
    assert f"  {'pooled STAPLE':34} {staple['mean']:.3f}/{staple['largest']:.3f}" in lines
