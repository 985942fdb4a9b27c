import dataclasses
import json

import pytest

from labutils.core.checks import InputError
from labutils.core.config import from_dict, to_dict
from labutils.core.files import sha256_of_file
from labutils.core.runtime import data_root
from labutils.data import catalog
from labutils.data.cards import Card, Download, require_identified


def test_identified_raters_pass_and_exchangeable_ones_are_refused_by_name(toy_card):
    require_identified(toy_card(identified=True), "a confusion matrix per rater")
    with pytest.raises(InputError, match=r"^a confusion matrix per rater needs rater k .* of 'toy' are exchangeable"):
        require_identified(toy_card(identified=False), "a confusion matrix per rater")


def test_a_card_survives_json(toy_card):
    card = toy_card(quirks=("one", "two"), manifests=(("train", "ab"),), spacing_known=False)
    assert from_dict(Card, to_dict(card)) == card


def test_a_card_with_downloads_survives_json(toy_card):
    downloads = (
        Download(urls=("https://a.org/x", "https://b.org/x"), to="toy/x", sha256="0" * 64, redirect_hosts=("c.org",)),
        Download(urls=("https://a.org/y",), to="toy", archive=True, below="*/data", accept_licence=True),
    )
    card = toy_card(downloads=downloads)
    assert from_dict(Card, json.loads(json.dumps(to_dict(card)))) == card


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"urls": ()}, "wanted an address"),
        ({"to": ""}, "below the folder of all data"),
        ({"to": "/etc/x"}, "below the folder of all data"),
        ({"to": "toy/../../x"}, "below the folder of all data"),
        ({"sha256": "abc"}, "sha256 is 'abc'; wanted 64 digits"),
        ({"sha256": "A" * 64}, "lower case"),
        ({"below": "data"}, "it is no archive"),
    ],
)
def test_a_download_that_says_too_little_is_refused(changes, text):
    with pytest.raises(InputError, match=text):
        Download(**({"urls": ("https://a.org/x",), "to": "toy/x"} | changes))


@pytest.mark.parametrize("name", catalog.names())
def test_what_is_downloaded_lies_where_the_catalog_looks(name):
    record = catalog.dataset(name)
    for download in record.card.downloads:
        assert download.to.split("/")[0] in record.folders
        assert all(url.startswith("https://") for url in download.urls)


@pytest.mark.data
@pytest.mark.parametrize("name", catalog.names())
def test_the_sums_are_those_of_the_real_files(name):
    for download in catalog.card(name).downloads:
        if download.sha256:
            assert sha256_of_file(data_root() / download.to) == download.sha256


def test_a_card_is_frozen(toy_card):
    with pytest.raises(dataclasses.FrozenInstanceError):
        toy_card().name = "other"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"licence": ""}, "licence is empty"),
        ({"classes": 1}, "wanted 2 or more"),
        ({"splits": ()}, "splits is empty"),
        ({"manifests": (("dev", "ab"),)}, "'dev', which is no split"),
    ],
)
def test_a_card_that_says_too_little_is_refused(toy_card, changes, text):
    with pytest.raises(InputError, match=text):
        toy_card(**changes)
