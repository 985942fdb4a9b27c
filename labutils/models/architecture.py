"""What a network is made of, seen by running it: stages, the shapes they give, and what flows from which to which.

Nothing here is told how a network is wired. Each stage's result is cut off from what made it, so that the gradient of
another stage's input ends at exactly those results that reach it directly; a skip that the network does not use is not
found, and neither is one whose gradient it stops. The run is on PyTorch's "meta" device: shapes and wiring without
values, whatever the size of the network.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Literal

import torch
from torch import Tensor

from labutils.core.checks import InputError, require
from labutils.core.types import Architecture, Flow, Stage
from labutils.models.base import Model


def describe(network: Model, shape: tuple[int, ...]) -> Architecture:
    """The stages of a network for one image, with the image before them and the fields of its output after them.

    Args:
        network: left as it is.
        shape: of the image, (C, [D,] H, W).
    Raises:
        InputError: a parameter lies in no stage or in two, a stage does not run exactly once, or a stage gives
            something else than one tensor.
    """
    _require_every_parameter(network)
    parameters = {name: sum(p.numel() for p in stage.parameters()) for name, stage in network.stages().items()}
    run = _Run(copy.deepcopy(network).to("meta").eval(), shape)
    missing = [name for name in parameters if name not in run.results]
    require(not missing, f"{type(network).__name__}: {missing} do not run when the network is given an image")
    stages = [
        Stage(name, run.role(name), tuple(result.shape[1:]), parameters.get(name, 0))
        for name, result in run.results.items()
    ]
    return Architecture(tuple(stages), _flows(run.sources))


class _Run:
    """One pass on shapes alone: the result of each stage in the order of running, and where its input comes from."""

    def __init__(self, network: Model, shape: tuple[int, ...]) -> None:
        self.network = type(network).__name__
        self.results: dict[str, Tensor] = {}  # cut off from what made them
        self.sources: dict[str, list[str]] = {}
        image = self._keep("image", torch.zeros(1, *shape, device="meta"))
        self.outputs: set[str] = set()
        for name, stage in network.stages().items():
            stage.register_forward_pre_hook(
                lambda _stage, inputs, named, name=name: self._enter(name, (inputs, named)), with_kwargs=True
            )
            stage.register_forward_hook(lambda _stage, _inputs, result, name=name: self._keep(name, result))
        for name, result in network.whole(image)._asdict().items():
            self._enter(name, result)
            self._keep(name, result)
            self.outputs.add(name)

    def role(self, name: str) -> Literal["image", "stage", "output"]:
        return "image" if name == "image" else "output" if name in self.outputs else "stage"

    def _enter(self, name: str, inputs: object) -> None:
        """Note the kept results that the inputs were made of, with no other stage between."""
        require(name not in self.sources, f"{self.network}: {name!r} runs twice; a drawing shows each stage once")
        self.sources[name] = []
        if reaching := [x.sum() for x in _tensors(inputs) if x.requires_grad]:
            ways = torch.autograd.grad(reaching, list(self.results.values()), retain_graph=True, allow_unused=True)
            self.sources[name] = [source for source, way in zip(self.results, ways, strict=True) if way is not None]

    def _keep(self, name: str, result: object) -> Tensor:
        if not isinstance(result, Tensor):
            raise InputError(f"{self.network}: {name!r} gives {type(result).__name__}; wanted one tensor")
        self.results[name] = result.detach().requires_grad_()
        return self.results[name].clone()  # what follows may work in place, which a leaf forbids


def _tensors(value: object) -> Iterator[Tensor]:
    """Every tensor in nested tuples, lists and mappings."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list | Mapping):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(part)


def _flows(sources: dict[str, list[str]]) -> tuple[Flow, ...]:
    """One flow for each source; it is a skip where the target is also reached through another of its sources."""
    behind: dict[str, set[str]] = {}  # everything that a stage's result depends on
    for name, direct in sources.items():
        behind[name] = set(direct).union(*(behind.get(source, set()) for source in direct))
    return tuple(
        Flow(source, target, any(source in behind.get(other, set()) for other in direct))
        for target, direct in sources.items()
        for source in direct
    )


def _require_every_parameter(network: Model) -> None:
    """Refuse stages that leave a parameter out or count one twice: their sum would not be the network's."""
    names = {id(p): name for name, p in network.named_parameters()}
    held = [id(p) for stage in network.stages().values() for p in stage.parameters()]
    for found, fault in (
        ([name for key, name in names.items() if key not in held], "in no stage"),
        ([name for key, name in names.items() if held.count(key) > 1], "in two stages"),
    ):
        require(not found, f"{type(network).__name__}: parameters {', '.join(found)} lie {fault}")
