"""A reel in a browser: it plays, stops by itself, plays again when asked, and stands still for whom motion disturbs."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from labutils.viz.reels import reel

FRAME_MS = 150
LEVELS = (0, 80, 160, 240)  # gray of each frame


@pytest.fixture
def written(tmp_path):
    """A page with a reel of four grays, as the folder in which it lies."""
    frames = np.array(LEVELS, dtype=np.uint8)[:, None, None] * np.ones((1, 40, 60), dtype=np.uint8)
    made = reel(frames, "four grays", frame_ms=FRAME_MS)
    (tmp_path / "reel.html").write_text(
        f"<!doctype html><html lang=en><title>reel</title><link rel=icon href=data:,>{made._repr_html_()}"
    )
    return tmp_path


def gray(page: Page) -> int:
    """Gray of the screen where the reel is."""
    shot = page.locator(".lu-reel img").screenshot()
    return int(cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_GRAYSCALE)[20, 30])


def watched(page: Page, seconds: float) -> list[int]:
    """Grays in the order in which they were seen, each once."""
    seen: list[int] = []
    for _ in range(int(seconds / 0.04)):
        if (now := gray(page)) not in seen[-1:]:
            seen.append(now)
        page.wait_for_timeout(40)
    return seen


@pytest.mark.parametrize("mode", ["http", "file"])
def test_a_reader_who_asked_for_less_motion_sees_the_first_frame_until_play_is_pressed(visit_toy, written, mode):
    with visit_toy("reel", mode) as (page, record):
        assert watched(page, 1) == [LEVELS[0]]
        page.get_by_role("button", name="Play").press("Enter")
        assert watched(page, 1.5)[-1] == LEVELS[-1]
        assert (record.external, record.errors) == ([], [])
        assert page.get_by_role("img", name="four grays").count() == 1


def test_a_reel_stops_at_its_last_frame_and_plays_again(browser: Browser, written):
    page = browser.new_page(reduced_motion="no-preference")
    try:
        page.goto((written / "reel.html").as_uri())
        page.wait_for_timeout(len(LEVELS) * FRAME_MS + 400)
        assert watched(page, 1) == [LEVELS[-1]]  # it has stopped
        page.get_by_role("button", name="Play").click()
        again = watched(page, 1.5)
        assert again[-1] == LEVELS[-1]
        assert set(again) & set(LEVELS[:-1])  # it began anew
    finally:
        page.close()
