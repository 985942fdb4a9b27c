"""An encoder and a decoder that stops halfway, with a latent map at each of its coarse scales.

From coarse to fine: the decoder's map says what is believed of the scale's latent map, a value is chosen, and both
together, doubled and put beside the encoder's map of the next scale, go on. So what is believed of a scale depends on
the values of all coarser ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from labutils.models.blocks import OrthogonalConv
from labutils.models.latents import normal
from labutils.models.residual import ResidualLevel
from labutils.models.scales import Choose, Descent


def doubled(x: Tensor, skip: Tensor) -> Tensor:
    """A map at twice its size beside the encoder's map of that size."""
    return torch.cat([functional.interpolate(x, scale_factor=2.0, mode="nearest"), skip], dim=1)


class Core(nn.Module):
    """The encoder, and the decoder down to the scale after the last latent map.

    Args:
        inputs: channels of what is encoded.
        widths: channels of each level, the finest first.
        latents: channels of each latent map, the coarsest first; one fewer than levels at most.
        blocks: residual blocks a level.
        convs: 3x3 convolutions a block.
    """

    def __init__(self, inputs: int, widths: Sequence[int], latents: Sequence[int], *, blocks: int, convs: int) -> None:
        super().__init__()
        befores = [inputs, *widths[:-1]]
        self.down = nn.ModuleList(
            ResidualLevel(i, o, blocks=blocks, convs=convs) for i, o in zip(befores, widths, strict=True)
        )
        upwards = widths[::-1]  # the coarsest first
        self.beliefs = nn.ModuleList(
            OrthogonalConv(width, 2 * latent, kernel_size=1) for width, latent in zip(upwards, latents, strict=False)
        )
        self.up = nn.ModuleList(
            ResidualLevel(latent + coarse + fine, fine, blocks=blocks, convs=convs)
            for latent, coarse, fine in zip(latents, upwards, upwards[1:], strict=False)
        )

    def parts(self) -> dict[str, nn.ModuleList]:
        """The encoder's levels, the beliefs, and the decoder's levels."""
        return {"down": self.down, "beliefs": self.beliefs, "up": self.up}

    def encode(self, x: Tensor) -> list[Tensor]:
        """The map of each level, the coarsest first."""
        maps: list[Tensor] = []
        for level in self.down:
            x = level(functional.avg_pool2d(x, 2) if maps else x)
            maps.append(x)
        return maps[::-1]

    def descend(
        self, maps: Sequence[Tensor], choose: Choose, scales: int, at: Descent | None = None, *, stop: bool = False
    ) -> Descent:
        """Further down, until `scales` values are chosen.

        Args:
            maps: from `encode`.
            choose: the value of a scale.
            scales: from as many as are chosen already to all.
            at: where to go on from; None for the start.
            stop: whether to leave the decoder's last level out, which a posterior has no use for.
        """
        features, beliefs, values = at or (maps[0], (), ())
        for scale in range(len(values), scales):
            belief = normal(self.beliefs[scale](features).flatten(1))
            value = choose(scale, belief)
            beliefs, values = (*beliefs, belief), (*values, value)
            if stop and scale == scales - 1:
                break
            shaped = value.view(len(value), -1, *features.shape[-2:]).to(features.dtype)
            features = self.up[scale](doubled(torch.cat([shaped, features], dim=1), maps[scale + 1]))
        return Descent(features, beliefs, values)
