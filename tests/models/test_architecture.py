from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional

from labutils.core.checks import InputError
from labutils.core.runtime import rng_for
from labutils.models.architecture import describe
from labutils.models.base import Model
from labutils.models.registry import MODELS, build, make_config
from labutils.models.unet import UNetOutput
from labutils.viz.architecture import architecture
from tests.models.sizes import pairs, sized

HAS = {name: {"latents": [1]} for name in ("hier-prob-unet", "phiseg")}  # with two levels, room for one scale
SMALL = {name: {"width": 4, "levels": 2} | HAS.get(name, {}) for name in MODELS}
OTHER = {name: {"width": 6, "levels": 4} | HAS.get(name, {}) for name in MODELS}
SHAPES = ((1, 16, 16), (1, 13, 29), (1, 1, 1))
VIEWS = [(name, settings, shape) for settings in (SMALL, OTHER) for name, shape in pairs(SHAPES)]


class Toy(Model):
    """Two levels; how the finer one reaches the end is chosen."""

    def __init__(self, way="concatenate"):
        super().__init__(way)
        self.fine, self.coarse = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.last = nn.Conv2d(6 if way == "concatenate" else 3, 2, 1)

    def forward(self, image):
        fine = self.fine(image).relu_()
        back = functional.interpolate(self.coarse(functional.avg_pool2d(fine, 2)), scale_factor=2.0)
        if self.config == "concatenate":
            return UNetOutput(self.last(torch.cat([back, fine], dim=1)))
        if self.config == "named":
            return UNetOutput(self.last(input=back + fine))
        return UNetOutput(self.last({"none": back, "add": back + fine, "stopped": back + fine.detach()}[self.config]))

    def sample(self, image, n, rng):
        raise NotImplementedError

    def objective(self, batch, step, rng):
        raise NotImplementedError


class Repeats(Toy):
    def forward(self, image):
        return UNetOutput(self.last(self.coarse(self.coarse(self.fine(image)))))


class Idles(Toy):
    def forward(self, image):
        return UNetOutput(self.last(self.fine(image)))


class Loose(Toy):
    def __init__(self):
        super().__init__("none")
        self.scale = nn.Parameter(torch.ones(1))


class Shared(Toy):
    def stages(self):
        return {**super().stages(), "again": self.fine}


class Pairs(Toy):
    def __init__(self):
        super().__init__("none")
        self.last = nn.AdaptiveMaxPool2d(2, return_indices=True)


def make(name, settings, height=16, width=16):
    return build(name, make_config(name, sized(name, settings[name], height, width)), rng_for(0, "weights"))


def test_every_model_is_drawn_here():
    assert set(SMALL) == set(OTHER) == set(MODELS)


@pytest.mark.parametrize(("name", "settings", "shape"), VIEWS)
def test_every_number_is_what_a_real_run_gives(name, settings, shape):
    network = make(name, settings, *shape[1:]).eval()
    seen = {}
    for part, module in network.named_modules():
        module.register_forward_hook(lambda _m, _i, out, part=part: seen.update({part: out}))
    with torch.no_grad():
        fields = network.whole(torch.zeros(2, *shape))._asdict()
    found = describe(network, shape)
    assert found.stages[0].shape == shape
    for stage in found.stages[1:]:
        result = fields[stage.name] if stage.role == "output" else seen[stage.name]
        assert stage.shape == tuple(result.shape[1:]), stage
        if stage.role == "stage":
            assert stage.parameters == sum(p.numel() for p in network.get_submodule(stage.name).parameters())
    assert [stage.name for stage in found.stages if stage.role == "output"] == list(fields)
    assert found.parameters == sum(p.numel() for p in network.parameters())
    assert architecture(found, name)._repr_svg_().count("<svg") == 1


@pytest.mark.parametrize("name", MODELS)
def test_the_drawing_follows_the_configuration_and_leaves_the_network_alone(name):
    network = make(name, SMALL)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    drawings = {architecture(describe(make(name, s), (1, 16, 16)), name)._repr_svg_() for s in (SMALL, OTHER)}
    assert len(drawings) == 2
    drawings.add(architecture(describe(network, (1, 16, 16)), name)._repr_svg_())
    assert len(drawings) == 2  # the same network, the same drawing
    assert network.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_the_unet_s_wiring_is_the_paper_s():
    flows = describe(make("unet", {"unet": {"width": 2, "levels": 3}}), (1, 8, 8)).flows
    straight = ["image", "down.0", "down.1", "down.2", "up.1", "up.0", "head", "logits"]
    assert {(f.source, f.target) for f in flows if not f.skip} == set(pairwise(straight))
    assert {(f.source, f.target) for f in flows if f.skip} == {("down.0", "up.0"), ("down.1", "up.1")}


@pytest.mark.parametrize(("way", "skips"), [("concatenate", 1), ("add", 1), ("named", 1), ("none", 0), ("stopped", 0)])
def test_a_skip_is_drawn_where_the_network_has_one(way, skips):
    found = describe(Toy(way), (1, 8, 8))
    assert [(f.source, f.target) for f in found.flows if f.skip] == [("fine", "last")] * skips
    assert ("coarse", "last", False) in found.flows


@pytest.mark.parametrize(
    ("network", "fault"),
    [
        (Repeats("none"), "'coarse' runs twice"),
        (Idles("none"), r"\['coarse'\] do not run"),
        (Loose(), "scale lie in no stage"),
        (Shared("none"), "fine.weight, fine.bias lie in two stages"),
    ],
)
def test_what_cannot_be_drawn_truly_is_refused(network, fault):
    with pytest.raises(InputError, match=fault):
        describe(network, (1, 8, 8))


def test_a_stage_with_two_results_is_refused():
    with pytest.raises(InputError, match="'last' gives tuple"):
        describe(Pairs(), (1, 6, 6))
