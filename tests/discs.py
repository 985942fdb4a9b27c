"""Small stores to train on."""

from labutils.data.discs import DiscsConfig, make_discs

OFFSETS = (0.0, -1.0, 1.0, 2.0)


def disc_store(cases=12, size=16, raters=3, seed=0, split="train"):
    """Discs of radius 2 to 4 px in 16 px (in proportion for other sizes); raters differ by whole pixels."""
    scale = size / 16
    offsets = tuple(scale * offset for offset in OFFSETS[:raters])
    config = DiscsConfig(
        cases=cases, size_px=size, radius_px=(3 * scale, 5 * scale), offsets_px=offsets, contrast=0.6, seed=seed
    )
    return make_discs(config, split)
