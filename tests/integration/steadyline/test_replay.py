"""Refused frames sent through a real scorer again: the account of every frame stays whole."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from steadyline.picture import encode_png
from steadyline.servers import Addresses
from steadyline.service import EXIT_OK
from tests.support.models import a_plain_picture
from tests.support.scorer_line import ScorerLine

pytestmark = pytest.mark.servers


@pytest.fixture
def floor(tmp_path: Path, addresses: Addresses) -> Iterator[ScorerLine]:
    """A line of its own on the shared servers."""
    made = ScorerLine(tmp_path, addresses)
    yield made
    made.close()


def a_large_picture() -> bytes:
    """Return a PNG of more bytes than the line takes."""
    noise = np.random.default_rng(1).integers(0, 256, (640, 640), np.uint8)
    return encode_png(noise)


def fate_of(floor: ScorerLine, frame: str) -> str:
    _, told = floor.ask("trace", frame)
    return str(told["fate"])


def test_what_was_refused_is_scored_once_its_cause_is_mended_or_refused_again(floor: ScorerLine) -> None:
    floor.put_in_service()
    first = floor.start("a")
    first.until_ready()
    floor.send(8)
    large = floor.send_picture("east-0", a_large_picture())
    cut_off = floor.send_picture("east-1", encode_png(a_plain_picture(32))[:-16])
    floor.send(8)
    floor.until_accounted().assert_intact()
    status, listed = floor.ask("dlq", "list")
    reasons = {letter["frame"]: letter["reason"] for letter in listed["letters"]}
    assert (status, reasons) == (EXIT_OK, {large: "picture_too_large", cut_off: "undecodable_picture"})
    floor.assert_audit_intact()
    assert first.stop() == EXIT_OK

    floor.line_file.write_text(floor.line_file.read_text().replace("max_bytes: 200000", "max_bytes: 2000000"))
    status, done = floor.ask("dlq", "replay", "--all")
    assert (status, {letter["frame"] for letter in done["replayed"]}) == (EXIT_OK, {large, cut_off})
    assert fate_of(floor, large) == "waiting"
    floor.assert_audit_intact(in_flight=2)

    second = floor.start("a")
    floor.until_scored(20)
    assert (fate_of(floor, large), fate_of(floor, cut_off)) == ("scored", "dead-lettered")
    floor.assert_audit_intact()

    status, done = floor.ask("dlq", "replay", "--all")
    assert status == EXIT_OK
    assert [letter["frame"] for letter in done["replayed"]] == [cut_off]
    reasons = {one["place"]: one["why"] for one in done["left_out"]}
    assert [" was scored " in why or " was refused again " in why for why in reasons.values()] == [True] * 2
    floor.until_scored(21)
    _, told = floor.ask("trace", cut_off)
    assert [letter["reason"] for letter in told["dead_letters"]] == ["undecodable_picture"] * 3
    floor.assert_audit_intact()
    assert second.stop() == EXIT_OK
