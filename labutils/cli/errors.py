"""What goes wrong, told in one sentence: the only place where an error becomes an exit code.

Exit codes: 0 done; 2 what was asked for cannot be done; 130 stopped by Ctrl-C. A fault of labutils itself keeps its
traceback, since somebody must see where it is.
"""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from labutils.core.checks import LabutilsError
from labutils.core.words import printable

REFUSED, STOPPED = 2, 130


class OneSentence(TyperGroup):
    """The group of all commands; every error a person can cause ends here."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command and leave the process with its exit code; takes what Typer's own ``main`` takes."""
        try:
            code = super().main(*args, **{**extra, "standalone_mode": False}) or 0
        except (LabutilsError, OSError, MemoryError, RuntimeError, typer.TyperException) as error:
            sentence = _sentence(error)
            if sentence is None:
                raise
            code = _refuse(sentence)
        if code == STOPPED:
            typer.echo("labutils: stopped; what was checkpointed is kept", err=True)
        sys.exit(code)


def _refuse(sentence: str) -> int:
    typer.echo(f"labutils: {printable(' '.join(sentence.split()))}", err=True)
    return REFUSED


def _sentence(error: Exception) -> str | None:
    """The sentence for a person; None for what is no error of theirs."""
    if isinstance(error, LabutilsError):
        return str(error)
    if isinstance(error, typer.TyperException):  # a misspelled command or option
        context = getattr(error, "ctx", None)
        return f"{error.format_message().rstrip('.')} (see {context.command_path if context else 'labutils'} --help)"
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's is a RuntimeError
        return "there is not enough memory; ask for smaller batches, as in --set fit.batch_size=4, or a smaller width"
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'} cannot be used: {error.strerror or error}"
    return None
