"""A small OpenID Connect issuer on loopback: discovery, keys that rotate, and tokens of any kind."""

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from typing_extensions import override

from tests.support.certificates import IssuedCertificate


class IssuerUnderTest:
    """Serves until ``close``, over TLS with a certificate; ``asked`` counts the questions for keys."""

    def __init__(self, certificate: IssuedCertificate | None = None) -> None:
        self.keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        self.asked = 0
        self.more_keys: list[dict[str, Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        scheme = "http"
        if certificate is not None:
            context, scheme = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), "https"
            context.load_cert_chain(certificate.certificate, certificate.key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.address = f"{scheme}://127.0.0.1:{self._server.server_address[1]}"
        self.rotate("key-1")

    def rotate(self, name: str) -> None:
        """Sign with a new key from now on, and take the others back."""
        self.keys = {name: ec.generate_private_key(ec.SECP256R1())}

    def token(self, **changes: Any) -> str:
        """Return a good token of an operator, with ``changes``; a claim that is None is left out."""
        claims = {
            "iss": self.address,
            "aud": "steadyline",
            "sub": "u-17",
            "email": "ines@plant.example",
            "email_verified": True,
            "scope": "openid steadyline:operator",
            "exp": 1767225600 + 600,
        }
        claims = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        [(name, key)] = self.keys.items()
        return jwt.encode(claims, key, "ES256", {"kid": name})

    def document(self, path: str) -> dict[str, Any] | None:
        """Return what is at a path."""
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.address, "jwks_uri": f"{self.address}/keys"}
        if path != "/keys":
            return None
        self.asked += 1
        rows = [
            json.loads(ECAlgorithm.to_jwk(key.public_key())) | {"kid": name, "alg": "ES256", "use": "sig"}
            for name, key in self.keys.items()
        ]
        return {"keys": [*rows, *self.more_keys]}

    def close(self) -> None:
        """Answer nothing any more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)


def _handler(issuer: IssuerUnderTest) -> type[BaseHTTPRequestHandler]:
    class IssuerRequestHandler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = issuer.document(self.path)
            body = json.dumps(found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        @override
        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing."""

    return IssuerRequestHandler
