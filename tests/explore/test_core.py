"""Explorers lose nothing of their data, refuse what a page could not follow, and need no widget manager."""

import base64
import json
import re
import zlib

import numpy as np
import pytest

from labutils.core.checks import InputError
from labutils.explore.core import Explorer, as_html, module, pack, pack_floats, pack_images
from labutils.explore.raters import RatersExplorer


def unpack(packed):
    """What kit.js does, in other words."""
    raw = np.frombuffer(zlib.decompress(base64.b64decode(packed["bytes"])), dtype=np.uint8).reshape(packed["shape"])
    return np.cumsum(raw, axis=-1, dtype=np.uint8) if packed["delta"] else raw


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("shape", [(1,), (3, 5), (2, 1, 4, 4), (0, 4, 4)])
def test_nothing_is_lost(smooth, shape):
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    packed = pack(array, smooth=smooth)
    assert json.loads(json.dumps(packed)) == packed
    assert np.array_equal(unpack(packed), array)


def test_steps_between_neighbors_are_smaller_than_smooth_images():
    ramp = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)[None]
    noisy = ramp + np.random.default_rng(0).integers(0, 4, ramp.shape, dtype=np.uint8)
    assert len(pack(noisy, smooth=True)["bytes"]) < 0.8 * len(pack(noisy)["bytes"])


@pytest.mark.parametrize("array", [np.zeros(3), np.zeros((), np.uint8), np.zeros(3, bool)])
def test_other_arrays_are_refused(array):
    with pytest.raises(InputError, match="wanted uint8"):
        pack(array)


@pytest.mark.parametrize("kind", ["<f4", "<f2"])
def test_numbers_come_back_to_the_bit(kind):
    array = np.linspace(-3, 7, 12).astype(kind).reshape(3, 4)[:, ::-1]
    packed = pack_floats(array)
    back = unpack({**packed, "shape": [-1]}).view(f"<f{packed['bits'] // 8}")
    assert np.array_equal(back.reshape(packed["shape"]), array)


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.zeros(3), "array is float64"),
        (np.zeros((), np.float32), "wanted float16 or float32"),
        (np.array([1, np.inf], np.float16), "1 values that are NaN or infinite"),
    ],
)
def test_other_numbers_are_refused(array, sentence):
    with pytest.raises(InputError, match=sentence):
        pack_floats(array)


def test_images_have_256_grays():
    gray = np.array([[[-0.1, 0, 0.5, 1, 1.2]]])
    assert unpack(pack_images(gray)).tolist() == [[[0, 0, 128, 255, 255]]]


class Toy(Explorer):
    name = "raters"
    _esm = module("raters")


def test_a_value_has_the_keys_it_was_made_with():
    toy = Toy({"title": "toy"}, {"case": 0, "threshold": 5})
    toy.value = {"case": 1, "threshold": 5}
    assert toy.value["case"] == 1
    with pytest.raises(InputError, match=r"value has the keys \['case'\]; wanted \['case', 'threshold'\]"):
        toy.value = {"case": 1}
    assert toy.value == {"case": 1, "threshold": 5}


def test_an_explorer_needs_a_title():
    with pytest.raises(InputError, match="no title"):
        Toy({}, {})


def test_a_module_is_whole_and_asks_nobody():
    text = module("raters")
    assert "function mount(" in text
    assert text.endswith("export default carry(mount);\n")
    assert not re.search(r"^\s*import\b|\bimport\(|https?://(?!www\.w3\.org/2000/svg)", text, re.MULTILINE)
    assert RatersExplorer._esm == text


def test_plain_html_cannot_be_left_by_its_data():
    toy = Toy({"title": "</script><b>"}, {"case": 0})
    text = as_html(toy)._repr_html_()
    assert text.count("</script>") == 1
    assert "&lt;/script&gt;&lt;b&gt;: moving it needs JavaScript" in text
    assert "export default" not in text
    places = re.findall(r"lu-[0-9a-f]{32}", text)
    assert len(places) == 2
    assert len(set(places)) == 1
    assert places[0] not in as_html(toy)._repr_html_()
