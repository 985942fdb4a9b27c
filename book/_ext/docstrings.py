"""Docstrings of the package as autodoc wants them: fields with their comments, plain returns, names that link.

The package documents a field of a dataclass or named tuple by the comment on its line, which Python does not keep;
it is read from the source here and becomes the list of parameters.
"""

from __future__ import annotations

import ast
import dataclasses
import gc
import inspect
import re
import sys
import textwrap
import tokenize
from collections.abc import Iterable, Iterator
from io import StringIO
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

BEFORE_NAPOLEON = 400  # napoleon reads docstrings at 500


def comments_of(source: str) -> dict[int, str]:
    """The text of each comment of a source, by its line."""
    tokens = tokenize.generate_tokens(StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}


def field_comments(source: str) -> dict[str, str]:
    """What stands beside each annotated field of a class, or in the lines of comment above it; "" for nothing.

    Args:
        source: of one class, as `inspect.getsource` gives it.
    """
    source = textwrap.dedent(source)
    comments, lines = comments_of(source), source.splitlines()
    found = {}
    for node in ast.parse(source).body[0].body:
        if not isinstance(node, ast.AnnAssign) or node.target.id.startswith("_"):
            continue
        text = comments.get(node.end_lineno, "")
        above = node.lineno - 1
        while above in comments and lines[above - 1].lstrip().startswith("#"):
            text, above = f"{comments[above]} {text}".rstrip(), above - 1
        found[node.target.id] = text
    return found


def has_fields(thing: Any) -> bool:
    """Whether `thing` is a class whose fields are its parameters: a dataclass or a named tuple."""
    return inspect.isclass(thing) and (dataclasses.is_dataclass(thing) or hasattr(thing, "_field_defaults"))


def all_field_comments(cls: type) -> dict[str, str]:
    """The comments of a class's fields, with those that it has from other classes of the package."""
    package = cls.__module__.partition(".")[0]
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.partition(".")[0] == package:
            found |= field_comments(inspect.getsource(base))
    return found


def as_rst(comment: str) -> str:
    """A comment as reStructuredText: what would be markup stands for itself."""
    return re.sub(r"([*|]|(?<=\w)_(?=\W|$))", r"\\\1", comment)


def with_plain_returns(lines: Iterable[str]) -> Iterator[str]:
    """The lines of a docstring, with a colon before what is returned.

    Napoleon would take all that stands before the first colon of that text for its type.
    """
    begins = None
    for line in lines:
        if begins is not None and line.strip():
            yield f"{begins}: {line.strip()}"
            begins = None
            continue
        heading = re.fullmatch(r"( *)(Returns|Yields):", line)
        begins = f"{heading[1]}    " if heading else begins
        yield line


def on_docstring(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Add the fields of a class to its docstring, and mend what Napoleon would misread."""
    if what == "class" and has_fields(thing) and "Args:" not in lines:
        commented = {field: text for field, text in all_field_comments(thing).items() if text}
        if commented:
            lines += ["", "Args:", *(f"    {field}: {as_rst(text)}" for field, text in commented.items())]
    lines[:] = with_plain_returns(lines)


def on_signature(app: Sphinx, what: str, name: str, thing: Any, options: Any, given: str, back: str) -> tuple[str, str]:
    """A signature that Sphinx can parse: what Python shows in angle brackets stands as a name, or as dots."""
    return re.sub(r"<function ([\w.]+)>", r"\1", given or "").replace("<factory>", "..."), back


def skip(app: Sphinx, what: str, name: str, thing: Any, skipped: bool, options: Any) -> bool | None:
    """Leave out what the package did not write: the fields of a named tuple as members, and what a parent adds."""
    repeats_a_field = (getattr(thing, "__doc__", None) or "").startswith("Alias for field number")
    module = getattr(thing, "__module__", None) or "labutils"
    return True if repeats_a_field or not module.startswith("labutils") else None


def name_in_full(app: Sphinx, doctree: nodes.document) -> None:
    """Let a short name link to what it means in its own module: Sphinx does not know what a module imports.

    The name of a class that the module does not know is looked for in the whole package; where two classes share it,
    Sphinx warns.
    """
    for node in doctree.findall(pending_xref):
        if node.get("reftype") == "obj" and node["reftarget"][:1].isupper():
            node["refspecific"] = True
        module = sys.modules.get(node.get("py:module") or "")
        thing = getattr(module, node["reftarget"], None)
        if not inspect.isclass(thing) and not inspect.isfunction(thing):
            continue
        if node.get("refdomain") == "py" and thing.__module__.startswith("labutils."):
            node["reftarget"] = f"{thing.__module__}.{thing.__qualname__}"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    gc.set_threshold(
        200_000
    )  # pages are millions of objects that stay: looking for dead ones took a quarter of a build
    app.connect("autodoc-process-docstring", on_docstring, priority=BEFORE_NAPOLEON)
    app.connect("autodoc-process-signature", on_signature)
    app.connect("autodoc-skip-member", skip)
    app.connect("doctree-read", name_in_full)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
