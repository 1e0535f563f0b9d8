"""An Ingress in front of the API: whose word of the client counts, and tokens that have come in clear."""

from pathlib import Path

import pytest
from httpx2 import Response
from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.types import Scope

from alerts.api.dependencies import ApiSettings
from alerts.api.proxies import NOBODY, TrustedProxies
from alerts.api.rate import RequestRate
from alerts.config import AlertsSettings
from steadyline.errors import InvalidConfiguration
from steadyline.ops.alerts_client import open_client
from tests.support.alerts_api import an_api, reason_of

INGRESS = TrustedProxies.read("10.42.0.0/16, fd00::/8")


def request(peer: str | None, **headers: str) -> tuple[Scope, Headers]:
    """Return what a server knows of a request over http:// from ``peer``."""
    lines = [(name.replace("_", "-"), text) for name, text in headers.items()]
    raw = [(name.encode(), text.encode()) for name, text in lines]
    scope: Scope = {"type": "http", "scheme": "http", "headers": raw}
    if peer is not None:
        scope["client"] = (peer, 4711)
    return scope, Headers(raw=raw)


def introduced(proxies: TrustedProxies, peer: str | None, **headers: str) -> tuple[str, str]:
    """Return the address and the scheme that count."""
    scope, read = request(peer, **headers)
    proxies.introduce(scope, read)
    client = scope.get("client")
    return (client[0] if client else ""), str(scope["scheme"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "counts"),
    [
        ("10.42.0.7", "203.0.113.9", "203.0.113.9"),
        ("10.42.0.7", "1.2.3.4, 203.0.113.9", "203.0.113.9"),  # the first was written by the client
        ("10.42.0.7", "1.2.3.4, 203.0.113.9, 10.42.1.1", "203.0.113.9"),  # two proxies
        ("10.42.0.7", "10.42.1.1", "10.42.1.1"),
        ("10.42.0.7", "unknown", "10.42.0.7"),
        ("10.42.0.7", "203.0.113.9:80", "10.42.0.7"),
        ("10.42.0.7", "", "10.42.0.7"),
        ("::ffff:10.42.0.7", "203.0.113.9", "203.0.113.9"),
        ("fd00::1", "2001:db8::9", "2001:db8::9"),
        ("192.0.2.1", "127.0.0.1", "192.0.2.1"),  # nobody's proxy
        (None, "203.0.113.9", ""),
    ],
)
def test_the_client_is_whom_the_outermost_trusted_proxy_has_seen(
    peer: str | None, forwarded: str, counts: str
) -> None:
    assert introduced(INGRESS, peer, x_forwarded_for=forwarded)[0] == counts


@pytest.mark.parametrize(
    ("peer", "said", "scheme"),
    [
        ("10.42.0.7", "https", "https"),
        ("10.42.0.7", "HTTPS", "https"),
        ("10.42.0.7", "https, https", "https"),
        ("10.42.0.7", "https, http", "http"),
        ("10.42.0.7", "http", "http"),
        ("10.42.0.7", "", "http"),
        ("192.0.2.1", "https", "http"),
    ],
)
def test_only_a_trusted_proxy_says_that_a_request_came_encrypted(peer: str, said: str, scheme: str) -> None:
    assert introduced(INGRESS, peer, x_forwarded_proto=said)[1] == scheme


def test_nobody_is_believed_by_default() -> None:
    assert introduced(NOBODY, "10.42.0.7", x_forwarded_for="127.0.0.1", x_forwarded_proto="https") == (
        "10.42.0.7",
        "http",
    )


@pytest.mark.parametrize(
    ("peer", "headers", "refused"),
    [
        ("10.42.0.7", {"x_forwarded_for": "203.0.113.9", "x_forwarded_proto": "https"}, False),
        ("10.42.0.7", {"x_forwarded_for": "203.0.113.9", "x_forwarded_proto": "http"}, True),
        ("10.42.0.7", {"x_forwarded_for": "203.0.113.9"}, True),
        ("192.0.2.1", {"x_forwarded_proto": "https"}, True),
        ("10.42.0.7", {"x_forwarded_for": "127.0.0.1, 10.42.0.9"}, True),
        ("127.0.0.1", {}, False),
    ],
)
def test_behind_a_proxy_a_token_that_came_in_clear_is_refused(
    peer: str, headers: dict[str, str], refused: bool
) -> None:
    scope, read = request(peer, authorization="Bearer x", **headers)
    INGRESS.introduce(scope, read)
    assert INGRESS.refuses(scope, read) == refused
    assert not NOBODY.refuses(scope, read)


def test_networks_that_are_none_are_refused_at_the_start() -> None:
    with pytest.raises(ValidationError, match="10\\.0\\.0\\.0/33"):
        AlertsSettings(trusted_proxies="10.0.0.0/33")


@pytest.mark.parametrize("url", ["http://alerts.example:8470", "http://10.0.0.7:8470", "http://[fd00::1]:1"])
def test_the_command_line_sends_no_token_over_the_network_in_clear(url: str) -> None:
    with pytest.raises(InvalidConfiguration, match="in clear: write https://") as raised:
        open_client(url, "hunter2secret")
    assert "hunter2secret" not in str(raised.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8470", "http://localhost:1", "https://alerts.example"])
def test_an_encrypted_or_local_api_is_asked(url: str) -> None:
    open_client(url, "any")


def test_over_the_api_a_proxy_gives_each_client_its_own_limit_and_hsts(tmp_path: Path) -> None:
    settings = ApiSettings(per_address=RequestRate(per_second=1, burst=2), proxies=INGRESS)
    with an_api(tmp_path, settings=settings) as api:
        ingress = type(api.client)(api.app, client=("10.42.0.7", 4711), base_url="http://alerts")

        def ask(client: str, scheme: str) -> Response:
            told = {"x-forwarded-for": client, "x-forwarded-proto": scheme}
            answer: Response = ingress.get("/api/v1/tokens/self", headers={**api.as_("viewer"), **told})
            return answer

        assert [ask("203.0.113.9", "https").status_code for _ in range(3)] == [200, 200, 429]
        encrypted, clear = ask("203.0.113.10", "https"), ask("203.0.113.11", "http")
        assert encrypted.headers["strict-transport-security"] == "max-age=31536000"
        assert (clear.status_code, reason_of(clear)) == (403, "token_in_clear")
        assert "strict-transport-security" not in clear.headers
        assert ask("203.0.113.12", "https").status_code == 200, "one client's limit is not another's"


def test_a_client_that_forges_what_a_proxy_would_say_gains_nothing(tmp_path: Path) -> None:
    with an_api(tmp_path, settings=ApiSettings(proxies=INGRESS)) as api:
        stranger = type(api.client)(api.app, client=("192.0.2.1", 4711), base_url="http://alerts")
        told = {"x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "https"}
        answer = stranger.get("/api/v1/tokens/self", headers={**api.as_("viewer"), **told})
        assert reason_of(answer) == "token_in_clear"
