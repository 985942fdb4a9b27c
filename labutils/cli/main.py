"""What can be asked of ``labutils``, and how. Nothing heavy is imported before a command is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from labutils import __version__
from labutils.cli.errors import OneSentence
from labutils.core.notice import RESEARCH_USE

app = typer.Typer(
    cls=OneSentence,
    help=f"Segment medical images when experts disagree. {RESEARCH_USE}",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Data = Annotated[
    str, typer.Option("--data", help="name of a dataset (see labutils data list) or path of your own folder")
]
Root = Annotated[
    Path | None, typer.Option("--root", help="folder of the dataset, or its parent (else LABUTILS_DATA is searched)")
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="the most cases of a split")]
Device = Annotated[str | None, typer.Option("--device", help="cpu, cuda or cuda:N; else a GPU if there is one")]
Config = Annotated[Path | None, typer.Option("--config", help=".json or .toml file of settings")]
Assignments = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="a setting, such as fit.lr=0.001; many times")
]
Tracking = Annotated[
    str | None,
    typer.Option("--tracking", help="MLflow store (http, postgresql or sqlite address); else mlflow.db beside the run"),
]


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
    run: Annotated[Path, typer.Argument(help="run folder that labutils train wrote")],
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
    run: Annotated[Path, typer.Argument(help="run folder that labutils train wrote")],
    image: Annotated[Path, typer.Argument(help="an image: PNG, TIFF, or a volume as NIfTI")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="new folder for answers, mean and spread")],
    n: Annotated[int, typer.Option("--n", min=1, help="answers drawn")] = 16,
    sampler: Annotated[
        str, typer.Option("--sampler", help="how they are drawn, such as model, clean or random-threshold")
    ] = "model",
    window: Annotated[
        tuple[float, float] | None, typer.Option("--window", help="gray values that become 0 and 1, for a volume")
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
    config: Config = None,
    assignments: Assignments = None,
    device: Device = None,
    limit: Limit = None,
) -> None:
    """Train every model that suits the data with several seeds, and score them all against fusing the masks.

    All train on the whole split "train" and none is chosen by a score: settings are model.* (of every model) and fit.*.
    With --rows faults the models are a published network as it is, with each of its faults repaired, and with all;
    with --rows drawing small networks that draw answers, beside a U-Net.
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
        settings=read_tables(config, assignments or (), command.TABLES),
        device=device,
        limit=limit,
    )


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


data_app = typer.Typer(help="Know the datasets.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(data_app, name="data", epilog=RESEARCH_USE)


@data_app.command("list", epilog=RESEARCH_USE)
def data_list() -> None:
    """Name every dataset and say whether it is at hand."""
    from labutils.cli import data as command

    command.list_datasets()


@data_app.command("show", epilog=RESEARCH_USE)
def data_show(
    name: Annotated[str, typer.Argument(help="name of the dataset, or path of your own folder")],
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """Show a dataset's card: what it is, whose, who drew, how to get it, and its quirks."""
    from labutils.cli import data as command

    command.show(name, as_json=as_json)


@data_app.command("prepare-lidc", epilog=RESEARCH_USE)
def data_prepare_lidc(
    dicom: Annotated[Path, typer.Argument(help="folder that holds the DICOM series of LIDC-IDRI, in any folders")],
    out: Annotated[Path, typer.Argument(help="folder to make; one that was interrupted goes on")],
    forms: Annotated[
        list[str] | None, typer.Option("--form", help="crops (native pixels) or four (0.5 mm); else both; many times")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="processes at once")] = 1,
    split: Annotated[
        Path | None, typer.Option("--split", metavar="FILE", help="patients of each split, as JSON; else by hash")
    ] = None,
    any_totals: Annotated[
        bool, typer.Option("--any-totals", help="accept other totals of the whole collection than the published ones")
    ] = False,
    config: Config = None,
    assignments: Assignments = None,
) -> None:
    """Turn DICOM files of LIDC-IDRI into crops with every radiologist's mask, in two published forms.

    Work is done in OUT.unfinished, which becomes OUT once it is whole; a command that was stopped goes on when it is
    given again. Settings are crops.* and four.*, such as --set crops.min_readers=3.
    """
    from labutils.cli import prepare as command
    from labutils.cli.settings import read_tables

    settings = read_tables(config, assignments or (), command.TABLES)
    command.prepare(command.Request(dicom, out, forms or [], split, workers, any_totals), settings)


@data_app.command("make-twin", epilog=RESEARCH_USE)
def data_make_twin(
    name: Annotated[str, typer.Argument(help="name of the dataset")],
    out: Annotated[Path, typer.Argument(help="new folder")],
    cases: Annotated[
        int | None, typer.Option("--cases", min=1, help="cases of all splits together; scans for lidc-dicom")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="another seed gives other cases")] = 0,
    form: Annotated[str | None, typer.Option("--form", help="of lidc-four: crops or slices")] = None,
) -> None:
    """Write a procedural stand-in for a dataset, with the same files, shapes, raters and quirks."""
    from labutils.cli import data as command

    command.make_twin(name, out, cases=cases, seed=seed, form=form)


@data_app.command("convert-pickle", epilog=RESEARCH_USE)
def data_convert_pickle(
    file: Annotated[Path, typer.Argument(help="the published data_lidc.pickle")],
    out: Annotated[Path, typer.Argument(help="new folder, for --data lidc-four")],
    timeout_s: Annotated[float, typer.Option("--timeout", min=1, help="seconds the pickle may take to be read")] = 3600,
) -> None:
    """Turn the published pickle of 15,096 LIDC crops into PNG files. Only this command ever opens a pickle."""
    from labutils.cli import data as command

    command.convert_pickle(file, out, timeout_s=timeout_s)


@data_app.command("fetch", epilog=RESEARCH_USE)
def data_fetch(
    name: Annotated[str, typer.Argument(help="name of the dataset")],
    to: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="folder of all data; else LABUTILS_DATA")
    ] = None,
    trust: Annotated[bool, typer.Option("--trust", help="take a file once whose SHA-256 is not known")] = False,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="the license on the card is accepted")
    ] = False,
) -> None:
    """Download a dataset's public files, compare them with what is known of them, and verify what they hold."""
    from labutils.cli import fetch as command

    command.fetch_dataset(name, to=to, trust=trust, accept_licence=accept_licence)


@data_app.command("verify", epilog=RESEARCH_USE)
def data_verify(
    name: Annotated[str, typer.Argument(metavar="NAME", help="name of the dataset, or your own folder")],
    root: Root = None,
    as_json: Annotated[bool, typer.Option("--json", help="as JSON; for your own folder")] = False,
) -> None:
    """Read a dataset afresh and say what it holds, what is wrong with it, and whether it is what was published.

    Of your own folder, everything that is wrong is named at once, file by file.
    """
    from labutils.cli import data, own
    from labutils.data.catalog import is_own_folder

    if is_own_folder(name):
        if root is not None:
            raise typer.BadParameter("--root has no meaning beside your own folder")
        own.verify(Path(name), as_json=as_json)
    else:
        data.verify(name, root=root)


def run() -> None:
    """The entry of the console script."""
    app(prog_name="labutils")
