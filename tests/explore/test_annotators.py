"""The explorer of drawn raters: its decoder is the model's, its numbers are the metrics', and it is checked."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from labutils.core.checks import InputError
from labutils.core.runtime import rng_for
from labutils.explore.annotators import (
    AnnotatorsExplorer,
    Layer,
    RaterDecoder,
    annotators_at,
    annotators_figure,
    rater_decoder,
)
from labutils.metrics.overlap import dice
from labutils.models.registry import build, make_config
from tests.explore.test_core import unpack
from tests.explore.test_raters import made

DRAWS, LATENT = 5, 3
SMALL = {"width": 4, "levels": 2, "latent": LATENT, "coder_width": 6, "start": 0.6}


def trained(classes=2, raters=0):
    """A network whose matrices depend much on z, as after training; from the start they hardly do."""
    settings = SMALL | {"classes": classes, "raters": raters}
    model = build("stochastic-cm", make_config("stochastic-cm", settings), rng_for(0, "weights")).eval()
    with torch.no_grad():
        decoder = model.decoder
        for part, times in ((model.head, 10), (decoder.see, 4), (decoder.who, 4), (decoder.entries, 50)):
            part.weight.mul_(times)
            part.bias.normal_(0, 0.1, generator=rng_for(times, "bias"))
        image = torch.rand(1, 1, 9, 9, generator=rng_for(2, "image"))
        model.head.bias.sub_(model.head(model.features(image)).mean((0, 2, 3)))  # so that every class is somewhere
    return model


def cases(count=2):
    return [made(seed=seed) for seed in range(count)]


def decoder(count=2, **given):
    return rater_decoder(trained(), cases(count), rng_for(0, "z"), draws=DRAWS, **given)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("raters", [0, 3])
def test_the_decoder_is_that_of_the_model(classes, raters):
    model = trained(classes, raters)
    found = rater_decoder(model, cases(), rng_for(0, "z"), draws=DRAWS)
    image = torch.from_numpy(np.stack([one.image for one in cases()]))
    with torch.no_grad():
        wanted = model.annotators(image, torch.from_numpy(found.draws).float())
        drawn, clean = model.draw(image, DRAWS, rng_for(0, "z")), model.clean(image)
    assert np.abs(found.draws - drawn.numpy()).max() <= 0.5e-4 + 1e-6
    for case in range(2):
        assert np.abs(found.truth(case) - clean[case].numpy()).max() < 1e-5
        for s, z in enumerate(found.draws[case]):
            shown = annotators_at(cases(), found, {"case": case, "z": z})
            assert np.abs(found.matrices(case, z) - wanted.matrices[case, s].numpy()).max() < 1e-5
            assert np.abs(shown.says - wanted.probs[case, s].numpy()).max() < 1e-5
    assert wanted.matrices.std(dim=1).max() > 0.1  # so that agreement is no matter of course


def test_sixteen_bits_move_chances_a_little():
    z = decoder().draws[0, 0]
    apart = np.abs(decoder(bits=16).matrices(0, z) - decoder().matrices(0, z)).max()
    assert 0 < apart < 0.01


def by_hand():
    """Two pixels, one feature that is z itself: at the first pixel above 0 where z is, at the second never."""
    case = made(raters=2, size=2)
    case = replace(case, image=case.image[:, :1], masks=np.array([[[1, 0]], [[1, 1]]], np.uint8))
    logits = np.log(np.array([[[0.2, 0.6]], [[0.8, 0.4]]], np.float32))[None]
    bias = np.log(np.array([0.9, 0.2, 0.1, 0.8], np.float32))  # [0|0], [0|1], [1|0], [1|1]
    layer = Layer(np.array([[0], [1], [0], [0]], np.float32), bias)  # z makes it likelier to miss
    seen = np.array([[[[0, -100]]]], np.float32)
    known = {"logits": logits, "seen": seen, "who": np.ones((1, 1), np.float32), "layers": (layer,)}
    return case, RaterDecoder(**known, draws=np.array([[[-1.0], [math.log(4)]]]))


def test_two_pixels_by_hand():
    case, known = by_hand()
    careful, misser = (annotators_at([case], known, {"case": 0, "z": [z]}) for z in (-1.0, math.log(4)))
    assert careful.errors == pytest.approx(np.array([[[0.1, 0.1]], [[0.2, 0.2]]]))
    assert misser.errors == pytest.approx(np.array([[[0.1, 0.1]], [[0.5, 0.2]]]))  # .2 * 4 against .8
    assert careful.says[1] == pytest.approx(np.array([[0.8 * 0.8 + 0.2 * 0.1, 0.4 * 0.8 + 0.6 * 0.1]]))
    assert misser.says[1] == pytest.approx(np.array([[0.8 * 0.5 + 0.2 * 0.1, 0.4 * 0.8 + 0.6 * 0.1]]))
    assert (careful.area_px, misser.area_px, careful.truth_px) == (1, 0, 1)
    assert (careful.truth_dice, misser.truth_dice) == (1, 0)
    assert careful.dice == pytest.approx((1, 2 / 3))
    assert misser.mean_errors == pytest.approx([0.1, (0.8 * 0.5 + 0.4 * 0.2) / 1.2])
    assert [one.label for one in (careful, misser)] == ["drawn rater 1", "drawn rater 2"]
    assert annotators_at([case], known, {"case": 0, "z": [0.0]}).label == "not drawn"


def test_the_numbers_are_those_of_the_metrics():
    case = made(seed=1, present=np.array([True, False, True]))
    known = decoder()
    shown = annotators_at([made(), case], known, {"case": 1, "z": known.draws[1, 2]})
    marked = torch.from_numpy(shown.says[1] > 0.5)[None]
    assert shown.truth_dice == pytest.approx(dice(marked, torch.from_numpy(known.truth(1)[1] > 0.5)[None]).item())
    for r in (0, 2):
        assert shown.dice[r] == pytest.approx(dice(marked, torch.from_numpy(case.masks[r] != 0)[None]).item())
    assert math.isnan(shown.dice[1])


def floats(packed):
    kind = {16: np.float16, 32: np.float32}[packed["bits"]]
    flat = unpack({**packed, "shape": [-1]}).view(kind)
    return flat.reshape(packed["shape"])


@pytest.mark.parametrize("bits", [16, 32])
def test_what_is_packed_is_what_was_given(bits):
    known = decoder(bits=bits)
    explorer = AnnotatorsExplorer(cases(), known, case=1)
    assert explorer.value == {"case": 1, "z": known.draws[1, 0].tolist(), "draw": 0, "raters": False}
    assert json.loads(json.dumps(explorer.data)) == explorer.data
    assert explorer.data["seen"]["bits"] == bits
    for name in ("logits", "seen", "who"):
        assert np.array_equal(floats(explorer.data[name]), getattr(known, name))
    for packed, layer in zip(explorer.data["layers"], known.layers, strict=True):
        assert [floats(one).tolist() for one in packed] == [one.tolist() for one in layer]


@pytest.mark.parametrize("scale", [1e-3, 1, 250])
def test_sliders_reach_all_draws_in_round_steps(scale):
    known = decoder()
    known = replace(known, draws=np.round(scale * known.draws, 4))
    explorer = AnnotatorsExplorer(cases(), known)
    for place, one in enumerate(explorer.data["latents"]):
        drawn = known.draws[..., place]
        assert one["low"] < drawn.min() <= drawn.max() < one["high"]
        assert 100 <= (one["high"] - one["low"]) / one["step"] <= 1010
        assert one["high"] - one["low"] < 1.5 * (drawn.max() - drawn.min())
        assert f"{one['step']:.{one['digits']}f}" == f"{one['step']:g}".replace("1e-05", "0.00001")


def test_a_latent_number_that_never_moves_has_a_slider():
    known = decoder()
    explorer = AnnotatorsExplorer(cases(), replace(known, draws=0 * known.draws))
    assert {(one["low"], one["high"]) for one in explorer.data["latents"]} == {(-1.0, 1.0)}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"case": 2}, "case is 2; wanted 0 to 1"),
        ({"draw": DRAWS}, f"draw is {DRAWS}; wanted 0 to {DRAWS - 1}"),
        ({"z": [0.0]}, f"z has 1 numbers; wanted {LATENT}"),
        ({"z": [0.0, 1000.0, 0.0]}, r"z 2 is 1000.0; wanted -?\d"),
        ({"z": [0.0, 0.0, math.nan]}, "z 3 is nan; wanted"),
    ],
)
def test_a_value_that_is_not_there_is_refused(given, sentence):
    explorer = AnnotatorsExplorer(cases(), decoder())
    before = explorer.value
    with pytest.raises(InputError, match=sentence):
        explorer.value = {**before, **given}
    assert explorer.value == before


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"seen": np.zeros((2, 6, 3, 3), np.float32)}, "seen has shape"),
        ({"who": np.zeros((6, 13), np.float32), "draws": np.zeros((2, 1, 13))}, "13 latent numbers; wanted 1 to 12"),
        ({"draws": np.zeros((2, 0, LATENT))}, "draws hold no latent vector"),
        ({"draws": np.zeros((2, 1, 2))}, "wanted Z = 3"),
        ({"layers": ()}, "layers is empty"),
        ({"layers": (Layer(np.zeros((4, 5)), np.zeros(4)),)}, r"layers\[0\].weight has shape \(4, 5\); wanted I = 6"),
        ({"layers": (Layer(np.zeros((4, 6)), np.zeros(3)),)}, r"layers\[0\].bias has shape \(3,\); wanted O = 4"),
        ({"layers": (Layer(np.zeros((3, 6)), np.zeros(3)),)}, "3 outputs; wanted 4, a 2-class matrix"),
    ],
)
def test_a_decoder_that_is_none_is_refused(change, sentence):
    with pytest.raises(InputError, match=sentence):
        replace(decoder(), **change)


@pytest.mark.parametrize(
    ("given", "start", "sentence"),
    [
        ([], {}, "cases is empty"),
        (cases(1), {}, r"decoder has \(2, 12, 12\) cases, rows and columns; wanted \(1, 12, 12\)"),
        ([made(size=16), made(size=16)], {}, r"wanted \(2, 16, 16\)"),
        (cases(), {"case": 2}, "case is 2; wanted 0 to 1"),
    ],
)
def test_what_it_cannot_show_is_refused(given, start, sentence):
    with pytest.raises(InputError, match=sentence):
        AnnotatorsExplorer(given, decoder(), **start)


@pytest.mark.parametrize(
    ("given", "options", "training", "sentence"),
    [
        (cases(), {}, True, "in training mode"),
        ([], {}, False, "cases is empty"),
        (cases(), {"draws": 0}, False, "draws is 0"),
        ([made(), made(size=16, seed=7)], {}, False, "case 'c7': image has shape"),
    ],
)
def test_what_has_no_decoder_is_refused(given, options, training, sentence):
    with pytest.raises(InputError, match=sentence):
        rater_decoder(trained().train(training), given, rng_for(0, "z"), **options)


def test_the_figure_has_a_column_for_each_value():
    known = decoder()
    figure = annotators_figure(cases(), known, [{"case": 1, "z": z} for z in known.draws[1, :3]])
    assert [ax.get_xlabel().split("\n")[0] for ax in figure.axes[9:12]] == [f"drawn rater {n}" for n in (1, 2, 3)]
