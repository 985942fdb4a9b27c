"""The errors that an error keeps: whoever logs it with its traceback shows their texts, too."""

from __future__ import annotations


def errors_behind(error: BaseException) -> list[BaseException]:
    """Every error that is reached by ``__cause__`` and ``__context__``, also where ``from None`` hides it."""
    found: list[BaseException] = []
    waiting = [error.__cause__, error.__context__]
    while waiting:
        one = waiting.pop()
        if one is not None and one not in found:
            found.append(one)
            waiting += [one.__cause__, one.__context__]
    return found
