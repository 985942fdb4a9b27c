"""Counts with their noun, and names made safe to print."""

from __future__ import annotations

import os

import pytest

from labutils.core.words import controls, hyphened, printable, quantity


@pytest.mark.parametrize(("count", "text"), [(0, "0 cases"), (1, "1 case"), (2, "2 cases")])
def test_a_count_agrees_with_its_noun(count, text):
    assert quantity(count, "case") == text


NAMES = {"U-Net, ensemble of 4": "u-net-ensemble-of-4", " A  b!": "a-b", "a,b": "a-b", "Größe": "größe"}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_that_of_a_file_has_one_hyphen_between_its_words(name):
    assert hyphened(name) == NAMES[name]


UNSAFE = {
    "a\nb": r"a\nb",
    "\x1b[31mred": r"\x1b[31mred",
    "a\u202eb": r"a\u202eb",  # turns the text that follows around
    "a\u2028b": r"a\u2028b",  # a line separator
    os.fsdecode(b"a\xff"): r"a\udcff",  # not UTF-8, so it could not even be printed
}


@pytest.mark.parametrize("name", UNSAFE)
def test_what_could_garble_a_line_is_found_and_escaped(name):
    assert controls(name)
    assert printable(name) == UNSAFE[name]
    assert printable(name).encode().decode().splitlines() == [UNSAFE[name]]


@pytest.mark.parametrize("name", ["scan 01.png", "größe.png", "画像.tif", 'it\'s \\ "fine"'])
def test_other_names_stay_as_they_are(name):
    assert not controls(name)
    assert printable(name) == name
