"""One file over the network: cut, resumed, lied to, sent elsewhere. No test leaves this computer."""

import random

import pytest

from labutils.core.checks import DataError
from labutils.data import download
from labutils.data.download import Resuming, require_address
from tests.data.serving import Answer, serving

BODY = random.Random(0).randbytes(300_000)
OTHER = random.Random(1).randbytes(300_000)
TAG = {"ETag": '"one"'}


@pytest.fixture
def server():
    with serving() as running:
        yield running


@pytest.fixture
def get(tmp_path):
    """Downloads an address; what is kept between calls lies in the test's folder."""

    def run(url, *, sum_known=True, **settings):
        whole = tmp_path / "whole"
        Resuming(tmp_path / "part", sum_known=sum_known, **settings)(url, str(whole))
        return whole.read_bytes()

    return run


def left(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives(server, get, tmp_path):
    told = []
    url = server.says("/file", BODY)
    assert get(url, progress=lambda done, total: told.append((done, total))) == BODY
    assert told[-1] == (len(BODY), len(BODY))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert left(tmp_path) == ["whole"]
    headers = server.asked[0][1]
    assert headers["Accept-Encoding"] == "identity"
    assert headers["User-Agent"].startswith("labutils/")


@pytest.mark.parametrize("percent", [1, 50, 99])
@pytest.mark.parametrize("sum_known", [True, False])
def test_a_cut_file_is_continued_at_once(server, get, percent, sum_known):
    cut = len(BODY) * percent // 100
    url = server.says("/file", Answer(body=BODY, cut_at=cut, headers=TAG), Answer(body=BODY, headers=TAG))
    assert get(url, sum_known=sum_known) == BODY
    assert server.ranges() == [None, f"bytes={cut}-"]
    assert server.asked[1][1]["If-Range"] == '"one"'


@pytest.mark.parametrize("percent", [1, 50, 99])
def test_a_cut_file_is_continued_by_the_next_command(server, get, tmp_path, percent):
    cut = len(BODY) * percent // 100
    url = server.says("/file", Answer(body=BODY, cut_at=cut, headers=TAG), Answer(body=BODY, cut_at=cut, headers=TAG))
    with pytest.raises(DataError, match="breaks off at once"):
        get(url)
    assert (tmp_path / "part").read_bytes() == BODY[:cut]
    server.says("/file", Answer(body=BODY, headers=TAG))
    assert get(url) == BODY
    assert server.ranges()[-1] == f"bytes={cut}-"
    assert left(tmp_path) == ["whole"]


def test_a_file_that_is_cut_again_and_again_is_given_up_and_kept(server, get, tmp_path):
    url = server.says("/file", *[Answer(body=BODY, cut_at=n * 30_000) for n in range(1, 10)], BODY)
    with pytest.raises(DataError, match="broke off 8 times"):
        get(url)
    assert (tmp_path / "part").read_bytes() == BODY[:240_000]
    assert get(url) == BODY


BAD_RESUMES = {
    "ignores the range": Answer(body=BODY, ranges=False, headers=TAG),
    "another start": Answer(body=BODY, headers=TAG, content_range="bytes 0-299999/300000"),
    "another end": Answer(body=BODY, headers=TAG, content_range="bytes 100000-200000/300000"),
    "another size": Answer(body=BODY, headers=TAG, content_range="bytes 100000-399999/400000"),
    "no size": Answer(body=BODY, headers=TAG, content_range="bytes 100000-299999/*"),
    "numbers without end": Answer(body=BODY, headers=TAG, content_range=f"bytes 100000-299999/{'9' * 5000}"),
    "no word of the range": Answer(body=BODY, headers=TAG, content_range=""),
    "another file": Answer(body=OTHER, headers={"ETag": '"two"'}, confirms=False),
}


@pytest.mark.parametrize("second", BAD_RESUMES.values(), ids=BAD_RESUMES)
@pytest.mark.parametrize("sum_known", [True, False])
def test_a_server_that_does_not_continue_is_asked_for_the_whole(server, get, second, sum_known):
    url = server.says("/file", Answer(body=BODY, cut_at=100_000, headers=TAG), second, Answer(body=BODY, headers=TAG))
    assert get(url, sum_known=sum_known) == BODY
    assert server.ranges() == [None, "bytes=100000-", None][: 2 if not second.ranges else 3]


def test_a_file_that_changed_meanwhile_is_fetched_anew(server, get):
    url = server.says(
        "/file", Answer(body=BODY, cut_at=100_000, headers=TAG), Answer(body=OTHER, headers={"ETag": '"two"'})
    )
    assert get(url, sum_known=False) == OTHER


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"weak"'}])
def test_without_a_mark_and_a_sum_nothing_is_continued(server, get, headers):
    url = server.says("/file", Answer(body=BODY, cut_at=100_000, headers=headers), Answer(body=BODY, headers=headers))
    assert get(url, sum_known=False) == BODY
    assert server.ranges() == [None, None]


def test_a_part_of_another_address_is_continued_only_with_a_sum(server, get, tmp_path):
    one = server.says("/one", Answer(body=BODY, cut_at=100_000, headers=TAG))
    two = server.says("/two", BODY)
    with pytest.raises(DataError):
        get(one)
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert get(two, sum_known=False) == BODY
    assert server.asked[-1][1].get("Range") is None
    for name, content in kept.items():
        (tmp_path / name).write_bytes(content)
    assert get(two) == BODY
    assert server.asked[-1][1]["Range"] == "bytes=100000-"
    assert "If-Range" not in server.asked[-1][1]


@pytest.mark.parametrize("damage", ["", "[]", '{"url": 1}'])
def test_a_part_of_unknown_origin_is_not_continued(server, get, tmp_path, damage):
    (tmp_path / "part").write_bytes(OTHER[:1000])
    (tmp_path / "part.json").write_text(damage)
    assert get(server.says("/file", BODY)) == BODY
    assert server.ranges() == [None]


def test_old_bytes_never_pass_for_those_of_a_new_origin(server, get, tmp_path, monkeypatch):
    """The worst instant to be stopped at: between the answer of a server and its first bytes."""
    with pytest.raises(DataError):
        get(server.says("/old", Answer(body=OTHER, cut_at=100_000, headers=TAG)), sum_known=False)

    def stopped(*_):
        raise KeyboardInterrupt

    url = server.says("/file", Answer(body=BODY, headers=TAG))
    for moment in ("_write_origin", "_continues"):
        monkeypatch.setattr(download, moment, stopped)
    with pytest.raises(KeyboardInterrupt):
        get(url, sum_known=False)
    monkeypatch.undo()
    assert (tmp_path / "part").read_bytes() == b""
    assert get(url, sum_known=False) == BODY


def test_a_part_that_is_longer_than_the_file_is_dropped(server, get, tmp_path):
    with pytest.raises(DataError):
        get(server.says("/file", Answer(body=OTHER, cut_at=200_000, length=400_000)))
    assert get(server.says("/file", BODY[:1000])) == BODY[:1000]
    assert server.ranges()[-2:] == ["bytes=200000-", None]


def test_the_bytes_are_taken_as_they_are_sent(server, get):
    """A .gz file that a server calls gzip-encoded would be unpacked by a browser."""
    import gzip

    packed = gzip.compress(BODY[:1000])
    assert get(server.says("/file", Answer(body=packed, headers={"Content-Encoding": "gzip"}))) == packed


def test_a_file_without_a_length_arrives(server, get):
    assert get(server.says("/file", Answer(body=BODY, length=-1))) == BODY


def test_a_length_that_is_too_large_is_a_cut(server, get, tmp_path):
    url = server.says("/file", Answer(body=BODY, length=len(BODY) + 1))
    with pytest.raises(DataError, match="broke off 8 times"):
        get(url)
    assert not (tmp_path / "whole").exists()


@pytest.mark.parametrize("status", [403, 404, 500, 503, 206, 304])
def test_an_error_of_the_server_is_one_sentence_and_leaves_nothing(server, get, tmp_path, status):
    with pytest.raises(DataError, match=rf"/file answers {status} "):
        get(server.says("/file", Answer(body=b"<html>", status=status)))
    assert left(tmp_path) == []
    assert len(server.asked) == 1


def test_an_error_of_the_server_keeps_the_part(server, get, tmp_path):
    url = server.says("/file", Answer(body=BODY, cut_at=1000), Answer(status=500))
    with pytest.raises(DataError, match="answers 500"):
        get(url)
    assert (tmp_path / "part").read_bytes() == BODY[:1000]


def test_a_server_that_is_slow_to_answer_is_given_up(server, get, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUTS_S", (5.0, 0.1))
    with pytest.raises(DataError, match=r"breaks off at once \(Read"):
        get(server.says("/file", Answer(body=BODY, wait_s=0.5)))


def test_an_endless_file_is_stopped(server, get, monkeypatch):
    monkeypatch.setattr(download, "LARGEST_BYTES", 100_000)
    with pytest.raises(DataError, match="sends more than 100000 bytes"):
        get(server.says("/file", Answer(body=BODY, length=-1)))


def test_nobody_there_is_one_sentence(get):
    with serving() as gone:
        url = gone.says("/file", BODY)
    with pytest.raises(DataError, match=rf"{url} cannot be reached or breaks off at once \(ConnectionError\)"):
        get(url)


def redirect(to, status=302):
    return Answer(status=status, headers={"Location": to})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_the_same_host_is_followed(server, get, status):
    server.says("/there", BODY)
    assert get(server.says("/file", redirect("/there", status))) == BODY


def test_what_stands_beside_a_redirect_is_not_read(server, get, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUTS_S", (5.0, 0.1))
    server.says("/there", BODY)
    slow = Answer(status=302, headers={"Location": "/there"}, body=BODY, wait_s=0.5)
    assert get(server.says("/file", slow)) == BODY


def test_a_redirect_to_another_host_is_followed_only_if_it_was_named(server, get, tmp_path):
    server.says("/there", BODY)
    other = f"localhost:{server.port}"
    url = server.says("/file", redirect(f"http://{other}/there"))
    with pytest.raises(DataError, match=rf"redirects to {other}, which its card does not name"):
        get(url)
    assert [path for path, _ in server.asked] == ["/file"]
    assert left(tmp_path) == []
    assert get(url, redirect_hosts=(other,)) == BODY


@pytest.mark.parametrize(
    ("to", "text"),
    [
        ("http://example.org/x", "is not https"),
        ("https://example.org/x", "redirects to example.org:443, which"),
        ("ftp://127.0.0.1/x", "is not https"),
        ("file:///etc/passwd", "is not https"),
        ("http://127.0.0.1:1/x", "redirects to 127.0.0.1:1, which"),
        ("//127.0.0.1.example.org/x", "is not https"),
        ("/file", "redirects more than 5 times"),
        ("http://[", "cannot be read"),
        ("http://127.0.0.1:port/", "cannot be read"),
    ],
)
def test_a_redirect_elsewhere_is_refused_before_it_is_followed(server, get, to, text):
    with pytest.raises(DataError, match=text):
        get(server.says("/file", redirect(to)))
    assert {path for path, _ in server.asked} == {"/file"}


def test_a_redirect_cannot_smuggle_a_password_in(server, get):
    with pytest.raises(DataError, match="holds a name or password"):
        get(server.says("/file", redirect(f"http://me:secret@127.0.0.1:{server.port}/x")))


@pytest.mark.parametrize("url", ["https://a.org/x", "http://127.0.0.1:80/x", "http://localhost/x", "http://[::1]:8/x"])
def test_safe_addresses_pass(url):
    require_address(url)


@pytest.mark.parametrize(
    "url",
    ["http://a.org/x", "ftp://a.org/x", "a.org/x", "", "file:///x", "https:///x", "http://127.0.0.1.a.org/x"],
)
def test_other_addresses_are_refused_before_anything_is_sent(url, get, tmp_path):
    with pytest.raises(DataError, match="is not https; nothing is fetched"):
        get(url)
    assert left(tmp_path) == []
