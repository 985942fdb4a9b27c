"""Residual blocks that activate before they convolve, and levels made of them; no normalization."""

from __future__ import annotations

from torch import Tensor, nn

from labutils.models.blocks import OrthogonalConv


class ResidualBlock(nn.Module):
    """The input plus what `convs` 3x3 convolutions make of it, each after a ReLU.

    Maps (B, inputs, H, W) to (B, outputs, H, W).

    The convolutions have `inner` channels, and a 1x1 convolution brings them to `outputs`; another brings the input
    there where it has other channels. The first ReLU sees the input itself, so what is negative in an image is lost to
    the convolutions: images in [0, 1] lose nothing.
    """

    def __init__(self, inputs: int, inner: int, outputs: int, *, convs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number in range(convs):
            layers += [nn.ReLU(), OrthogonalConv(inner if number else inputs, inner, kernel_size=3, padding=1)]
        if inner != outputs:
            layers.append(OrthogonalConv(inner, outputs, kernel_size=1))
        self.branch = nn.Sequential(*layers)
        self.skip = OrthogonalConv(inputs, outputs, kernel_size=1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """No activation follows the sum."""
        return self.skip(x) + self.branch(x)


class ResidualLevel(nn.Sequential):
    """`blocks` residual blocks at one resolution: (B, inputs, H, W) to (B, outputs, H, W)."""

    def __init__(self, inputs: int, outputs: int, *, blocks: int, convs: int) -> None:
        inner = max(1, outputs // 2)
        super().__init__(
            *(ResidualBlock(outputs if number else inputs, inner, outputs, convs=convs) for number in range(blocks))
        )
