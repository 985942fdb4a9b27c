import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labutils.core.checks import DataError, InputError
from labutils.data.splits import (
    assert_disjoint,
    cross_validation,
    read_split,
    save_split,
    split_by_patient,
    split_hash,
)

THIRDS = {"train": 0.5, "validate": 0.25, "test": 0.25}
PATIENTS = st.lists(st.text("abc0123456789", min_size=1, max_size=3), min_size=1, max_size=40)


@settings(max_examples=200, deadline=None)
@given(patients=PATIENTS, seed=st.integers(0, 10))
def test_a_split_deals_every_case_once_and_keeps_patients_whole(patients, seed):
    split = split_by_patient(patients, THIRDS, seed)
    assert sorted(i for rows in split.values() for i in rows) == list(range(len(patients)))
    assert all(rows == sorted(rows) for rows in split.values())
    assert_disjoint({name: [patients[i] for i in rows] for name, rows in split.items()})


@settings(max_examples=200, deadline=None)
@given(patients=PATIENTS, newcomers=PATIENTS, seed=st.integers(0, 10))
def test_adding_patients_moves_nobody(patients, newcomers, seed):
    def homes(who):
        split = split_by_patient(who, THIRDS, seed)
        return {who[i]: name for name, rows in split.items() for i in rows}

    before, after = homes(patients), homes(newcomers + patients)
    assert {patient: after[patient] for patient in before} == before


def test_shares_are_met_over_many_patients_and_seeds_differ():
    patients = [f"p{i}" for i in range(4000)]
    split = split_by_patient(patients, THIRDS, 0)
    # 5 standard deviations of a binomial count
    for name, share in THIRDS.items():
        assert abs(len(split[name]) - 4000 * share) < 5 * (4000 * share * (1 - share)) ** 0.5
    assert split_by_patient(patients, THIRDS, 1) != split
    assert split_by_patient(patients, THIRDS, 0) == split


def test_a_split_is_the_same_on_every_machine():
    # first byte of SHA-256 of "0/split/p<i>", by sha256sum: train below 128, validate below 192
    split = split_by_patient([f"p{i}" for i in range(12)], THIRDS, 0)
    assert split == {"train": [0, 1, 3, 4, 6, 10], "validate": [2, 8], "test": [5, 7, 9, 11]}


def test_a_share_of_nothing_gets_nobody_and_a_share_of_all_everybody():
    split = split_by_patient(["a", "b", "a"], {"test": 0.0, "train": 1.0, "spare": 0.0}, 3)
    assert split == {"test": [], "train": [0, 1, 2], "spare": []}


@pytest.mark.parametrize("fractions", [{}, {"train": 0.5}, {"train": 1.5, "test": -0.5}, {"train": float("nan")}])
def test_shares_that_do_not_sum_to_one_are_refused(fractions):
    with pytest.raises(InputError, match="wanted shares that sum to 1"):
        split_by_patient(["a"], fractions, 0)


def test_a_case_without_a_patient_is_refused():
    for split in (lambda p: split_by_patient(p, THIRDS, 0), lambda p: cross_validation(p, 2, 0)):
        with pytest.raises(InputError, match="case 1 has no patient id"):
            split(["a", "", "b"])


@settings(max_examples=200, deadline=None)
@given(patients=PATIENTS, folds=st.integers(2, 5), seed=st.integers(0, 10))
def test_folds_hold_every_case_out_once(patients, folds, seed):
    people = set(patients)
    if len(people) < folds:
        with pytest.raises(InputError, match=f"folds is {folds} for {len(people)} patients"):
            cross_validation(patients, folds, seed)
        return
    pairs = cross_validation(patients, folds, seed)
    assert sorted(i for _, held in pairs for i in held) == list(range(len(patients)))
    sizes = []
    for train, held in pairs:
        assert sorted(train + held) == list(range(len(patients)))
        assert_disjoint({"train": [patients[i] for i in train], "held out": [patients[i] for i in held]})
        sizes.append(len({patients[i] for i in held}))
    assert max(sizes) - min(sizes) <= 1


def test_a_leaking_patient_is_named(toy_store):
    store = toy_store()
    with pytest.raises(DataError, match=r"patient 'p1' is in both train and test \(1 shared in all\)"):
        assert_disjoint({"train": store.subset([0, 1, 2]), "validate": ["p9"], "test": store.subset([3, 4])})
    assert_disjoint({"train": store.subset([0, 1]), "test": store.subset([2, 3])})


def test_the_hash_sees_members_not_their_order():
    first = split_hash({"train": ["a", "b"], "test": ["c"]})
    assert first == split_hash({"test": ["c"], "train": ["b", "a"]})
    assert first != split_hash({"train": ["a"], "test": ["b", "c"]})
    assert split_hash({"train": ["a", "b"]}) != split_hash({"train": ["a,b"]})


def test_a_saved_split_comes_back(tmp_path):
    digest = save_split(tmp_path / "split.json", {"train": ["b", "a"], "test": ["c"]})
    assert read_split(tmp_path / "split.json") == {"train": ("a", "b"), "test": ("c",)}
    assert digest == split_hash({"train": ["a", "b"], "test": ["c"]})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda c: c["splits"]["train"].append("z"), "was changed after it was written"),
        (lambda c: c["splits"].update(test=["b"], train=["a", "c"]), "was changed after it was written"),
        (lambda c: c.pop("sha256"), "was changed after it was written"),
        (lambda c: c.update(splits=[1]), "is not a split file"),
        (lambda c: c["splits"].update(train="ab"), "is not a split file"),
        (lambda c: c["splits"].update(train=[1]), "is not a split file"),
        (
            lambda c: c.update(splits={"train": ["a"], "test": ["a"]}, sha256=split_hash({"train": "a", "test": "a"})),
            "both",
        ),
    ],
)
def test_a_split_file_that_was_changed_is_refused(tmp_path, change, text):
    path = tmp_path / "split.json"
    save_split(path, {"train": ["a", "b"], "test": ["c"]})
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=text):
        read_split(path)


def test_missing_broken_and_odd_files_are_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_split(tmp_path / "none.json")
    for text, reason in (("{", "not valid JSON"), ("[]", "is not a split file")):
        (tmp_path / "odd.json").write_text(text)
        with pytest.raises(DataError, match=reason):
            read_split(tmp_path / "odd.json")


def test_an_overlapping_split_is_not_written(tmp_path):
    with pytest.raises(DataError, match="patient 'a' is in both"):
        save_split(tmp_path / "split.json", {"train": ["a"], "test": ["a"]})
    assert list(tmp_path.iterdir()) == []
