"""Configurations: frozen dataclasses built from plain values; a misspelled key is an error, never a silent default."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from labutils.core.checks import ConfigError

T = TypeVar("T")


def from_dict(cls: type[T], values: Mapping[str, Any], where: str = "") -> T:
    """Build the dataclass `cls` from plain values (numbers, text, lists, nested mappings), checking each.

    Whole numbers are taken where a float is wanted, lists where a tuple is wanted; nothing else is converted. A field
    of type ``dict[str, T]`` takes any keys, and a value of type ``Any`` is taken as it is.

    Raises:
        ConfigError: an unknown key, a missing one, or a value of the wrong type, named by its dotted path.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where or cls.__name__} is {values!r}; wanted a table of settings")
    hints = typing.get_type_hints(cls)
    known = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    if unknown := sorted(set(values) - set(known)):
        raise ConfigError(f"{where or cls.__name__} has no setting {unknown[0]!r}; it has {', '.join(sorted(known))}")
    given = {name: _convert(hints[name], value, f"{where}.{name}" if where else name) for name, value in values.items()}
    missing = [
        name
        for name, f in known.items()
        if name not in given and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError(f"{where or cls.__name__} misses the setting {missing[0]!r}")
    return cls(**given)


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        return _convert(next(a for a in args if a is not type(None)), value, where)
    if origin is typing.Literal:
        if value not in args:
            raise ConfigError(f"{where} is {value!r}; wanted one of {', '.join(map(repr, args))}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{where} is {value!r}; wanted a list")
        inner = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
        if len(inner) != len(value):
            raise ConfigError(f"{where} has {len(value)} values; wanted {len(inner)}")
        return tuple(_convert(h, v, f"{where}[{i}]") for i, (h, v) in enumerate(zip(inner, value, strict=True)))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} is {value!r}; wanted a table of settings")
        return {key: _convert(args[1], inner, f"{where}.{key}") for key, inner in value.items()}
    if dataclasses.is_dataclass(hint):
        return value if isinstance(value, hint) else from_dict(hint, value, where)  # type: ignore[arg-type]
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ConfigError(f"{where} is {value!r}; wanted {_spoken(hint)}")
    return value


def _spoken(hint: Any) -> str:
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    return names.get(hint, getattr(hint, "__name__", str(hint)))


def to_dict(config: Any) -> dict[str, Any]:
    """The configuration as plain values that JSON can hold (tuples become lists)."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level of dotted keys, for a tracker: ``{"fit": {"lr": 1}}`` to ``{"fit.lr": 1}``."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat |= flatten(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return flat


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """What differs between two nested settings, such as ``fit.lr = 0.1, not 0.2``; "" when they are equal.

    In the order of dotted names, three of them and the number of the others; a setting one lacks stands as None.
    """
    before, after = flatten(old), flatten(new)
    names = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    told = [f"{name} = {before.get(name)!r}, not {after.get(name)!r}" for name in names[:3]]
    return "; ".join([*told, f"and {len(names) - 3} more"] if len(names) > 3 else told)


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """Turn ``["fit.lr=1e-3", "model.width=24"]`` into nested settings; values are JSON where they can be, else text.

    Raises:
        ConfigError: an assignment without ``=`` or without a key, or a key that is both a value and a table.
    """
    nested: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        path = key.strip().split(".")
        if not equals or not all(path):
            raise ConfigError(f"cannot read the setting {assignment!r}; wanted key=value, such as fit.lr=0.001")
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text
        table = nested
        for part in path[:-1]:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise ConfigError(f"the setting {key!r} goes through {part!r}, which already has a value")
        table[path[-1]] = value
    return nested


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the settings of `over` in their place, table by table."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def read_settings(path: str | Path) -> dict[str, Any]:
    """Settings from a ``.json`` or ``.toml`` file.

    Raises:
        ConfigError: the file is missing, of another kind, or does not parse.
    """
    import tomllib

    path = Path(path)
    readers = {".json": json.loads, ".toml": tomllib.loads}
    if path.suffix not in readers:
        raise ConfigError(f"configuration file {path} has the ending {path.suffix!r}; wanted .json or .toml")
    try:
        settings = readers[path.suffix](path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"configuration file {path} cannot be read: {error.strerror}") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration file {path} does not parse: {error}") from error
    if not isinstance(settings, dict):
        raise ConfigError(f"configuration file {path} holds {type(settings).__name__}; wanted a table of settings")
    return settings
