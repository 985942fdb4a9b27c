"""Configurations: typed, loud about slips."""

import contextlib
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labutils.core import config
from labutils.core.checks import ConfigError


@dataclass(frozen=True, kw_only=True)
class Inner:
    rate: float = 0.1


@dataclass(frozen=True, kw_only=True)
class Outer:
    width: int
    mode: Literal["a", "b"] = "a"
    sizes: tuple[int, ...] = (1, 2)
    pair: tuple[int, float] = (1, 2.0)
    limit: int | None = None
    on: bool = True
    inner: Inner = field(default_factory=Inner)
    named: dict[str, Inner] = field(default_factory=dict)
    anything: tuple[Any, ...] = ()


def test_plain_values_become_a_configuration():
    got = config.from_dict(
        Outer, {"width": 3, "sizes": [4], "pair": [1, 2], "limit": None, "inner": {"rate": 1}, "on": False}
    )
    assert got == Outer(width=3, sizes=(4,), pair=(1, 2.0), inner=Inner(rate=1.0), on=False)
    assert isinstance(got.inner.rate, float)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"width": 3, "widht": 4}, "no setting 'widht'"),
        ({}, "misses the setting 'width'"),
        ({"width": 3.5}, "width is 3.5; wanted a whole number"),
        ({"width": True}, "width is True"),
        ({"width": "3"}, "wanted a whole number"),
        ({"width": 3, "mode": "c"}, "mode is 'c'; wanted one of 'a', 'b'"),
        ({"width": 3, "sizes": 4}, "sizes is 4; wanted a list"),
        ({"width": 3, "sizes": [1, "x"]}, r"sizes\[1\] is 'x'"),
        ({"width": 3, "pair": [1]}, "pair has 1 values; wanted 2"),
        ({"width": 3, "inner": {"rat": 1}}, "inner has no setting 'rat'"),
        ({"width": 3, "inner": 4}, "inner is 4; wanted a table"),
        ({"width": 3, "on": 1}, "on is 1; wanted true or false"),
        ({"width": 3, "limit": "no"}, "limit is 'no'"),
        ({"width": 3, "named": 4}, "named is 4; wanted a table of settings"),
        ({"width": 3, "named": {"a": {"rat": 1}}}, r"named\.a has no setting 'rat'"),
    ],
)
def test_a_wrong_setting_is_named(values, words):
    with pytest.raises(ConfigError, match=words):
        config.from_dict(Outer, values)


def test_a_table_takes_any_names_and_any_value_where_it_says_so():
    got = config.from_dict(Outer, {"width": 3, "named": {"a": {"rate": 1}}, "anything": [1, "x", None]})
    assert got == Outer(width=3, named={"a": Inner(rate=1.0)}, anything=(1, "x", None))
    assert config.from_dict(Outer, config.to_dict(got)) == got


def test_there_and_back():
    outer = Outer(width=2, sizes=(3, 4), inner=Inner(rate=0.5))
    assert config.from_dict(Outer, config.to_dict(outer)) == outer


def test_flatten_gives_dotted_keys():
    assert config.flatten({"a": {"b": 1, "c": {"d": 2}}, "e": 3}) == {"a.b": 1, "a.c.d": 2, "e": 3}


def test_assignments_become_nested_settings():
    got = config.parse_assignments(["fit.lr=1e-3", "model.target=soft", "model.sizes=[1, 2]", "on=false", "x=a=b"])
    assert got == {"fit": {"lr": 1e-3}, "model": {"target": "soft", "sizes": [1, 2]}, "on": False, "x": "a=b"}


@pytest.mark.parametrize("text", ["lr", "=3", "fit.=3", ".lr=3"])
def test_an_assignment_without_a_key_or_a_value_is_refused(text):
    with pytest.raises(ConfigError, match="wanted key=value"):
        config.parse_assignments([text])


def test_a_key_cannot_be_a_value_and_a_table():
    with pytest.raises(ConfigError, match="already has a value"):
        config.parse_assignments(["fit=3", "fit.lr=1"])


@given(st.text(max_size=40))
def test_no_assignment_raises_anything_else(text):
    with contextlib.suppress(ConfigError):
        assert isinstance(config.parse_assignments([text]), dict)


def test_merge_goes_table_by_table():
    assert config.merge({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"c": 4}, "d": {"e": 5}}) == {
        "a": {"b": 1, "c": 4},
        "d": {"e": 5},
    }


def test_settings_files(tmp_path):
    (tmp_path / "a.json").write_text('{"fit": {"lr": 1}}')
    (tmp_path / "a.toml").write_text("[fit]\nlr = 1\n")
    assert config.read_settings(tmp_path / "a.json") == config.read_settings(tmp_path / "a.toml") == {"fit": {"lr": 1}}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.yaml", b"", "wanted .json or .toml"),
        ("a.json", b"{", "does not parse"),
        ("a.json", b"\xff\xfe", "does not parse"),
        ("a.json", b"[1]", "holds list"),
        ("a.toml", b"x = ", "does not parse"),
        ("a.json", None, "cannot be read"),
    ],
)
def test_a_settings_file_that_is_none_is_refused(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        config.read_settings(tmp_path / name)


def test_differences_are_named_by_their_dotted_paths():
    old = {"fit": {"lr": 1, "goal": {"metric": "dice"}}, "model": "unet"}
    assert config.differences(old, {"model": "unet", "fit": {"goal": {"metric": "dice"}, "lr": 1}}) == ""
    changed = {**old, "fit": {"lr": 2, "goal": {"metric": "iou"}}}
    assert config.differences(old, changed) == "fit.goal.metric = 'dice', not 'iou'; fit.lr = 1, not 2"
    assert config.differences(old, {**old, "new": 3}) == "new = None, not 3"
    many = dict.fromkeys("abcde", 1)
    assert config.differences({}, many).endswith("c = None, not 1; and 2 more")
