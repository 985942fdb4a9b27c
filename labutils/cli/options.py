"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    str, typer.Option("--data", help="name of a dataset (see labutils data list) or path of your own folder")
]
Run = Annotated[
    Path,
    typer.Argument(
        help="run folder that labutils train wrote, or the name of a network that comes with the package (the book's "
        "page of model cards has them)"
    ),
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
