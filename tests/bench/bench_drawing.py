"""Networks that draw answers: a step of the Probabilistic U-Net, and 16 answers of it and of the hierarchical one.

The peers are the same weights used plainly: in float32 with channels first, a whole pass for each answer of the
hierarchical network, and a combiner that sees features and vector together for each answer of the other.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from labutils.core.runtime import rng_for
from labutils.data.discs import DiscsConfig, make_discs
from labutils.models.base import Model
from labutils.models.prob_unet import ProbUNet
from labutils.models.registry import build, make_config
from tests.bench.steps import lacking_bfloat16, stepper
from tests.bench.timing import Bench

SIZE, CASES, ANSWERS = 128, 4, 16
PROB_UNET = {"width": 32, "levels": 4, "convs": 3}
NAMES = {"32-true": "fp32", "bf16-mixed": "bf16"}


@cache
def network(name: str, *, plain: bool = False) -> Model:
    """The network with channels last, or plain."""
    settings = PROB_UNET if name == "prob-unet" else {}
    made = build(name, make_config(name, settings), rng_for(0, "bench", "weights")).eval()
    return made if plain else made.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


@cache
def step(precision: str, *, plain: bool = False) -> Callable[[], float]:
    """A step of the Probabilistic U-Net."""
    batch = make_discs(DiscsConfig(cases=CASES, size_px=SIZE)).batch(range(CASES))
    made = build("prob-unet", make_config("prob-unet", PROB_UNET), rng_for(0, "bench", "weights"))
    if not plain:
        made.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return stepper(made, batch, precision)


@cache
def image() -> Tensor:
    """One image."""
    return make_discs(DiscsConfig(cases=1, size_px=SIZE)).batch([0]).image


@torch.no_grad()
def drawn(name: str, precision: str) -> Tensor:
    """16 answers as the package draws them."""
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
        return network(name).sample(image(), ANSWERS, rng_for(0, "bench", "answers"))


@torch.no_grad()
def whole_passes() -> Tensor:
    """16 answers of the hierarchical network, each from a pass of its own."""
    plain, rng = network("hier-prob-unet", plain=True), rng_for(0, "bench", "answers")
    return torch.cat([plain.sample(image(), 1, rng) for _ in range(ANSWERS)], dim=1)


@torch.no_grad()
def whole_heads() -> Tensor:
    """16 answers of the Probabilistic U-Net: features once, then the whole combiner for each vector."""
    plain = network("prob-unet", plain=True)
    assert isinstance(plain, ProbUNet)
    z = plain.draw(image(), ANSWERS, rng_for(0, "bench", "answers"))
    head, features = plain.head, plain.features(image())
    weight = torch.cat([head.see.weight, head.who.weight[:, :, None, None]], dim=1)
    bias = head.see.bias + head.who.bias if head.see.bias is not None else head.who.bias
    answers = []
    for s in range(ANSWERS):
        tiled = z[:, s, :, None, None].expand(-1, -1, *features.shape[-2:])
        both = functional.conv2d(torch.cat([features, tiled], dim=1), weight, bias)
        answers.append(torch.softmax(head.logits(head.mix(both)), dim=1))
    return torch.stack(answers, dim=1)


def same_heads() -> None:
    """In float32 the answers are equal; in bfloat16 to the digits that it has."""
    torch.testing.assert_close(drawn("prob-unet", "32-true"), whole_heads(), atol=1e-5, rtol=0)
    torch.testing.assert_close(drawn("prob-unet", "bf16-mixed"), whole_heads(), atol=0.05, rtol=0)


def same_passes() -> None:
    """The first answer is the same draw in both; the others are other draws of one kind."""
    first, peer = drawn("hier-prob-unet", "32-true")[:, 0], whole_passes()[:, 0]
    assert first.shape == peer.shape
    assert abs(float(first.mean() - peer.mean())) < 0.01


@cache  # once, before a step has moved the weights
def same_loss() -> None:
    """The first loss is equal in float32 with channels first and last, and near in bfloat16."""
    plain, last, half = step("32-true", plain=True)(), step("32-true")(), step("bf16-mixed")()
    assert abs(plain - last) < 1e-5 * abs(plain)
    assert abs(plain - half) < 0.02 * abs(plain)


def benches() -> list[Bench]:
    """The rows of networks that draw."""
    lacking = lacking_bfloat16()
    rows = []
    for precision, step_most, heads_most, passes_most in (
        ("32-true", 0.97, 0.75, 0.68),
        ("bf16-mixed", 0.5, 0.45, 0.4),
    ):
        told = {"lacking": lacking if precision == "bf16-mixed" else ""}
        rows += [
            Bench(
                name=f"Probabilistic U-Net, a step of {CASES} x {SIZE} x {SIZE}, {NAMES[precision]}",
                ours=lambda precision=precision: step(precision)(),
                peer=lambda: step("32-true", plain=True)(),
                peer_name="the same, channels first, float32",
                at_most=step_most,
                check=same_loss,
                **told,
            ),
            Bench(
                name=f"Probabilistic U-Net, {ANSWERS} answers at {SIZE} x {SIZE}, {NAMES[precision]}",
                ours=lambda precision=precision: drawn("prob-unet", precision),
                peer=whole_heads,
                peer_name="features once, the whole combiner for each, float32",
                at_most=heads_most,
                check=same_heads,
                **told,
            ),
            Bench(
                name=f"Hierarchical Probabilistic U-Net, {ANSWERS} answers at {SIZE} x {SIZE}, {NAMES[precision]}",
                ours=lambda precision=precision: drawn("hier-prob-unet", precision),
                peer=whole_passes,
                peer_name="a whole pass for each, float32",
                at_most=passes_most,
                check=same_passes,
                **told,
            ),
        ]
    return rows
