"""Which rows suit which data, and what settings they train with."""

from dataclasses import fields, replace

import pytest

from labutils.core.checks import ConfigError
from labutils.evaluation.contenders import CONTENDERS, DRAWING, FAULTS, ROWS, Contender
from labutils.models.original_cm import OriginalCMConfig
from labutils.models.registry import MODELS
from labutils.training.settings import FitConfig
from tests.discs import disc_store

STORE = disc_store(2)
NAMED = replace(STORE, card=replace(STORE.card, identified=True))
EXCHANGEABLE = replace(STORE, card=replace(STORE.card, identified=False))


@pytest.mark.parametrize("group", ROWS)
def test_rows_and_their_folders_have_names_of_their_own(group):
    names, folders = ({getattr(contender, what) for contender in ROWS[group]} for what in ("name", "folder"))
    assert len(names) == len(folders) == len(ROWS[group])


def test_a_folder_s_name_by_hand():
    assert Contender(name="U-Net, pooled (1)", model="unet").folder == "u-net-pooled-1"


@pytest.mark.parametrize("contender", [*CONTENDERS, *FAULTS, *DRAWING], ids=lambda contender: contender.folder)
def test_a_row_that_suits_the_data_can_be_configured_for_them(contender):
    assert contender.unsuited(NAMED) == ""
    assert contender.config({"width": 4}, NAMED).width == contender.settings.get("width", 4)
    if contender.unsuited(EXCHANGEABLE) == "":
        assert getattr(contender.config({}, EXCHANGEABLE), "raters", 0) == 0


def test_what_follows_single_raters_does_not_suit_exchangeable_ones():
    left = {contender.name for contender in CONTENDERS if contender.unsuited(EXCHANGEABLE)}
    assert left == {
        "U-Net, pooled STAPLE labels",
        *(f"{kind} matrices{loss}" for kind in ("global", "pixel") for loss in ("", ", published loss")),
    }
    assert "are exchangeable" in CONTENDERS[4].unsuited(EXCHANGEABLE)


def test_a_row_takes_the_shared_settings_that_its_model_has_and_keeps_its_own():
    shared = {"width": 4, "warm_up": 7, "target": "majority"}
    matrices = Contender(name="m", model="global-cm", settings={"trace": 0.5}).config(shared, NAMED)
    assert (matrices.width, matrices.warm_up, matrices.trace, matrices.raters) == (4, 7, 0.5, 3)
    unet = Contender(name="u", model="unet", settings={"target": "soft"}).config(shared, NAMED)
    assert (unet.width, unet.target) == (4, "soft")
    with pytest.raises(ConfigError, match="model has no setting 'depth'"):
        Contender(name="u", model="unet", settings={"depth": 1}).config({}, NAMED)


def test_rows_of_faults_go_from_the_published_network_one_repair_at_a_time_to_all_of_them():
    """And to ours; each repair is another setting, and all rows are scored by what was published as well."""
    published, *repaired, anchored, everything, ours = FAULTS
    default, changed = OriginalCMConfig(), []
    assert published.settings == {}
    for row in repaired:
        config = row.config({}, NAMED)
        changed += [f.name for f in fields(config) if getattr(config, f.name) != getattr(default, f.name)]
    wanted = ["mixed", "kl_times", "z", "second_term", "third_term", "drawn"]
    assert [name for name in changed if name != "size_px"] == wanted == list(everything.settings)
    assert everything.settings == {name: row.settings[name] for name, row in zip(wanted, repaired, strict=True)}
    assert anchored.config({}, NAMED) == replace(everything.config({}, NAMED), third_term=True)
    assert (ours.model, {row.also for row in FAULTS}) == ("stochastic-cm", {("ged2_published", "dice_first")})


def test_rows_that_draw_are_networks_whose_answers_differ_beside_one_whose_do_not():
    first, *drawing = DRAWING
    assert not MODELS[first.model].network.stochastic
    assert all(MODELS[row.model].network.stochastic for row in drawing)
    assert {row.model for row in drawing} == {"prob-unet", "hier-prob-unet", "phiseg", "ssn"}


def test_a_row_trains_to_the_last_epoch_with_settings_of_its_own_over_those_of_all():
    own = Contender(name="a", model="unet", fit={"lr": 0.5})
    shared = FitConfig(epochs=3, lr=0.1, patience=2)
    assert own.fit_with(shared, 7) == FitConfig(epochs=3, lr=0.5, seed=7, keep="last")
    assert Contender(name="b", model="unet").fit_with(shared, 7).lr == 0.1


def test_a_row_says_which_settings_of_its_training_are_its_own():
    own = Contender(name="PHiSeg", model="phiseg", fit={"epochs": 120, "lr": 3e-3})
    assert own.own_fit == "PHiSeg trains with settings of its own: fit.epochs=120, fit.lr=0.003"
    assert Contender(name="b", model="unet").own_fit == ""
