"""One line of JSON an event, trace ids included, whoever logs it and from whatever thread."""

import json
import logging
import threading
from collections.abc import Iterator

import pytest
import structlog
from typing_extensions import override

from steadyline.settings import TelemetrySettings
from steadyline.telemetry.logs import configure_logs, get_logger
from steadyline.telemetry.tracing import span
from tests.support.terminal import LEAVES_ITS_PLACE

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def start(log_format: str = "json", level: str = "info") -> None:
    settings = TelemetrySettings.model_validate({"steadyline_log_format": log_format, "log_level": level})
    configure_logs("scorer", settings)


def lines(capsys: Capture) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_an_event_is_one_line_of_json_with_its_fields(capsys: Capture) -> None:
    start()
    get_logger("x").info("frame_scored", frame="c1/1/7", score=0.5)
    (line,) = lines(capsys)
    assert line["event"] == "frame_scored"
    assert (line["frame"], line["score"], line["level"]) == ("c1/1/7", 0.5, "info")
    assert line["service"] == "scorer"
    assert str(line["timestamp"]).endswith("Z")


def test_the_ids_of_the_enclosing_span_are_in_the_line(capsys: Capture) -> None:
    start()
    with span("score") as current:
        get_logger("x").info("inside")
    get_logger("x").info("outside")
    inside, outside = lines(capsys)
    assert f"00-{inside['trace_id']}-{inside['span_id']}-01" == current.traceparent
    assert "trace_id" not in outside


def test_another_thread_names_the_service_too(capsys: Capture) -> None:
    start()
    thread = threading.Thread(target=lambda: get_logger("x").info("elsewhere"))
    thread.start()
    thread.join()
    assert lines(capsys)[0]["service"] == "scorer"


def test_a_library_logs_in_the_same_form(capsys: Capture) -> None:
    start()
    logging.getLogger("botocore").warning("slow by %d ms", 7, extra={"shard": "b"})
    (line,) = lines(capsys)
    assert (line["event"], line["level"], line["shard"]) == ("slow by 7 ms", "warning", "b")


def test_the_retries_of_a_client_library_are_kept_out(capsys: Capture) -> None:
    start()
    logging.getLogger("kafka.client").error("connection refused")
    assert lines(capsys) == []


def test_what_is_below_the_level_is_left_out(capsys: Capture) -> None:
    start(level="warning")
    get_logger("x").info("quiet")
    get_logger("x").warning("loud")
    assert [line["event"] for line in lines(capsys)] == ["loud"]


def test_an_exception_is_a_field_and_not_lines_of_its_own(capsys: Capture) -> None:
    start()
    try:
        raise RuntimeError("on purpose")
    except RuntimeError:
        get_logger("x").exception("it_broke")
    (line,) = lines(capsys)
    assert "RuntimeError: on purpose" in str(line["exception"])


def test_a_terminal_gets_readable_lines_without_local_variables(capsys: Capture) -> None:
    start("console")
    secret = "hunter" + "2"
    try:
        raise RuntimeError(len(secret))
    except RuntimeError:
        get_logger("x").exception("it_broke", camera="c1")
    text = capsys.readouterr().err
    assert "it_broke" in text
    assert "camera=c1" in text
    assert "hunter2" not in text


def test_a_terminal_is_not_moved_by_what_is_logged(capsys: Capture) -> None:
    start("console")
    try:
        raise RuntimeError("sent \x1b[2J")
    except RuntimeError as error:
        get_logger("x").exception("it_broke", error=str(error), camera="c\n1")
    logging.getLogger("a.library").warning("received \x1b[31m")
    text = capsys.readouterr().err
    assert "\x1b[2J" not in text
    assert "\x1b[31m" not in text
    assert "error='sent ·[2J'" in text
    assert "RuntimeError: sent ·[2J" in text
    assert "camera=c·1" in text
    assert "received ·[31m" in text


class _HostileName:
    """An object of a library, whose repr holds what came from the wire."""

    def __init__(self, character: str) -> None:
        self._character = character

    @override
    def __repr__(self) -> str:
        return f"<{self._character}forged>"


@pytest.mark.parametrize("character", LEAVES_ITS_PLACE, ids=ascii)
@pytest.mark.parametrize("log_format", ["console", "json"])
def test_no_character_of_what_is_logged_leaves_its_place(
    capsys: Capture, log_format: str, character: str
) -> None:
    start(log_format)
    hostile = f"x{character}forged"
    fields = {"text": hostile, hostile: 1, "list": [hostile], "object": _HostileName(character)}
    try:
        raise RuntimeError(hostile)
    except RuntimeError:
        get_logger("x").warning(hostile, exc_info=True, **fields)
    logging.getLogger("a.library").warning("received %s", hostile, extra={"more": hostile})
    text = capsys.readouterr().err
    assert text.replace("\n", "").isprintable()
    assert not any(line.startswith("forged") for line in text.split("\n"))
    assert text.count("forged") >= 7
