"""A broker that is locked as a plant's: a listener for each way in, and two whose certificates are wrong."""

import json
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ScramMechanism, UserScramCredentialUpsertion
from typing_extensions import override

from steadyline.servers.home import Home
from steadyline.servers.kafka import KafkaFiles
from steadyline.servers.ports import KeptPorts
from steadyline.servers.process import Launch, ServerProcess
from steadyline.settings import KafkaSettings
from tests.support.certificates import CertificateAuthority, IssuedCertificate
from tests.support.cut_proxy import CutProxy
from tests.support.servers import ROOT, new_home, remove, require
from tests.support.token_issuer import AUDIENCE, TokenIssuer

USER, PASSWORD = "line-1", "9-pink-herons"
PROTOCOLS = {
    "SCRAM": "SASL_SSL",
    "PLAIN": "SASL_SSL",
    "OAUTH": "SASL_SSL",
    "MTLS": "SSL",
    "ENDED": "SSL",  # its certificate has expired
    "OTHER": "SSL",  # its certificate is for another host
    "CUT": "SSL",  # advertised behind a proxy that cuts connections; a client's certificate is needed
}
_MODULES = "org.apache.kafka.common.security"


class SecuredKafkaFiles(KafkaFiles):
    """The files of such a broker: those of a plain one, with more listeners."""

    def __init__(self, home: Path, authority: CertificateAuthority, issuer: TokenIssuer) -> None:
        keys = home / "jwks.json"
        allowed = f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=file://{keys}"
        super().__init__(home, ROOT / ".cache" / "kafka", (allowed,))
        keys.write_text(json.dumps(issuer.keys()), encoding="utf-8")
        self._keys, self._issuer, self._authority = keys, issuer, authority
        self._properties_file = home / "kafka" / "server.properties"
        self.more = KeptPorts(home / "kafka" / "more-ports", len(PROTOCOLS))
        self.proxy = CutProxy(self.port("CUT"))

    def port(self, listener: str) -> int:
        """Return the port of a listener."""
        return self.more.numbers[list(PROTOCOLS).index(listener)]

    @override
    def launch(self) -> Launch:
        launched = super().launch()
        return replace(launched, ports=[*launched.ports, *self.more.numbers])

    @override
    def _write_configuration(self) -> None:
        super()._write_configuration()
        with self._properties_file.open("a", encoding="utf-8") as properties:
            properties.write("\n".join(("", *self._listeners(), *self._keystores(), *self._logins(), "")))

    def _listeners(self) -> Sequence[str]:
        plain, controller = self.ports.numbers
        addresses = {"PLAINTEXT": plain, **{name: self.port(name) for name in PROTOCOLS}}
        told = addresses | {"CUT": self.proxy.port}
        protocols = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", **PROTOCOLS}
        return (
            f"listeners=CONTROLLER://127.0.0.1:{controller},{_joined(addresses)}",
            f"advertised.listeners={_joined(told)}",
            "listener.security.protocol.map=" + ",".join(f"{name}:{of}" for name, of in protocols.items()),
        )

    def _keystores(self) -> Sequence[str]:
        ended = self._authority.server("ended", is_expired=True)
        other = self._authority.server("other", hosts=["kafka.plant.example"])
        return (
            "ssl.keystore.type=PEM",
            f"ssl.keystore.location={self._authority.server('broker').both}",
            f"listener.name.ended.ssl.keystore.location={ended.both}",
            f"listener.name.other.ssl.keystore.location={other.both}",
            "ssl.truststore.type=PEM",
            f"ssl.truststore.location={self._authority.ca}",
            "listener.name.mtls.ssl.client.auth=required",
            "listener.name.cut.ssl.client.auth=required",
        )

    def _logins(self) -> Sequence[str]:
        handler = f"{_MODULES}.oauthbearer.OAuthBearerValidatorCallbackHandler"
        return (
            "listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-512,SCRAM-SHA-256",
            f"listener.name.scram.scram-sha-512.sasl.jaas.config={_MODULES}.scram.ScramLoginModule required;",
            f"listener.name.scram.scram-sha-256.sasl.jaas.config={_MODULES}.scram.ScramLoginModule required;",
            "listener.name.plain.sasl.enabled.mechanisms=PLAIN",
            f"listener.name.plain.plain.sasl.jaas.config={_MODULES}.plain.PlainLoginModule required "
            f'user_{USER}="{PASSWORD}";',
            "listener.name.oauth.sasl.enabled.mechanisms=OAUTHBEARER",
            f"listener.name.oauth.oauthbearer.sasl.jaas.config={_MODULES}.oauthbearer.OAuthBearerLoginModule "
            "required;",
            f"listener.name.oauth.oauthbearer.sasl.server.callback.handler.class={handler}",
            "listener.name.oauth.oauthbearer.connections.max.reauth.ms=3600000",
            f"sasl.oauthbearer.jwks.endpoint.url=file://{self._keys}",
            f"sasl.oauthbearer.expected.audience={AUDIENCE}",
            f"sasl.oauthbearer.expected.issuer={self._issuer.address}",
            "sasl.oauthbearer.clock.skew.seconds=0",
        )


@dataclass(frozen=True, slots=True)
class SecuredKafka:
    """A running broker, who signs its certificates, who gives its tokens, and a good client's certificate."""

    files: SecuredKafkaFiles
    authority: CertificateAuthority
    issuer: TokenIssuer
    client: IssuedCertificate

    def variables(self, listener: str, **changes: str) -> dict[str, str]:
        """Return the environment of a client that may in by a listener; a variable of ``""`` is left out."""
        found = {
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{self.files.port(listener)}",
            "KAFKA_SECURITY_PROTOCOL": PROTOCOLS[listener],
            "KAFKA_SSL_CA_LOCATION": str(self.authority.ca),
        }
        if listener in ("SCRAM", "PLAIN"):
            found |= {"KAFKA_SASL_USERNAME": USER, "KAFKA_SASL_PASSWORD": PASSWORD}
            found["KAFKA_SASL_MECHANISM"] = "PLAIN" if listener == "PLAIN" else "SCRAM-SHA-512"
        elif listener == "OAUTH":
            found |= {
                "KAFKA_SASL_MECHANISM": "OAUTHBEARER",
                "KAFKA_OAUTH_TOKEN_URL": self.issuer.token_url,
                "KAFKA_OAUTH_CLIENT_ID": self.issuer.client_id,
                "KAFKA_OAUTH_CLIENT_SECRET": self.issuer.client_secret,
                "KAFKA_OAUTH_SCOPE": "frames",
                "KAFKA_OAUTH_CA_LOCATION": str(self.authority.ca),
            }
        elif listener in ("MTLS", "CUT"):
            found["KAFKA_SSL_CERTIFICATE_LOCATION"] = str(self.client.certificate)
            found["KAFKA_SSL_KEY_LOCATION"] = str(self.client.key)
        return {name: value for name, value in {**found, **changes}.items() if value}

    def settings(self, listener: str, **changes: str) -> KafkaSettings:
        """Return the settings of such a client."""
        variables = self.variables(listener, **changes)
        return KafkaSettings.model_validate(
            {name.removeprefix("KAFKA_").lower(): value for name, value in variables.items()}
        )


@contextmanager
def secured_kafka(folder: Path) -> Iterator[SecuredKafka]:
    """Yield a running broker; its certificates are made in ``folder``."""
    require(["kafka"])
    authority = CertificateAuthority(folder / "certificates")
    with ExitStack() as stack:
        issuer = stack.enter_context(TokenIssuer(authority.server("issuer")))
        path = new_home()
        path.mkdir(parents=True)
        stack.callback(remove, path)
        home = Home(path)
        home.take()
        stack.callback(home.release)
        files = SecuredKafkaFiles(path, authority, issuer)
        stack.enter_context(files.proxy)
        server = ServerProcess(files.launch(), path)
        server.start()
        stack.callback(server.stop)
        _add_user(files.bootstrap)
        yield SecuredKafka(files, authority, issuer, authority.client(f"client-{uuid.uuid4().hex[:6]}"))


@pytest.fixture(scope="session")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """The one locked broker of the session: make your own topics and groups."""
    with secured_kafka(tmp_path_factory.mktemp("locked")) as running:
        yield running


def _add_user(bootstrap: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        for mechanism in (ScramMechanism.SCRAM_SHA_512, ScramMechanism.SCRAM_SHA_256):
            admin.alter_user_scram_credentials([UserScramCredentialUpsertion(USER, mechanism, PASSWORD)])
    finally:
        admin.close()


def _joined(addresses: dict[str, int]) -> str:
    return ",".join(f"{name}://127.0.0.1:{port}" for name, port in addresses.items())
