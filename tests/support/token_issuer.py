"""A small issuer of tokens by client credentials, over HTTPS on loopback, which can go wrong."""

import json
import ssl
import threading
import time
from base64 import b64decode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from typing_extensions import override

from tests.support.certificates import IssuedCertificate

AUDIENCE = "kafka"


class TokenIssuer:
    """Serves ``token_url`` on entry; ``asked`` counts its answers.

    ``life`` is how many seconds its next tokens live. What is in ``reply`` is answered in the place of a
    token: a status and a body. While ``is_silent`` it takes questions and answers none.
    """

    def __init__(self, certificate: IssuedCertificate) -> None:
        self.client_id, self.client_secret = "line 1", "s3cret:with/marks"
        self.asked = 0
        self.life = 600.0
        self.reply: tuple[int, bytes] | None = None
        self.is_silent = False
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._server = _IssuerServer(("127.0.0.1", 0), _handler(self))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.certificate, certificate.key)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.address = f"https://127.0.0.1:{self._server.server_address[1]}"
        self.token_url = f"{self.address}/token"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.is_silent = False
        self._server.shutdown()
        self._server.server_close()

    def keys(self) -> dict[str, Any]:
        """Return the public keys, as a broker is given them."""
        row = json.loads(ECAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [row | {"kid": "1", "alg": "ES256", "use": "sig"}]}

    def answer(self, authorization: str, form: dict[str, list[str]]) -> tuple[int, bytes]:
        """Return the status and the body for a question."""
        self.asked += 1
        if self.reply is not None:
            return self.reply
        user, _, secret = b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        if (unquote(user), unquote(secret)) != (self.client_id, self.client_secret):
            return 401, b'{"error": "invalid_client"}'
        if form.get("grant_type") != ["client_credentials"]:
            return 400, b'{"error": "unsupported_grant_type"}'
        if form.get("scope", ["frames"]) != ["frames"]:
            return 400, b'{"error": "invalid_scope"}'
        now = time.time()
        claims = {"iss": self.address, "aud": AUDIENCE, "sub": "line-1", "iat": int(now), "scope": "frames"}
        end = int(now + self.life)
        token = jwt.encode({**claims, "exp": end}, self._key, "ES256", {"kid": "1"})
        return 200, json.dumps(
            {"access_token": token, "token_type": "Bearer", "expires_in": end - now}
        ).encode()


class _IssuerServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that does not trust the certificate hangs up."""


def _handler(issuer: TokenIssuer) -> type[BaseHTTPRequestHandler]:
    class TokenRequestHandler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            while issuer.is_silent:
                threading.Event().wait(0.05)
            status, body = issuer.answer(self.headers.get("Authorization", ""), form)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        @override
        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing."""

    return TokenRequestHandler
