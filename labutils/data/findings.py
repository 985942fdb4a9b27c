"""What is found in a person's folder: faults, each told with its file, and notes; collected, or raised at the first."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from labutils.core.checks import DataError
from labutils.core.files import kind_of
from labutils.core.words import printable


class Fault(NamedTuple):
    """One thing that must be mended before the folder can be used."""

    path: str  # below the folder, with forward slashes, as it can be printed; "." for the folder itself
    what: str
    wanted: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}; wanted {self.wanted}"


class Findings:
    """Takes faults and notes as they are found; with `strict`, the first fault is raised instead.

    One way through the files so serves both who wants to know everything and who wants to go on only if all is well.
    """

    def __init__(self, root: Path, *, strict: bool) -> None:
        self.root, self.strict = root, strict
        self.faults: list[Fault] = []
        self.notes: list[str] = []

    def fault(self, path: Path, what: str, wanted: str) -> None:
        """Take a fault, with whatever cannot be printed as an escape, so that it stays one line.

        Raises:
            DataError: `strict`; the sentence names the file.
        """
        what, wanted = printable(what), printable(wanted)
        if self.strict:
            raise DataError(f"{printable(str(path))}: {what}; wanted {wanted}")
        self.faults.append(Fault(printable(path.relative_to(self.root).as_posix()), what, wanted))

    def refused(self, path: Path, error: DataError) -> None:
        """Take a reader's refusal of a file as a fault; its sentence begins with the path, as all of theirs do."""
        what, _, wanted = str(error).removeprefix(str(path)).strip(" :").partition("; wanted ")
        self.fault(path, what, wanted or "a file that can be read")

    def note(self, text: str) -> None:
        """Take something to know that is no fault."""
        self.notes.append(text)


def read_text(path: Path, findings: Findings) -> str | None:
    """A text file in UTF-8, with or without the mark that some programs put first; None where that is a fault."""
    if (kind := kind_of(path)) != "a file":
        findings.fault(path, f"is {kind}", "a file of text")
        return None
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError as error:
        what = f"is no text in UTF-8 (byte {error.start})"
    findings.fault(path, what, "a file of text in UTF-8")  # not inside `except`: that error holds the whole content
    return None
