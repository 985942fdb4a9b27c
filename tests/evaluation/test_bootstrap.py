"""Intervals over patients: by hand, against brute force, and how often they hold."""

import itertools
import math

import numpy as np
import pytest
from scipy import optimize, stats

from labutils.core.checks import InputError
from labutils.core.runtime import numpy_rng_for
from labutils.evaluation.bootstrap import bootstrap_mean, expanded_tail, paired_difference


def rng(*purpose):
    return numpy_rng_for(0, *purpose)


def test_mean_counts_and_undefined_cases_by_hand():
    got = bootstrap_mean([1.0, 3.0, np.nan, 5.0], ["a", "a", "b", "c"], rng())
    assert (got.mean, got.cases, got.patients, got.undefined) == (3.0, 3, 2, 1)


def test_the_interval_agrees_with_every_possible_resample():
    values, patients = np.array([0.0, 1.0, 4.0, 5.0, 9.0]), ["a", "a", "b", "c", "c"]
    groups = [values[:2], values[2:3], values[3:]]
    means = [np.concatenate(drawn).mean() for drawn in itertools.product(groups, repeat=3)]
    tail = expanded_tail(3, 0.8)
    wanted = np.quantile(means, [tail, 1 - tail], method="inverted_cdf")
    got = bootstrap_mean(values, patients, rng(), resamples=20_000, level=0.8)
    assert [got.low, got.high] == pytest.approx(wanted, abs=0.35)


def test_cases_of_one_patient_count_as_one_witness():
    """Forty copies of the same eight numbers are no more evidence than the eight."""
    values = np.linspace(0, 1, 8)
    alone = bootstrap_mean(values, [str(i) for i in range(8)], rng("x"))
    copied = bootstrap_mean(np.repeat(values, 40), np.repeat(np.arange(8), 40).astype(str), rng("x"))
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high))


def test_the_tail_by_hand():
    """Two patients and level 1/2: Student's t with 1 degree of freedom is Cauchy's, its lower quartile is -1."""
    assert expanded_tail(2, 0.5) == pytest.approx((1 + math.erf(-1)) / 2)  # Phi(-sqrt 2)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_tail_shrinks_to_the_plain_one_with_many_patients(level):
    tails = [expanded_tail(n, level) for n in (2, 3, 8, 30, 1000)]
    assert tails == sorted(tails)
    assert tails[-1] == pytest.approx((1 - level) / 2, rel=0.01)


def test_it_is_as_wide_as_the_t_interval():
    values = rng("width").normal(size=12)
    got = bootstrap_mean(values, [str(i) for i in range(12)], rng(), resamples=40_000)
    wanted = stats.t.interval(0.95, 11, values.mean(), stats.sem(values))
    assert (got.low, got.high) == pytest.approx(wanted, abs=0.05 * (wanted[1] - wanted[0]))


def test_it_never_leaves_the_range_of_the_scores():
    got = bootstrap_mean([1.0, 1.0, 1.0, 0.2], list("abcd"), rng())
    assert 0.2 <= got.low < got.mean < got.high <= 1.0


@pytest.mark.parametrize("patients", [8, 30])
def test_it_covers_the_truth_about_as_often_as_it_says(patients):
    """A planted mean of 0; the binomial error of 400 trials is about 0.01 for each."""
    hits = plain = 0
    for trial in range(400):
        chance = rng("coverage", patients, trial)
        values = (chance.normal(size=(patients, 1)) + 0.1 * chance.normal(size=(patients, 3))).ravel()
        names = np.repeat(np.arange(patients), 3).astype(str)
        got = bootstrap_mean(values, names, chance, resamples=400)
        hits += got.low <= 0 <= got.high
        inner = bootstrap_mean(values, names, chance, resamples=400, level=plain_level(patients))
        plain += inner.low <= 0 <= inner.high
    assert 0.92 <= hits / 400 <= 0.975
    assert plain < hits


def plain_level(patients):
    """The level whose expanded tail is the plain one of 95 %: it gives the percentile interval."""
    return optimize.brentq(lambda level: expanded_tail(patients, level) - 0.025, 0.5, 0.95)


def test_one_patient_tells_nothing_of_the_spread():
    got = bootstrap_mean([1.0, 2.0], ["a", "a"], rng())
    assert got.mean == 1.5
    assert np.isnan([got.low, got.high]).all()
    assert not got.excludes(0)


def test_no_value_at_all():
    got = bootstrap_mean([np.nan], ["a"], rng())
    assert np.isnan(got.mean)
    assert got.undefined == 1


def test_a_paired_difference_is_sharper_than_two_intervals():
    chance = rng("pairs")
    hard = chance.normal(size=40)
    patients = [str(i) for i in range(40)]
    a, b = hard + 0.3, hard + 0.05 * chance.normal(size=40)
    got = paired_difference(a, b, patients, rng())
    assert got.mean == pytest.approx(0.3, abs=0.05)
    assert got.excludes(0)
    assert bootstrap_mean(a, patients, rng()).low < bootstrap_mean(b, patients, rng()).high


def test_the_same_generator_gives_the_same_interval():
    assert bootstrap_mean([1.0, 2, 4], list("abc"), rng()) == bootstrap_mean([1.0, 2, 4], list("abc"), rng())


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_refusals(level):
    with pytest.raises(InputError, match="level"):
        bootstrap_mean([1.0], ["a"], rng(), level=level)
    with pytest.raises(InputError, match="patients"):
        bootstrap_mean([1.0], ["a", "b"], rng())
    with pytest.raises(InputError, match="same cases"):
        paired_difference([1.0], [1.0, 2.0], ["a"], rng())
