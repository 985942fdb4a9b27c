"""Tensors and plain values in one safetensors file: read with every fault named, written whole or not at all.

The file carries a SHA-256 of its tensors, so damage inside the numbers is found too. Nothing is ever unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from labutils.core.checks import WeightsError
from labutils.core.files import atomic_write, sha256_of_bytes

ENTRY = "labutils"  # the one entry of the file's metadata


def content_hash(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, dtypes, shapes and bytes, in the order of the names."""
    parts: list[bytes] = []
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        parts.append(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        parts.append(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha256_of_bytes(*parts)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> str:
    """Write tensors and JSON values to `path` in one atomic step; give the hash of the tensors."""
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    digest = content_hash(plain)
    # one entry, because safetensors writes several in no fixed order and equal content must give equal bytes
    metadata = {ENTRY: json.dumps({"values": dict(values), "sha256": digest}, sort_keys=True)}
    with atomic_write(path) as stream:
        stream.write(save(plain, metadata=metadata))
    return digest


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and values of a file that `write_tensors` wrote.

    Raises:
        WeightsError: the file is missing, cut short, not safetensors, altered, or was not written by this package.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (not a mapping)
    except FileNotFoundError as error:
        raise WeightsError(f"{path} does not exist") from error
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{path} is not a readable safetensors file: {error}") from error
    if ENTRY not in metadata:
        raise WeightsError(f"{path} was not written by labutils: it carries no configuration and no hash")
    try:
        entry = json.loads(metadata[ENTRY])
        values, digest = entry["values"], entry["sha256"]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise WeightsError(f"{path} carries a configuration that does not parse: {error!r}") from error
    if content_hash(tensors) != digest:
        raise WeightsError(f"{path} is damaged: its tensors do not match the hash stored with them")
    if not isinstance(values, dict):
        raise WeightsError(f"{path} carries a configuration that is not a table")
    return tensors, values


def split_tree(tree: Any, prefix: str) -> tuple[dict[str, Tensor], Any]:
    """Separate nested state into named tensors and a JSON skeleton that `join_tree` fills again."""
    if isinstance(tree, Tensor):
        return {prefix: tree}, {"tensor": prefix}
    if isinstance(tree, Mapping):
        pairs = [(key, *split_tree(value, f"{prefix}/{key}")) for key, value in tree.items()]
        tensors = {name: tensor for _, found, _ in pairs for name, tensor in found.items()}
        return tensors, {"items": [[key, skeleton] for key, _, skeleton in pairs]}
    if isinstance(tree, list | tuple):
        parts = [split_tree(value, f"{prefix}/{i}") for i, value in enumerate(tree)]
        return {n: t for found, _ in parts for n, t in found.items()}, {"list": [skeleton for _, skeleton in parts]}
    return {}, {"value": tree}


def join_tree(tensors: Mapping[str, Tensor], skeleton: Any) -> Any:
    """The nested state that `split_tree` took apart (tuples come back as lists)."""
    if "tensor" in skeleton:
        return tensors[skeleton["tensor"]]
    if "items" in skeleton:
        return {key: join_tree(tensors, inner) for key, inner in skeleton["items"]}
    if "list" in skeleton:
        return [join_tree(tensors, inner) for inner in skeleton["list"]]
    return skeleton["value"]
