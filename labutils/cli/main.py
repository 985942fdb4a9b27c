"""What can be asked of ``labutils``, and how. Nothing heavy is imported before a command is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from labutils import __version__
from labutils.cli.data_commands import data_app
from labutils.cli.errors import OneSentence
from labutils.cli.options import Assignments, Config, Data, Device, Limit, Root, Run, Tracking
from labutils.core.notice import RESEARCH_USE

app = typer.Typer(
    cls=OneSentence,
    help=f"Segment medical images when experts disagree. {RESEARCH_USE}",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"labutils {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="show the version and leave")
    ] = False,
) -> None: ...


@app.command(epilog=RESEARCH_USE)
def doctor(as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False) -> None:
    """Say what this computer has: versions, threads, GPU, data and where they were looked for, writable folders."""
    from labutils.cli import doctor as command

    command.doctor(as_json=as_json)


@app.command(epilog=RESEARCH_USE)
def train(
    model: Annotated[str, typer.Argument(help="name of the model, such as unet")],
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="run folder; one that was interrupted goes on")],
    root: Root = None,
    config: Config = None,
    assignments: Assignments = None,
    track: Annotated[bool, typer.Option("--track", help="keep the run in MLflow as well")] = False,
    tracking: Tracking = None,
    device: Device = None,
    limit: Limit = None,
) -> None:
    """Train a model on the split "train" and keep the weights that are best on "validate".

    Settings are model.* and fit.*. Without files for "validate", a fifth of the training patients is held out;
    labutils evaluate scores them as --split held-out.
    """
    from labutils.cli import train as command
    from labutils.cli.settings import read_tables

    command.train(
        model,
        data,
        out,
        root=root,
        settings=read_tables(config, assignments or (), command.TABLES),
        tracking=command.tracking_of(track, tracking),
        device=device,
        limit=limit,
    )


@app.command(epilog=RESEARCH_USE)
def evaluate(
    run: Run,
    data: Data,
    split: Annotated[str, typer.Option("--split", help="split of the dataset, such as validate, or held-out")],
    json_file: Annotated[Path, typer.Option("--json", metavar="FILE", help="where the scores go")],
    root: Root = None,
    samples: Annotated[int, typer.Option("--samples", min=1, help="answers drawn for each case")] = 16,
    sampler: Annotated[
        str, typer.Option("--sampler", help="how answers are drawn, such as model, clean or random-threshold")
    ] = "model",
    predictions: Annotated[
        Path | None, typer.Option("--predictions", metavar="DIR", help="folder for maps of the mean probability")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="of the draws and the intervals")] = 0,
    device: Device = None,
    limit: Limit = None,
) -> None:
    """Score a run case by case, with intervals over patients; cases without masks get predictions only."""
    from labutils.cli import evaluate as command

    request = command.Request(run, data, split, json_file, samples, sampler, predictions, seed)
    command.evaluate_run(request, root=root, device=device, limit=limit)


@app.command(epilog=RESEARCH_USE)
def sample(
    run: Run,
    image: Annotated[Path, typer.Argument(help="an image: PNG, TIFF, or a volume as NIfTI")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="new folder for answers, mean and spread")],
    n: Annotated[int, typer.Option("--n", min=1, help="answers drawn")] = 16,
    sampler: Annotated[
        str, typer.Option("--sampler", help="how they are drawn, such as model, clean or random-threshold")
    ] = "model",
    window: Annotated[
        tuple[float, float] | None,
        typer.Option("--window", metavar="LOW HIGH", help="gray values that become 0 and 1"),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="of the draws")] = 0,
    device: Device = None,
) -> None:
    """Draw answers to one image, and write them, their mean and their spread as files of the image's kind.

    Of a volume each plane is answered by itself, and the files lie as the volume does.
    """
    from labutils.cli import sample as command

    command.sample_image(command.Request(run, image, out, n, sampler, window, seed), device=device)


@app.command(epilog=RESEARCH_USE)
def compare(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="folder of all trainings; one that was interrupted goes on")],
    json_file: Annotated[Path, typer.Option("--json", metavar="FILE", help="where the table goes")],
    split: Annotated[str, typer.Option("--split", help="split that is scored")] = "test",
    root: Root = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="trainings of each model")] = 5,
    rows: Annotated[
        str,
        typer.Option("--rows", help="models, faults (a published network, repaired) or drawing (networks that draw)"),
    ] = "models",
    only: Annotated[
        list[str] | None, typer.Option("--only", help="a row's name; give it again for several; all that suit the data")
    ] = None,
    samples: Annotated[int, typer.Option("--samples", min=1, help="answers drawn for each case")] = 16,
    config: Config = None,
    assignments: Assignments = None,
    device: Device = None,
    limit: Limit = None,
) -> None:
    """Train every model that suits the data with several seeds, and score them all against fusing the masks.

    All train on the whole split "train" and none is chosen by a score: settings are model.* (of every model) and fit.*.
    With --rows faults the models are a published network as it is, with each of its faults repaired, and with all;
    with --rows drawing small networks that draw answers, beside a U-Net. A model that trains with settings of its own,
    as some of those do, keeps them over fit.*; a note names them.
    """
    from labutils.cli import compare as command
    from labutils.cli.settings import read_tables

    command.compare(
        data,
        split,
        out,
        json_file,
        root=root,
        rows=rows,
        only=only or (),
        seeds=seeds,
        samples=samples,
        settings=read_tables(config, assignments or (), command.TABLES),
        device=device,
        limit=limit,
    )


@app.command(epilog=RESEARCH_USE)
def leaderboard(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="folder of all trainings; what was interrupted goes on")],
    json_file: Annotated[Path, typer.Option("--json", metavar="FILE", help="where the table goes")],
    split: Annotated[str, typer.Option("--split", help="split that is scored; learn from train")] = "",
    folds: Annotated[
        int, typer.Option("--folds", help="instead: folds of the patients of train and validate, each held out once")
    ] = 0,
    networks: Annotated[
        str, typer.Option("--networks", help="reduced (minutes on a processor) or published (their sizes)")
    ] = "reduced",
    only: Annotated[
        list[str] | None, typer.Option("--only", help="a network's name; give it again for several; else all")
    ] = None,
    root: Root = None,
    config: Config = None,
    assignments: Assignments = None,
    samples: Annotated[int, typer.Option("--samples", min=1, help="answers drawn for each case")] = 16,
    metrics: Annotated[
        list[str] | None, typer.Option("--metric", help="a column of the table; many times; else all")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", min=1e-6, help="stop when they are over; given again it goes on")
    ] = None,
    title: Annotated[str, typer.Option("--title", help="what the table is about")] = "",
    device: Device = None,
    limit: Limit = None,
) -> None:
    """Train the networks that draw answers, and what they must beat, and score all of them on the same cases.

    All train to the last epoch and none is chosen by a score: settings are model.* (of every network) and fit.*. A
    U-Net answers under every rule, and as an ensemble of four; blank, oracle and the like stand beside them. A network
    that trains with settings of its own keeps them over fit.*; a note names them.
    """
    from labutils.cli import leaderboard as command
    from labutils.cli.settings import read_tables

    request = command.Request(
        data, split, folds, out, json_file, networks, only or (), samples, metrics or (), minutes, title
    )
    settings = read_tables(config, assignments or (), command.TABLES)
    command.leaderboard(request, root=root, settings=settings, device=device, limit=limit)


@app.command(epilog=RESEARCH_USE)
def search(
    data: Data,
    trials: Annotated[int, typer.Option("--trials", min=1, help="trials the study shall have in all")],
    out: Annotated[Path, typer.Option("--out", help="study folder; one that is there already goes on")],
    model: Annotated[str, typer.Option("--model", help="name of the model")] = "unet",
    root: Root = None,
    config: Config = None,
    assignments: Assignments = None,
    tracking: Tracking = None,
    device: Device = None,
    limit: Limit = None,
) -> None:
    """Search settings of a model and of its training by a goal on the split "validate".

    Settings are model.*, fit.* and search.*; what is searched is search.space.fit.* and search.space.model.*, such as
    --set search.space.model.latent.choices=[2,4,8], and where none is told a space of the model's own. The goal is
    fit.goal.*, else Dice, or ged2_v for a model of raters' errors; none looks at a truth.
    """
    from labutils.cli import search as command
    from labutils.cli.settings import read_tables

    command.search(
        model,
        data,
        out,
        trials,
        root=root,
        settings=read_tables(config, assignments or (), command.TABLES),
        tracking=tracking,
        device=device,
        limit=limit,
    )


@app.command(epilog=RESEARCH_USE)
def report(
    data: Data,
    split: Annotated[str, typer.Option("--split", help="split of the dataset, such as validate, or held-out")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help=".json file for the table")],
    runs: Annotated[
        list[str] | None, typer.Option("--run", metavar="NAME=DIR", help="a run folder and its name; many times")
    ] = None,
    title: Annotated[str, typer.Option("--title", help="what the table is about")] = "",
    root: Root = None,
    samples: Annotated[int, typer.Option("--samples", min=1, help="answers drawn for each case")] = 16,
    seed: Annotated[int, typer.Option("--seed", help="of the draws and the intervals")] = 0,
    device: Device = None,
    limit: Limit = None,
) -> None:
    """Put runs, under every way of drawing answers, and the references beside one another in one table."""
    from labutils.cli import report as command

    request = command.Request(runs or [], data, split, out, title, samples, seed)
    command.report(request, root=root, device=device, limit=limit)


app.add_typer(data_app, name="data", epilog=RESEARCH_USE)


def run() -> None:
    """The entry of the console script."""
    app(prog_name="labutils")
