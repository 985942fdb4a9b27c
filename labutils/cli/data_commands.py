"""The commands of ``labutils data``, as `labutils.cli.main` those of ``labutils``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from labutils.cli.options import Assignments, Config, Root
from labutils.core.notice import RESEARCH_USE

data_app = typer.Typer(help="Know the datasets.", no_args_is_help=True, rich_markup_mode=None)


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
