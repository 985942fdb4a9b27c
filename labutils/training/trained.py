"""Trained networks: those of run folders, and those that come with the package, which have names.

A folder of `FOLDER` holds one network as a run folder does, weights and the passport of their training, and a card that
says what it is for and what it is not for. They are small, so that one needs neither a GPU nor an hour to draw answers.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path

from labutils.core.checks import ConfigError, DataError, WeightsError, require
from labutils.core.files import atomic_write, new_folder, read_json, write_json
from labutils.models.base import Model
from labutils.training.checkpoint import PASSPORT, WEIGHTS, load_weights, require_own_weights

FOLDER = Path(__file__).resolve().parents[1] / "weights"
CARD = "card.json"
MOST_BYTES = 5_000_000  # of a network's weights


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What to know of a network before its answers are believed."""

    title: str  # in one line
    learned_from: str  # cases and raters
    answers: str  # what a sample is of
    limits: str  # what it must not be used for, or was never shown
    licence: str  # of weights made from these data


def shipped() -> tuple[str, ...]:
    """The names that `labutils.load` knows, in order."""
    return tuple(sorted(path.parent.name for path in FOLDER.glob(f"*/{WEIGHTS}")))


def run_folder(name_or_run: str | Path) -> Path:
    """The folder of a run, or of a network that comes with the package.

    Raises:
        WeightsError: it is neither; the names there are, are named.
    """
    folder = Path(name_or_run)
    if (folder / WEIGHTS).is_file():
        return folder
    names = shipped()
    if str(name_or_run) in names:
        return FOLDER / str(name_or_run)
    known = f", or one of {', '.join(names)}" if names else ""
    what = f"holds no {WEIGHTS}" if folder.is_dir() else "is not a run folder"
    raise WeightsError(f"{folder} {what}; wanted a run folder that labutils train wrote{known}")


def load_trained(name_or_run: str | Path) -> Model:
    """The best network of a run folder, or one that comes with the package (see `labutils.load`).

    Its ``card`` holds what the weights say of themselves; of one that comes with the package also the texts of its
    `ModelCard` under "about" and its passport under "passport".

    Raises:
        WeightsError: there is no such folder or name, or the weights are damaged or not those of the passport.
        DataError: the card or the passport is damaged.
    """
    folder = run_folder(name_or_run)
    network = load_weights(folder / WEIGHTS)
    if (card := read_card(folder)) is not None:
        passport = read_json(folder / PASSPORT)
        require_own_weights(folder, network, passport)
        network.card = {**network.card, "about": asdict(card), "passport": passport}
    return network


def read_card(folder: Path) -> ModelCard | None:
    """The card beside the weights; None where there is none, as in a run folder.

    Raises:
        DataError: it is damaged.
    """
    if not (folder / CARD).exists():
        return None
    told = read_json(folder / CARD)
    names = [field.name for field in fields(ModelCard)]
    whole = isinstance(told, dict) and sorted(told) == sorted(names) and all(isinstance(v, str) for v in told.values())
    require(whole, f"{folder / CARD} is no card; wanted texts for {', '.join(names)}", DataError)
    return ModelCard(**told)


def ship(run: Path, out: Path, card: ModelCard) -> None:
    """Copy a finished run's weights and passport to a new folder, with a card.

    Args:
        run: a finished run folder.
        out: the folder to make, whole or not at all.
        card: no text of it is empty.
    Raises:
        ConfigError: the run is not finished, its weights are too large, the card leaves something out, or `out` is
            there already.
    """
    for name, text in asdict(card).items():
        require(text.strip(), f"the card says nothing of {name}", ConfigError)
    for name in (WEIGHTS, PASSPORT):
        require((run / name).is_file(), f"{run} has no {name}; wanted a finished run", ConfigError)
    size = (run / WEIGHTS).stat().st_size
    require(size <= MOST_BYTES, f"{run / WEIGHTS} has {size} bytes; wanted {MOST_BYTES} at most", ConfigError)
    require(not out.exists(), f"{out} is there already; wanted a new folder", ConfigError)
    passport = read_json(run / PASSPORT)
    with new_folder(out) as folder:
        with atomic_write(folder / WEIGHTS) as stream:
            stream.write((run / WEIGHTS).read_bytes())
        write_json(folder / PASSPORT, passport)
        write_json(folder / CARD, asdict(card))
