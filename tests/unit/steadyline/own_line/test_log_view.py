"""The logs of several services as one."""

import io
import json
from pathlib import Path

from steadyline.own_line.log_view import LogView, readable
from steadyline.terminal import PlainConsole


def a_line(event: str, **fields: object) -> str:
    return json.dumps({"event": event, "level": "info", "timestamp": "2026-11-29T10:00:00.5Z", **fields})


def test_what_is_appended_is_shown_once_and_whole(tmp_path: Path) -> None:
    out, log = io.StringIO(), tmp_path / "scorer.log"
    log.write_text(a_line("of_an_earlier_run") + "\n")
    view = LogView(PlainConsole(file=out, width=200))
    view.follow("scorer", log)
    view.follow("trainer", tmp_path / "not-there-yet.log")
    whole = a_line("model_in_use", product="cell", version=3) + "\n"
    for part in (whole[:20], whole[20:]):
        with log.open("a") as file:
            file.write(part)
        view.show()
    view.show()
    shown = out.getvalue()
    assert shown.count("model in use") == 1
    assert "scorer" in shown
    assert "product=cell version=3" in shown
    assert "earlier" not in shown


def test_a_line_that_is_no_json_is_shown_as_it_is() -> None:
    assert (
        "Traceback (most recent call last):" in readable("scorer", "Traceback (most recent call last):").plain
    )
    assert "[1, 2]" in readable("scorer", "[1, 2]").plain


def test_nothing_of_a_log_moves_the_cursor() -> None:
    assert "\x1b" not in readable("scorer", a_line("held", error="\x1b[2J")).plain
    assert "\x1b" not in readable("scorer", "\x1b[2J").plain
