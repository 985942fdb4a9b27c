"""Raters drawn from planted confusion matrices: what several tests of fusing share."""

import torch

from labutils.core.runtime import rng_for


def planted_raters(seed, matrices, prior, size=32, cases=1):
    """uint8 masks (B, R, H, W) and truth (B, H, W): class j gets label i with chance matrices[r, i, j]."""
    rng = rng_for(seed, "planted raters")
    truth = torch.multinomial(torch.tensor(prior), cases * size * size, replacement=True, generator=rng)
    columns = torch.as_tensor(matrices)[:, :, truth].transpose(1, 2)  # (R, N, K)
    labels = torch.multinomial(columns.flatten(0, 1), 1, generator=rng).reshape(len(columns), cases, size, size)
    return labels.transpose(0, 1).to(torch.uint8), truth.reshape(cases, size, size).to(torch.uint8)


def even_errors(rates, classes):
    """Matrices (R, K, K) of raters who err in a share of pixels, evenly over the other classes."""
    wrong = torch.tensor(rates, dtype=torch.float64)[:, None, None] / (classes - 1)
    eye = torch.eye(classes, dtype=torch.float64)
    return (1 - eye) * wrong + eye * (1 - (classes - 1) * wrong)
