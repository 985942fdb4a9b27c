"""Feature maps of an image and a latent vector, put together by layers of one pixel.

The part of the first layer that sees the maps is apart from the one that sees the vector, so it is computed once for an
image, however many vectors follow: W [features, z] = W1 features + W2 z.
"""

from __future__ import annotations

from torch import Tensor, nn


class Combiner(nn.Module):
    """Three layers with ReLU: maps (N, inputs, H, W) and vectors (N, Z) to maps (N, width, H, W)."""

    def __init__(self, inputs: int, latent: int, width: int, *, kernel_size: int = 1) -> None:
        super().__init__()
        self.see = nn.Conv2d(inputs, width, kernel_size, padding=kernel_size // 2)
        self.who = nn.Linear(latent, width)
        self.mix = nn.Sequential(
            nn.ReLU(), *(layer for _ in range(2) for layer in (nn.Conv2d(width, width, 1), nn.ReLU()))
        )

    def mixed(self, seen: Tensor, z: Tensor) -> Tensor:
        """The rest after ``see(maps)``, for one vector an image."""
        return self.mix(seen + self.who(z)[:, :, None, None])
