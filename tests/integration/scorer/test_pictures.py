"""Bad and odd pictures through a real scorer: scored, or a dead letter with its word and its bytes."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from steadyline.picture import encode_jpeg, encode_png
from steadyline.service import EXIT_OK
from tests.support.models import a_defective_picture
from tests.support.pictures import hostile, legal
from tests.support.scorer_line import ScorerLine

pytestmark = pytest.mark.servers

PNG = encode_png(a_defective_picture(32))

# headers that replace the true ones, None takes one away → reason
WRONG_HEADERS: list[tuple[dict[str, str | None], str]] = [
    ({"product": "unknown", "ce_subject": "unknown"}, "unknown_camera"),
    ({"product": "unknown"}, "malformed_headers"),
    ({"product": None}, "malformed_headers"),
    ({"product": "../../etc"}, "malformed_headers"),
    ({"content-type": "text/html"}, "malformed_headers"),
    ({"content-type": "image/tiff"}, "malformed_headers"),
    ({"content-type": None}, "malformed_headers"),
    ({"ce_time": "yesterday"}, "malformed_headers"),
    ({"ce_time": None}, "malformed_headers"),
    ({"ce_time": "0001-01-01T00:00:00+01:00"}, "malformed_headers"),  # in UTC there was no such year
    ({"ce_type": "com.example.other"}, "malformed_headers"),
    ({"ce_source": "/elsewhere"}, "malformed_headers"),
    ({"ce_source": "/steadyline/another/east-1"}, "foreign_line"),
    ({"ce_source": "/steadyline/test/east-0"}, "malformed_headers"),
    ({"ce_subject": None}, "malformed_headers"),
    ({"epoch": "-1"}, "malformed_headers"),
    ({"epoch": None}, "malformed_headers"),
    ({"sequence": "9" * 30}, "malformed_headers"),
    ({"camera": "east-9"}, "malformed_headers"),
]


@dataclass
class Expected:
    """What each refused frame must come back with, by frame id."""

    letters: dict[str, tuple[str, bytes]] = field(default_factory=dict)

    def assert_found(self, floor: ScorerLine) -> None:
        """Check reasons, bytes and numbers of the dead letters that name a frame."""
        found = {name: letter for letter in floor.refused if (name := floor.frame_of(letter))}
        assert found.keys() == self.letters.keys()
        for name, (reason, data) in self.letters.items():
            assert (found[name].value or b"") == data, name
            assert dict(found[name].headers)["reason"].decode() == reason, name

    def reasons(self) -> list[str]:
        return [reason for reason, _ in self.letters.values()]


def test_every_hostile_frame_becomes_one_counted_dead_letter_and_stops_nothing(floor: ScorerLine) -> None:
    floor.put_in_service()
    scorer = floor.start("a")
    scorer.until_ready()
    expected = Expected()
    floor.send(40)
    for _, data, reason in hostile():
        expected.letters[floor.send_picture("east-0", data)] = (reason, data)
    for headers, reason in WRONG_HEADERS:
        expected.letters[floor.send_picture("east-1", PNG, headers)] = (reason, PNG)
    for key in (b"east-0", b"somebody-else", b"x" * (1 << 20)):
        expected.letters[floor.send_under(key, "east-1", PNG)] = ("malformed_headers", PNG)
    expected.letters[floor.send_picture("west-1", PNG)] = ("unknown_camera", PNG)
    floor.send_stranger(PNG, ())
    floor.send_stranger(None, (("ce_id", b"\xff\xfe"),))
    floor.send_stranger(None, ())
    floor.send(40)
    floor.until_accounted().assert_intact()
    expected.assert_found(floor)
    strangers = [letter for letter in floor.refused if not floor.frame_of(letter)]
    assert sorted(dict(letter.headers)["reason"] for letter in strangers) == [b"malformed_headers"] * 3
    assert sorted(letter.value or b"" for letter in strangers) == [b"", b"", PNG]
    reasons = expected.reasons() + ["malformed_headers"] * 3
    for reason in set(reasons):
        assert scorer.metric("loop_dead_letters_total", reason=reason) == reasons.count(reason)
    assert scorer.readiness() == {}
    assert scorer.stop() == EXIT_OK
    floor.assert_audit_intact(strangers=3)


def test_a_picture_of_any_shape_within_the_limits_is_scored_or_refused_and_stops_nothing(
    floor: ScorerLine,
) -> None:
    floor.put_in_service()
    scorer = floor.start("a")
    shapes = [(1, 1), (1, 1_000_000), (1_000_000, 1), (2, 500_000), (3, 60_000), (1000, 1000), (1, 33)]
    for height, width in shapes:
        floor.send_picture("east-0", encode_png(np.zeros((height, width), np.uint8)))
    floor.send(20)
    floor.until_accounted().assert_intact()
    assert scorer.stop() == EXIT_OK
    floor.assert_audit_intact()


def test_every_legal_form_of_a_picture_is_scored_as_the_same_picture(floor: ScorerLine) -> None:
    floor.put_in_service()
    scorer = floor.start("a")
    picture = a_defective_picture(32)
    forms = {floor.send_picture("east-0", data): name for name, data in legal(picture)}
    forms[floor.send_picture("east-1", encode_jpeg(picture, 100), {"content-type": "image/png"})] = "lying"
    floor.until_accounted().assert_intact()
    assert floor.refused == []
    for score in floor.scores():
        form = forms[score.frame]
        assert (score.verdict, score.peak.x, score.peak.y) == ("anomalous", 0.125, 0.125), form
        assert score.score == pytest.approx(0.5, abs=0.01), form
        kept = score.picture_uri or ""
        is_jpeg = floor.store.get(kept).startswith(b"\xff\xd8")
        assert kept.endswith(".jpg" if is_jpeg else ".png"), form
    assert scorer.stop() == EXIT_OK
    floor.assert_audit_intact()


def test_a_storm_of_poison_is_told_and_stops_no_scorer(floor: ScorerLine) -> None:
    floor.put_in_service()
    floor.send(20)
    for _ in range(600):
        floor.send_picture("east-0", b"no picture")
    floor.send(20)
    scorer = floor.start("a", SCORER_STORM_FRAMES="50")
    floor.until_accounted().assert_intact()
    assert len(floor.refused) == 600
    assert scorer.readiness()["dead-letters"] == "dead_letter_storm"
    for word in ("dead_letter_storm", "unsupported_format", "steadyline dlq list"):
        assert word in scorer.text()
    assert scorer.stop() == EXIT_OK
    floor.assert_audit_intact()
