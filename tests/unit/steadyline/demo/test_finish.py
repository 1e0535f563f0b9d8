"""The end of the demonstration says what its summary holds."""

import sys
from datetime import timedelta

import pytest

from steadyline.demo.finish import answer_of, show
from steadyline.demo.run import DemoFailed
from steadyline.terminal import PlainConsole

SUMMARY = {
    "accounting": dict.fromkeys(
        ("captured", "scored", "dropped", "dead_lettered", "in_flight", "missing", "doubled", "out_of_order"),
        0,
    ),
    "swap": {"to_version": 2, "accepted": True, "reason": "better"},
    "latency_ms": {"p50": 20.0, "p99": 90.0},
    "alerts": {
        "incidents": 5,
        "incidents_by_kind": {"anomaly": 4, "camera_down": 1},
        "deliveries": 9,
        "webhook_verified": 9,
        "webhook_refused": 0,
        "capture_to_alert_ms": {"count": 4, "fastest": 90.0, "p50": 210.0, "p99": 480.0},
        "camera_unplugged": "west-1",
        "camera_down_seconds": 5.5,
        "camera_back_seconds": 4.25,
    },
    "models": [],
    "contact_sheet": "anomalous.png",
    "written_to": "var/demo",
}


def test_alerts_are_told_beside_the_account() -> None:
    console = PlainConsole(record=True, width=200)
    show(SUMMARY, console)
    said = console.export_text()
    for sentence in (
        "5 incidents: anomaly 4, camera_down 1",
        "9 deliveries; 9 webhooks with a right signature, 0 without",
        "capture to alert p50 210.0 ms, p99 480.0 ms, fastest 90.0 ms over 4 incidents",
        "west-1 was unplugged, alerted after 5.5 s and resolved 4.25 s after its return",
    ):
        assert sentence in said


def test_a_command_that_takes_too_long_or_fails_is_told_and_is_no_bug() -> None:
    sleeping = [sys.executable, "-P", "-c", "import threading; threading.Event().wait(60)"]
    with pytest.raises(DemoFailed, match=r"not done within 0:00:00\.2.*other work"):
        answer_of(sleeping, {}, timedelta(seconds=0.2))
    with pytest.raises(DemoFailed, match=r"failed with 3"):
        answer_of([sys.executable, "-P", "-c", "raise SystemExit(3)"], {})
    assert answer_of([sys.executable, "-P", "-c", "print(5)"], {}) == "5\n"
