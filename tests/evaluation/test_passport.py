"""Passports are complete, and incomplete ones are refused."""

import subprocess

import pytest
import torch

from labutils.core.checks import DataError
from labutils.evaluation import passport
from tests.discs import disc_store


def make():
    return passport.make_passport(
        config={"model": "unet"},
        data=[{"name": "discs", "manifest": "0"}],
        seed=1,
        device=torch.device("cpu"),
        definitions=["b/1", "a/1"],
        weights_sha256=None,
    )


def test_a_passport_has_every_field():
    made = make()
    assert set(made) == set(passport.FIELDS)
    passport.check_passport(made, "result")
    assert made["definitions"] == ["a/1", "b/1"]
    assert made["packages"]["torch"].startswith(torch.__version__.split("+")[0])
    assert "python" in made["packages"]
    assert made["device"].startswith("CPU")


@pytest.mark.parametrize("field", passport.FIELDS)
def test_a_missing_field_is_named(field):
    made = make()
    del made[field]
    with pytest.raises(DataError, match=f"result.json: its passport lacks '{field}'"):
        passport.check_passport(made, "result.json")


def test_no_passport_at_all_is_refused():
    with pytest.raises(DataError, match="carries no passport"):
        passport.check_passport(None, "result.json")


def test_the_commit_is_that_of_the_repository_or_unknown(monkeypatch):
    commit = passport.code_version()["commit"]
    assert commit is None or len(commit) == 40

    def no_git(*_, **__):
        raise subprocess.CalledProcessError(128, "git")

    monkeypatch.setattr(subprocess, "run", no_git)
    assert passport.code_version() == {"commit": None, "changed": None}


def test_a_package_that_is_not_there_is_left_out():
    assert "no-such-package" not in passport.package_versions(["no-such-package"])


def test_a_store_is_described_by_its_content():
    store = disc_store(4)
    said = passport.describe_store(store)
    assert said == {
        "name": "discs",
        "split": "train",
        "source": "memory",
        "cases": 4,
        "patients": 2,
        "manifest": store.manifest,
    }
