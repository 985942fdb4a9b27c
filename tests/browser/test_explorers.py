"""Every explorer of the book, moved by mouse, keyboard and touch: state and pixels follow, controls have names."""

from __future__ import annotations

import re

import nbformat
import pytest

from tests.browser import explorers
from tests.browser.built import HTML, ROOT, listed, names, parsed
from tests.browser.visits import PHONE

TOY = """<!doctype html><html lang="en"><title>toy</title><link rel="icon" href="data:,"><body>
<div class="lu-explorer">
  <canvas width="40" height="20" role="img" aria-label="a bar"></canvas>
  <label>length <input type="range" min="0" max="40" value="9" data-control="length" style="height: 24px"></label>
  <label style="display: block; min-height: 24px">bright <input type="checkbox" data-control="bright"></label>
  <label>color <select data-control="color" style="height: 24px"><option>red<option>blue</select></label>
  <button data-control="back" style="height: 24px">back to the start</button>
</div>
<script>
const root = document.querySelector('.lu-explorer'), picture = root.querySelector('canvas').getContext('2d');
const control = name => root.querySelector(`[data-control=${name}]`);
const START = {length: 9, bright: false, color: 'red'};
let state = {...START};
function draw() {
  picture.clearRect(0, 0, 40, 20);
  picture.fillStyle = state.color;
  picture.fillRect(0, 0, state.length, state.bright ? 20 : 10);
  root.dataset.state = JSON.stringify(state);
}
control('length').oninput = event => { state.length = +event.target.value; draw(); };
control('bright').onchange = event => { state.bright = event.target.checked; draw(); };
control('color').onchange = event => { state.color = event.target.value; draw(); };
control('back').onclick = () => { state = {...START}; draw(); };
draw();
</script>"""
WAYS = {"mouse": explorers.by_mouse, "keyboard": explorers.by_keyboard, "touch": explorers.by_touch}


def imports_explorers(name: str) -> bool:
    """Whether a page is a chapter that takes something from the room of explorers."""
    path = ROOT / f"{name}.ipynb"
    cells = nbformat.read(path, as_version=4).cells if path.exists() else []
    return any(re.search(r"^(from|import) labutils\.explore\b", cell.source, re.MULTILINE) for cell in cells)


def has_explorers(name: str) -> bool:
    """Whether a built page holds an explorer, in its HTML or in its widgets' state."""
    path = HTML / f"{name}.html"
    return path.exists() and "lu-explorer" in path.read_text(encoding="utf-8")


WITH_EXPLORERS = [name for name in names() if has_explorers(name)]


def opened(page, record) -> list:
    assert (record.external, record.failed, record.errors) == ([], [], [])
    return page.locator(".lu-explorer").all()


def test_chapters_with_explorers_show_them(book):
    wanted = [name for name in listed() if imports_explorers(name)]
    assert wanted
    assert [name for name in wanted if name not in WITH_EXPLORERS] == []


@pytest.mark.parametrize("name", WITH_EXPLORERS)
def test_explorers_follow_mouse_and_keyboard(visit, book, name):
    with visit(name) as (page, record):
        found = opened(page, record)
        assert len(found) >= parsed(book / f"{name}.html").explorers()
        for explorer in found:
            assert explorers.faults(page, explorer) == []
            assert explorers.dead(explorer, explorers.by_mouse) == []
            assert explorers.dead(explorer, explorers.by_keyboard) == []
        assert record.errors == []


@pytest.mark.parametrize("name", WITH_EXPLORERS)
def test_explorers_follow_a_finger_on_a_phone(visit, name):
    with visit(name, width=PHONE, touch=True) as (page, record):
        for explorer in opened(page, record):
            assert explorers.out_of_reach(page, explorer) == []
            assert explorers.dead(explorer, explorers.by_touch) == []
        assert record.errors == []


@pytest.fixture
def toy(visit_toy, tmp_path):
    """Opens the toy explorer with a text of its page replaced by another."""

    def open_with(old: str = "", new: str = "", **settings: object):
        assert old in TOY
        (tmp_path / "toy.html").write_text(TOY.replace(old, new) if old else TOY)
        return visit_toy("toy", **settings)

    return open_with


@pytest.mark.parametrize("way", WAYS)
def test_a_good_explorer_passes(toy, way):
    with toy(width=PHONE, touch=way == "touch") as (page, record):
        (explorer,) = opened(page, record)
        assert explorers.faults(page, explorer) == []
        assert explorers.out_of_reach(page, explorer) == []
        assert explorers.dead(explorer, WAYS[way]) == []


@pytest.mark.parametrize(
    ("old", "new", "way", "control"),
    [
        ("state.length = +event.target.value; draw();", "", "mouse", "length"),  # changes nothing
        ("state.bright ? 20 : 10", "10", "touch", "bright"),  # keeps its pixels
        ("JSON.stringify(state)", "JSON.stringify({...state, color: 0})", "keyboard", "color"),  # keeps its state
        ('data-control="back"', 'data-control="back" disabled', "mouse", "back"),
        ("draw();\n</script>", "control('length').onkeydown = () => false; draw();\n</script>", "keyboard", "length"),
    ],
)
def test_a_dead_control_is_found(toy, old, new, way, control):
    with toy(old, new, touch=way == "touch") as (page, _):
        assert explorers.dead(page.locator(".lu-explorer"), WAYS[way]) == [control]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("<label>color <select", "<label><select", "the control color has no name"),
        ("</button>", "</button><button>more</button>", "1 controls carry no data-control"),
        ('role="img" ', "", "picture 0"),
        (' aria-label="a bar"', "", "picture 0"),
    ],
)
def test_a_planted_fault_is_found(toy, old, new, expected):
    with toy(old, new) as (page, _):
        assert expected in " ".join(explorers.faults(page, page.locator(".lu-explorer")))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('value="9"', 'value="9" style="width: 500px"', "the control length leaves a window of 390 px"),
        ('"back" style="height: 24px"', '"back" style="height: 12px"', "the control back is 12 px high"),
    ],
)
def test_a_control_out_of_reach_is_found(toy, old, new, expected):
    with toy(old, new, width=PHONE) as (page, _):
        assert explorers.out_of_reach(page, page.locator(".lu-explorer")) == [expected]
