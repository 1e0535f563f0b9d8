"""``steadyline alerts`` asks for what its words say: the paths and bodies of the commands about the line."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typing_extensions import override

from steadyline.cli import main
from steadyline.service import EXIT_OK

ESCAPE = "\x1b]0;owned\x07"


class _AskedServer(ThreadingHTTPServer):
    asked: list[tuple[str, str, object]]


class _AskedHandler(BaseHTTPRequestHandler):
    """Keeps what it is asked for, and answers with a list of one entry that would take a terminal over."""

    server: _AskedServer

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        self._answer(json.loads(self.rfile.read(length)) if length else None)

    def _answer(self, body: object) -> None:
        self.server.asked.append((self.command, self.path.removeprefix("/api/v1"), body))
        entry = {"partition": 1, "offset": 2, "reason": ESCAPE, "figures": {"a": [1]}, "items": None}
        answer = json.dumps({"items": [entry], "next": None}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(answer)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[_AskedServer]:
    made = _AskedServer(("127.0.0.1", 0), _AskedHandler)
    made.asked = []
    thread = threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    monkeypatch.setenv("STEADYLINE_ALERTS_URL", f"http://127.0.0.1:{made.server_address[1]}")
    monkeypatch.setenv("STEADYLINE_ALERTS_TOKEN", "sl_token")
    yield made
    made.shutdown()
    made.server_close()
    thread.join(timeout=5)


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["models", "list"], ("GET", "/models", None)),
        (["models", "show", "cell"], ("GET", "/models/cell", None)),
        (["models", "retrain", "cell"], ("POST", "/models/cell/retrain", {})),
        (
            ["models", "promote", "cell", "4", "--why", "good"],
            ("POST", "/models/cell/promote", {"version": 4, "why": "good"}),
        ),
        (["models", "roll-back", "cell"], ("POST", "/models/cell/roll-back", {})),
        (["models", "roll-back", "cell", "--to", "3"], ("POST", "/models/cell/roll-back", {"version": 3})),
        (["models", "orders", "cell"], ("GET", "/models/cell/orders?limit=50", None)),
        (["models", "orders", "cell", "--order", "a1"], ("GET", "/models/cell/orders/a1", None)),
        (["bank", "cell"], ("GET", "/bank/cell", None)),
        (["accounting"], ("GET", "/accounting", None)),
        (["dead-letters", "list"], ("GET", "/dead-letters?limit=50", None)),
        (["dead-letters", "show", "1", "2"], ("GET", "/dead-letters/1/2", None)),
        (["dead-letters", "replay", "1", "2"], ("POST", "/dead-letters/1/2/replay", {})),
        (
            ["dead-letters", "replay", "1", "2", "--again"],
            ("POST", "/dead-letters/1/2/replay", {"again": True}),
        ),
        (["cameras", "list"], ("GET", "/cameras", None)),
        (["products"], ("GET", "/products", None)),
        (["users"], ("GET", "/users", None)),
    ],
)
def test_a_command_asks_for_what_its_words_say(
    server: _AskedServer,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    asked: tuple[str, str, object],
) -> None:
    assert main(["alerts", *words]) == EXIT_OK
    assert server.asked == [asked]
    printed = capsys.readouterr().out
    assert "owned" in printed
    assert "\x1b" not in printed
    assert main(["alerts", *words, "--json"]) == EXIT_OK
    assert "\x1b" not in capsys.readouterr().out


def test_a_thumbnail_is_written_to_a_file(server: _AskedServer, tmp_path: Path) -> None:
    out = tmp_path / "small.jpg"
    assert main(["alerts", "cameras", "thumbnail", "east-1", "--out", str(out)]) == EXIT_OK
    assert server.asked == [("GET", "/cameras/east-1/thumbnail", None)]
    assert out.read_bytes().startswith(b'{"items"')
