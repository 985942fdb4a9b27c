"""Guards say what was wrong, where, and what was wanted."""

import numpy as np
import pytest
import torch

from labutils.core import checks


def test_every_error_of_a_person_is_a_labutils_error_and_a_builtin_one():
    for error, builtin in [
        (checks.InputError, ValueError),
        (checks.ConfigError, ValueError),
        (checks.DataError, ValueError),
        (checks.WeightsError, ValueError),
        (checks.NumericsError, ArithmeticError),
    ]:
        assert issubclass(error, checks.LabutilsError)
        assert issubclass(error, builtin)


def test_require_shape_gives_the_size_of_each_letter():
    assert checks.require_shape("x", torch.zeros(2, 3, 4, 5), "BR[D]HW") == {"B": 2, "R": 3, "H": 4, "W": 5}
    assert checks.require_shape("x", torch.zeros(2, 3, 6, 4, 5), "BR[D]HW", D=6)["D"] == 6


def test_require_shape_names_the_array_and_the_letters():
    with pytest.raises(checks.InputError, match=r"masks has shape \(2, 3\); wanted axes \(BRHW\)"):
        checks.require_shape("masks", np.zeros((2, 3)), "BRHW")
    with pytest.raises(checks.InputError, match="wanted B = 3"):
        checks.require_shape("masks", np.zeros((2, 3)), "BR", B=3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1, 1.1])
def test_unit_range_refuses(value):
    with pytest.raises(checks.InputError, match="image"):
        checks.require_unit_range("image", np.array([0.5, value], np.float32))


def test_unit_range_takes_its_ends_and_empty_arrays():
    assert checks.require_unit_range("image", np.array([0.0, 1.0])) is None
    assert checks.require_unit_range("image", torch.zeros(0)) is None


def test_fewer_samples_than_one_and_shared_chance_are_refused():
    assert checks.require_draws(1, torch.Generator()) is None
    with pytest.raises(checks.InputError, match="n is 0; wanted one sample or more"):
        checks.require_draws(0, torch.Generator())
    for other, kind in ((None, "NoneType"), (np.random.default_rng(0), "Generator"), (0, "int")):
        with pytest.raises(checks.InputError, match=f"rng is of type {kind}; wanted a torch.Generator"):
            checks.require_draws(1, other)


def test_shapes_that_differ_are_refused():
    with pytest.raises(checks.InputError, match="must be equal"):
        checks.require_same_shape("a", np.zeros(2), "b", np.zeros(3))
