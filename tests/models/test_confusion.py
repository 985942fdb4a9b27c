"""Confusion matrices by hand: start, mixing, terms; training lowers what a term stands for; planted matrices found."""

import numpy as np
import pytest
import torch

from labutils.core.checks import ConfigError, InputError
from labutils.core.runtime import rng_for
from labutils.core.types import Batch
from labutils.data.planted import plant
from labutils.data.planted_raters import Everywhere, rates_matrix
from labutils.data.planted_sets import SETTINGS
from labutils.data.planted_truths import ShapesConfig, wavy_shapes
from labutils.metrics.confusion import matrix_error
from labutils.models.confusion import _denoised, identity_logits, mean_diagonal, said
from labutils.models.registry import build, make_config
from labutils.training.fit import fit
from labutils.training.settings import FitConfig

CPU = torch.device("cpu")
NAMES = ("global-cm", "pixel-cm", "stochastic-cm")
SMALL = {"width": 4, "levels": 2, "raters": 3, "warm_up": 0}


def make(name, **settings):
    return build(name, make_config(name, SMALL | settings), rng_for(0, "weights"))


def batch_of(raters=3, classes=2, cases=2, size=6):
    rng = rng_for(0, "batch")
    masks = torch.randint(classes, (cases, raters, size, size), generator=rng, dtype=torch.uint8)
    return Batch(torch.rand(cases, 1, size, size, generator=rng), masks, torch.ones(cases, raters, dtype=torch.bool))


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_start_is_the_diagonal_asked_for(classes):
    matrix = torch.softmax(identity_logits(classes, 0.9), dim=0)
    assert torch.allclose(matrix.diagonal(), torch.tensor(0.9))
    assert torch.allclose(matrix[0, 1:], torch.tensor(0.1 / (classes - 1)))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("global-cm", {}),
        ("pixel-cm", {}),
        ("pixel-cm", {"rank": 1}),
        ("pixel-cm", {"classes": 4}),
        ("pixel-cm", {"classes": 4, "rank": 2}),
    ],
)
def test_matrices_start_near_the_identity_and_their_columns_sum_to_one(name, settings):
    model = make(name, start=0.9, **settings)
    matrices = model(torch.rand(2, 1, 7, 5, generator=rng_for(0, "image"))).log_matrices.exp()
    assert torch.allclose(matrices.sum(dim=2), torch.ones(()), atol=1e-6)
    diagonal = torch.diagonal(matrices, dim1=2, dim2=3)
    assert diagonal.mean().item() == pytest.approx(0.9, abs=0.01)
    with torch.no_grad():  # far from the start as well
        for parameter in model.matrices.parameters():
            parameter.mul_(30).add_(0.2)
        matrices = model(torch.rand(2, 1, 7, 5, generator=rng_for(0, "image"))).log_matrices.exp()
    assert torch.allclose(matrices.sum(dim=2), torch.ones(()), atol=1e-6)


def test_one_pixel_by_hand():
    """Truth (0.3, 0.7); the rater calls a fifth of foreground background: says (0.3 * 1 + 0.7 * 0.2, 0.7 * 0.8)."""
    log_probs = torch.tensor([0.3, 0.7]).log().view(1, 2, 1, 1)
    matrix = torch.tensor([[1.0, 0.2], [0.0, 0.8]]).log().view(1, 1, 2, 2, 1, 1)
    assert said(log_probs, matrix).exp().flatten().tolist() == pytest.approx([0.44, 0.56])
    assert mean_diagonal(matrix).item() == pytest.approx(0.9)


@pytest.mark.parametrize("name", NAMES)
def test_the_total_is_the_documented_sum(name):
    model = make(
        name,
        clean_weight=0.5,
        trace=0.25,
        **({"anneal": "none", "beta": 1.0, "hold": 40.0} if name == "stochastic-cm" else {}),
    )
    terms = model.objective(batch_of(), 0, rng_for(0, "o"))
    more = terms.kl / 36 + model.config.hold * terms.hold if name == "stochastic-cm" else terms.heads
    assert terms.total.item() == pytest.approx((terms.raters + more + 0.5 * terms.clean + 0.25 * terms.trace).item())
    assert min(value.item() for value in terms) >= 0


@pytest.mark.parametrize("name", NAMES)
def test_while_warming_up_the_matrices_are_left_alone(name):
    model = make(name, warm_up=5)
    terms = model.objective(batch_of(), 4, rng_for(0, "o"))
    heads = 0.0 if name == "stochastic-cm" else terms.heads.item()
    assert terms.total.item() == pytest.approx(terms.clean.item() + heads)
    assert terms.raters.item() == terms.trace.item() == 0
    assert model.objective(batch_of(), 5, rng_for(0, "o")).raters.item() > 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("coupled", [False, True])
def test_the_raters_term_reaches_the_clean_head_only_when_coupled(name, coupled):
    model = make(name, coupled=coupled)
    model.objective(batch_of(), 0, rng_for(0, "o")).raters.backward()
    reached = model.head.weight.grad is not None and bool(model.head.weight.grad.abs().max() > 0)
    assert reached == coupled


def annotators_doubt(model, batch):
    """Cross-entropy in nats of what raters are said to answer on average to their vote."""
    votes = batch.masks.float().mean(dim=1)
    foreground = model.sample(batch.image, 64, rng_for(0, "drawn"))[:, :, 1].mean(dim=1)
    return torch.nn.functional.binary_cross_entropy(foreground, votes).item()


def clean_doubt(model, batch):
    """Cross-entropy in nats of the clean head to what is there."""
    truth = (batch.image[:, 0] > 0.5).float()
    return torch.nn.functional.binary_cross_entropy(model.clean(batch.image)[:, 1], truth).item()


def heads_doubt(model, batch):
    """Mean probability in the heads of what each rater did not say."""
    said_by = torch.softmax(model(batch.image).heads, dim=2)
    return 1 - said_by.gather(2, batch.masks[:, :, None].long()).mean().item()


def diagonal(model, batch):
    """Mean diagonal of the matrices."""
    if hasattr(model, "annotators"):
        matrices = model.annotators(batch.image, model.draw(batch.image, 8, rng_for(0, "drawn"))).matrices
    else:
        matrices = model(batch.image).log_matrices.exp()
    return matrices.diagonal(dim1=2, dim2=3).mean().item()


@pytest.mark.parametrize(
    ("name", "measure", "settings"),
    [
        *((name, annotators_doubt, {"coupled": True, "clean_weight": 0.0}) for name in NAMES),
        *((name, clean_doubt, {"coupled": False}) for name in NAMES),  # nothing else trains the clean head
        *((name, heads_doubt, {"coupled": False}) for name in NAMES[:2]),
        *((name, diagonal, {"coupled": True, "clean_weight": 0.0, "trace": 50.0}) for name in NAMES),
    ],
)
def test_training_lowers_what_a_term_stands_for(name, measure, settings):
    """Measured on answers and matrices: a term that is lowered itself falls whatever its sign."""
    model, batch = make(name, norm="none", **settings), easy_batch()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    with torch.no_grad():
        before = measure(model, batch)
    for step in range(40):
        total = model.objective(batch, step, rng_for(0, "same draw")).total
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    with torch.no_grad():
        assert measure(model, batch) < 0.95 * before


def easy_batch():
    """Bright pixels are foreground, and each rater turns over a tenth of them."""
    batch = batch_of(size=8)
    flips = torch.rand(2, 3, 8, 8, generator=rng_for(0, "flips")) < 0.1
    return batch._replace(masks=((batch.image > 0.5) ^ flips).to(torch.uint8))


@pytest.mark.parametrize("name", NAMES)
def test_a_negative_trace_weight_pulls_to_the_identity(name):
    moved = []
    for weight in (-20.0, 20.0):
        model, batch = make(name, norm="none", trace=weight, clean_weight=0.1), batch_of(size=4)
        optimizer = torch.optim.Adam(model.parameters(), 1e-2)
        for step in range(20):
            terms = model.objective(batch, step, rng_for(0, "same draw"))
            optimizer.zero_grad()
            terms.total.backward()
            optimizer.step()
        moved.append(terms.trace.item())
    assert moved[0] > 0.95 > moved[1] + 0.1


@pytest.mark.parametrize("name", ["global-cm", "pixel-cm"])
def test_rater_heads_are_there_only_for_a_vote_of_what_they_say(name):
    batch = batch_of()
    assert make(name)(batch.image).heads.shape == (2, 3, 2, 6, 6)
    for settings in ({"vote": "labels"}, {"clean": "cross-entropy"}):
        model = make(name, **settings)
        assert model(batch.image).heads.numel() == 0
        assert model.objective(batch, 0, rng_for(0, "o")).heads.item() == 0


def test_the_vote_of_the_heads_is_not_moved_by_slips():
    """Rater 2 turns over a fifth of the pixels: a head that knows the habit counts none of them as an error."""
    truth = batch_of().masks[:, :1]
    heads = 8.0 * torch.nn.functional.one_hot(truth.long().expand(-1, 3, -1, -1), 2).movedim(-1, 2)
    flips = torch.rand(2, 1, 6, 6, generator=rng_for(0, "slips")) < 0.2
    slipped = batch_of()._replace(masks=torch.cat([truth, truth, truth ^ flips.to(torch.uint8)], dim=1))
    assert torch.equal(_denoised(slipped, heads).masks, truth.expand(-1, 3, -1, -1))
    assert _denoised(slipped._replace(present=slipped.present & False), heads).present.all()


@pytest.mark.parametrize("likelihood", ["joint", "marginal"])
@pytest.mark.parametrize("name", ["global-cm", "pixel-cm"])
def test_absent_raters_are_not_read(name, likelihood):
    model, batch = make(name, likelihood=likelihood).eval(), batch_of()
    gone = batch.present.clone()
    gone[:, 2] = False
    other = batch.masks.clone()
    other[:, 2] = 1 - other[:, 2]
    first, second = (
        model.objective(Batch(batch.image, masks, gone), 0, rng_for(0, "o")) for masks in (batch.masks, other)
    )
    assert first.total.item() == second.total.item()


@pytest.mark.parametrize("name", NAMES)
def test_other_raters_or_classes_than_the_network_has_are_refused(name):
    with pytest.raises(InputError, match="the network has 3 raters and the masks 2"):
        make(name).objective(batch_of(raters=2), 0, rng_for(0, "o"))
    with pytest.raises(InputError, match="masks hold class 2"):
        make(name).objective(batch_of(classes=3), 0, rng_for(0, "o"))


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("global-cm", {"raters": 0}, "raters is 0"),
        ("stochastic-cm", {"raters": -1}, "raters is -1"),
        ("pixel-cm", {"start": 0.5}, "start is 0.5; wanted above 1/2"),
        ("pixel-cm", {"start": 1.0}, "start is 1.0"),
        ("pixel-cm", {"rank": 2}, "rank is 2"),
        ("global-cm", {"clean": "none"}, "nothing trains the clean head"),
        ("global-cm", {"clean_weight": 0.0}, "nothing trains the clean head"),
        ("global-cm", {"clean_weight": -1.0}, "clean_weight is -1"),
        ("global-cm", {"warm_up": -1}, "warm_up is -1"),
        ("stochastic-cm", {"latent": 0}, "latent is 0"),
        ("stochastic-cm", {"beta": -1.0}, "beta is -1"),
        ("stochastic-cm", {"ramp": 0}, "ramp is 0"),
    ],
)
def test_settings_out_of_range_are_refused(name, settings, words):
    with pytest.raises(ConfigError, match=words):
        make_config(name, settings)


def test_each_rater_is_drawn_equally_often():
    model = make("global-cm")
    with torch.no_grad():
        model.matrices.moved[1] = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])  # this rater says foreground everywhere
        probs = model.eval().sample(torch.rand(1, 1, 4, 4), 600, rng_for(0, "draw"))
    full = (probs[0, :, 1].mean(dim=(1, 2)) > 0.99).float().mean().item()
    assert full == pytest.approx(1 / 3, abs=0.06)


def test_planted_global_matrices_are_found():
    """Four raters of known rates on easy discs: the matrices come out of their labels alone."""
    rates = [(0.95, 0.98), (0.8, 0.95), (0.7, 0.9), (0.9, 0.75)]
    raters = tuple(Everywhere(name=str(i), matrix=rates_matrix(*rate)) for i, rate in enumerate(rates))
    truths = wavy_shapes(64, ShapesConfig(size_px=16, radius_px=(3.0, 5.0)), seed=0, split="train")
    planted = plant(truths, raters, card=SETTINGS["planted-global"].card, split="train", seed=0, noise=0.1)
    model = build("global-cm", make_config("global-cm", {"width": 4, "levels": 2, "warm_up": 30}), rng_for(0, "w"))
    fit(model, planted.store, None, FitConfig(epochs=25, batch_size=16, lr=1e-2, keep="last"), device=CPU)
    found = model(torch.zeros(1, 1, 16, 16)).log_matrices[0, :, :, :, 0, 0].exp().detach()
    wanted = torch.from_numpy(np.stack([rates_matrix(*rate) for rate in rates]))
    assert matrix_error(found, wanted).mean < 0.03
