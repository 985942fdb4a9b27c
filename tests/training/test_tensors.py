"""Tensor files: there and back, and every kind of damage one typed error."""

import json
import struct

import pytest
import torch

from labutils.core.checks import WeightsError
from labutils.training.tensors import content_hash, join_tree, read_tensors, split_tree, write_tensors

TENSORS = {"b": torch.arange(6.0).reshape(2, 3), "a": torch.tensor([True, False]), "c": torch.tensor(3)}


def test_there_and_back(tmp_path):
    path = tmp_path / "x.safetensors"
    digest = write_tensors(path, TENSORS, {"model": "unet", "n": 1})
    tensors, values = read_tensors(path)
    assert values == {"model": "unet", "n": 1}
    assert digest == content_hash(TENSORS) == content_hash(tensors)
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


def test_equal_content_gives_equal_bytes(tmp_path):
    for name in ("x", "y"):
        write_tensors(tmp_path / name, TENSORS, {"b": 1, "a": 2})
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()


@pytest.mark.parametrize(
    "other",
    [
        {**TENSORS, "c": torch.tensor(4)},
        {**TENSORS, "c": torch.tensor(3.0)},
        {**TENSORS, "b": TENSORS["b"].reshape(3, 2)},
        {"b": TENSORS["b"], "a": TENSORS["a"], "d": TENSORS["c"]},
    ],
)
def test_the_hash_sees_values_dtypes_shapes_and_names(other):
    assert content_hash(other) != content_hash(TENSORS)


def test_memory_layout_does_not_change_the_hash():
    image = torch.rand(2, 3, 4, 4)
    assert content_hash({"x": image}) == content_hash({"x": image.to(memory_format=torch.channels_last)})


def test_nested_state_there_and_back():
    tree = {"state": {0: {"step": torch.tensor(1.0), "lr": 0.1}}, "groups": [{"params": [0, 1], "on": None}], "n": 2}
    tensors, skeleton = split_tree(tree, "s")
    back = join_tree(tensors, json.loads(json.dumps(skeleton)))
    assert list(back["state"]) == [0]
    assert torch.equal(back["state"][0]["step"], torch.tensor(1.0))
    assert back["groups"] == tree["groups"]
    assert back["n"] == 2


def test_an_empty_optimizer_state_keeps_its_shape():
    tensors, skeleton = split_tree({"state": {}, "groups": []}, "s")
    assert tensors == {}
    assert join_tree({}, skeleton) == {"state": {}, "groups": []}


def forged(header):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a readable safetensors"),
        (struct.pack("<Q", 2**63) + b"{}", "not a readable safetensors"),
        (forged({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}), "not a readable safetensors"),
        (forged({}), "was not written by labutils"),
        (forged({"__metadata__": {"labutils": "{"}}), "does not parse"),
        (forged({"__metadata__": {"labutils": "[]"}}), "does not parse"),
        (forged({"__metadata__": {"labutils": json.dumps({"values": {}})}}), "does not parse: KeyError"),
        (forged({"__metadata__": {"labutils": json.dumps({"values": [], "sha256": content_hash({})})}}), "not a table"),
        (forged({"__metadata__": {"labutils": json.dumps({"values": {}, "sha256": "0"})}}), "is damaged"),
    ],
)
def test_forged_files_are_refused(tmp_path, content, words):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=words):
        read_tensors(path)


def test_a_flipped_bit_in_the_numbers_is_found(tmp_path):
    path = tmp_path / "x.safetensors"
    write_tensors(path, TENSORS, {})
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="is damaged"):
        read_tensors(path)
