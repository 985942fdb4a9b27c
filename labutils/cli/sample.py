"""``labutils sample``: answers of a run to one image file, with mean and spread, as files of the image's kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import typer

from labutils.cli.runs import Run, take_run
from labutils.core.checks import ConfigError, DataError, require, require_choice
from labutils.core.files import new_folder, sha256_of_file, write_json
from labutils.core.runtime import pick_device, rng_for
from labutils.core.words import quantity
from labutils.data.grids import Grid
from labutils.data.own_pixels import Pixels, read_image
from labutils.data.pictures import write_gray
from labutils.data.volumes import write_volume
from labutils.evaluation.passport import make_passport
from labutils.models.base import Model
from labutils.models.samplers import SAMPLERS, Sampler, rules_for
from labutils.training.tensors import content_hash

WIDEST = 0.5  # the largest standard deviation that numbers in [0, 1] can have


class Request(NamedTuple):
    """What is asked."""

    run: Path
    image: Path
    out: Path
    n: int = 16
    sampler: str = "model"
    window: tuple[float, float] | None = None
    seed: int = 0


class Answers(NamedTuple):
    """What was drawn for an image of D planes."""

    labels: np.ndarray  # uint8 (S, D, H, W)
    mean: np.ndarray  # float32 (D, H, W), mean probability of anything but background
    spread: np.ndarray  # float32 (D, H, W), its standard deviation over the answers, 0 to `WIDEST`


def sample_image(request: Request, *, device: str | None) -> None:
    """Draw answers to an image and write them; everything is checked before, and nothing is left half-written."""
    where = pick_device(device)
    require_choice("sampler", request.sampler, tuple(SAMPLERS))
    low, high = request.window or (0.0, 1.0)
    require(low < high, f"--window {low:g} {high:g} is empty; wanted a lower and a higher gray value", ConfigError)
    run = take_run(request.run)
    require_choice(f"sampler of {run.network.card['model']}", request.sampler, rules_for(run.network))
    if "about" in run.network.card:  # of one that comes with the package
        typer.echo(f"note: {run.network.card['about']['limits']}")
    if told := _alike(request, run.network):
        typer.echo(f"note: {told}")
    pixels = read_image(request.image, request.window, asked="--window LOW HIGH")
    _require_fits(run, pixels, request.image)
    source = SAMPLERS[request.sampler](run.network.to(where).eval())
    with new_folder(request.out) as folder:
        answers = draw_answers(source, pixels.planes, request.n, request.seed, where)
        _write(folder, answers, pixels.grid, run.network.config.classes)
        write_json(folder / "sample.json", _told(request, run, where))
    typer.echo(f"{quantity(request.n, 'answer')} to {request.image}, their mean and their spread are in {request.out}")


def _alike(request: Request, network: Model) -> str:
    """That all answers asked for will be alike, and how to have different ones; "" where they differ."""
    if request.n == 1 or not (request.sampler == "clean" or (request.sampler == "model" and not network.stochastic)):
        return ""
    several = [rule for rule in rules_for(network) if rule != "clean" and (rule != "model" or network.stochastic)]
    told = f"; different ones come with --sampler and one of {', '.join(several)}" if several else ""
    who = "the clean head" if request.sampler == "clean" else "the network"
    return f"{who} gives one answer to an image, so all {request.n} are alike{told}"


@torch.no_grad()
def draw_answers(source: Sampler, planes: np.ndarray, n: int, seed: int, device: torch.device | str = "cpu") -> Answers:
    """n answers to each plane by itself.

    Args:
        source: draws them.
        planes: float32 (D, C, H, W) in [0, 1].
        n: S, one or more.
        seed: of the draws; the planes are drawn apart.
        device: of the source.
    """
    found = [_of_plane(source, torch.from_numpy(plane)[None].to(device), n, seed, d) for d, plane in enumerate(planes)]
    labels, mean, spread = (np.stack(part) for part in zip(*found, strict=True))
    return Answers(labels.swapaxes(0, 1), mean, spread)


def _of_plane(
    source: Sampler, image: torch.Tensor, n: int, seed: int, plane: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    probs = source.sample(image, n, rng_for(seed, "sample", plane))[0]
    labels = torch.stack([one.argmax(dim=0) for one in probs]).to(torch.uint8)
    foreground = 1 - probs[:, 0].float()
    spread = foreground.std(dim=0, correction=0)
    return labels.cpu().numpy(), foreground.mean(dim=0).cpu().numpy(), spread.cpu().numpy()


def _require_fits(run: Run, pixels: Pixels, path: Path) -> None:
    config, (channels, *size) = run.network.config, pixels.planes.shape[1:]
    told = f"{path} has {quantity(channels, 'channel')} and the network {config.channels}; wanted them equal"
    require(channels == config.channels, told, DataError)
    built_for = getattr(config, "size_px", tuple(size))
    told = f"{path} is {size[0]} by {size[1]} pixels; wanted {built_for[0]} by {built_for[1]}, as the network is built"
    require(tuple(built_for) == tuple(size), told, DataError)


def _write(folder: Path, answers: Answers, grid: Grid | None, classes: int) -> None:
    digits = max(2, len(str(len(answers.labels))))
    for name, planes in _files(answers, digits):
        if grid is not None:
            write_volume(folder / f"{name}.nii.gz", planes, grid)
        elif planes.dtype == np.uint8:
            write_gray(folder / f"{name}.png", planes[0] * (255 if classes == 2 else 1))
        else:
            most = WIDEST if name == "spread" else 1.0
            write_gray(folder / f"{name}.png", np.rint(255 * np.clip(planes[0] / most, 0, 1)).astype(np.uint8))


def _files(answers: Answers, digits: int) -> Iterator[tuple[str, np.ndarray]]:
    for number, labels in enumerate(answers.labels, start=1):
        yield f"answer_{number:0{digits}d}", labels
    yield "mean", answers.mean
    yield "spread", answers.spread


def _told(request: Request, run: Run, device: torch.device) -> dict[str, object]:
    card = run.network.card
    return {
        "answers": request.n,
        "pictures": "of two classes 255 is foreground; mean: 255 is a probability of 1; spread: 255 is a standard "
        f"deviation of {WIDEST:g}. Volumes hold labels and the numbers themselves",
        "passport": make_passport(
            config={"model": card["model"], "settings": card["settings"], "fit": run.fit, "sampler": request.sampler}
            | {"window": request.window},
            data=[*run.splits, {"image": request.image.name, "sha256": sha256_of_file(request.image)}],
            seed=request.seed,
            device=device,
            definitions=[],
            weights_sha256=content_hash(run.network.state_dict()),
        ),
    }
