"""A mail server on a loopback port that keeps what it is given."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from typing_extensions import override


@dataclass(frozen=True, slots=True)
class MailSeen:
    """One mail as it came in."""

    sender: str
    to: list[str]
    data: bytes

    @property
    def message(self) -> EmailMessage:
        """What the standard library makes of it."""
        found = message_from_bytes(self.data, policy=default)
        assert isinstance(found, EmailMessage)
        return found


@dataclass
class SmtpSink:
    """Takes mail for everybody but those it refuses."""

    port: int
    refuses: frozenset[str] = frozenset()
    seen: list[MailSeen] = field(default_factory=list)


class _SinkServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    sink: SmtpSink


class _SinkHandler(socketserver.StreamRequestHandler):
    server: _SinkServer

    @override
    def handle(self) -> None:
        self._say("220 sink")
        sender, to = "", list[str]()
        while line := self.rfile.readline().decode().strip():
            word = line[:4].upper()
            if word == "MAIL":
                sender, to = _address(line), []
                self._say("250 ok")
            elif word == "RCPT":
                is_refused = _address(line) in self.server.sink.refuses
                if not is_refused:
                    to.append(_address(line))
                self._say("550 nobody of that name" if is_refused else "250 ok")
            elif word == "DATA":
                self._say("354 go on")
                self.server.sink.seen.append(MailSeen(sender, to, self._data()))
                self._say("250 taken")
            else:
                self._say("221 bye" if word == "QUIT" else "250 ok")

    def _data(self) -> bytes:
        lines = list[bytes]()
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines)

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")


@contextmanager
def smtp_sink(refuses: frozenset[str] = frozenset()) -> Iterator[SmtpSink]:
    """Yield a server on a free port that takes mail until the end of the block."""
    server = _SinkServer(("127.0.0.1", 0), _SinkHandler)
    server.sink = SmtpSink(int(server.server_address[1]), refuses)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.sink
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _address(line: str) -> str:
    return line[line.index("<") + 1 : line.index(">")]
