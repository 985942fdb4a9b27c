"""A reel in a browser: it plays, stops by itself, plays again when asked, and stands still for whom motion disturbs."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from labutils.viz.reels import reel

FRAME_MS = 500
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


def watched(page: Page) -> list[int]:
    """Grays seen from now until the last frame, the last one included; a browser that never gets there fails."""
    seen = [gray(page)]
    for _ in range(200):
        if seen[-1] == LEVELS[-1]:
            return seen
        page.wait_for_timeout(40)
        seen.append(gray(page))
    raise AssertionError(f"the reel never came to its end: {sorted(set(seen))}")


@pytest.mark.parametrize("mode", ["http", "file"])
def test_a_reader_who_asked_for_less_motion_sees_the_first_frame_until_play_is_pressed(visit_toy, written, mode):
    with visit_toy("reel", mode) as (page, record):
        page.wait_for_timeout(FRAME_MS + 200)
        assert gray(page) == LEVELS[0]
        page.get_by_role("button", name="Play").press("Enter")
        watched(page)
        assert (record.external, record.errors) == ([], [])
        assert page.get_by_role("img", name="four grays").count() == 1


def test_a_reel_stops_at_its_last_frame_and_plays_again(browser: Browser, written):
    page = browser.new_page(reduced_motion="no-preference")
    try:
        page.goto((written / "reel.html").as_uri())
        watched(page)
        page.wait_for_timeout(FRAME_MS + 200)
        assert gray(page) == LEVELS[-1]
        page.get_by_role("button", name="Play").click()
        assert set(watched(page)) & set(LEVELS[:-1])
    finally:
        page.close()
