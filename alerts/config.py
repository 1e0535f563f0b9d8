"""The settings of the alerts service, which are read from ``ALERTS_*``."""

import ipaddress
from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from alerts.database_address import database_certificates, refuse_clear_database
from steadyline.in_clear import ClearSecret
from steadyline.settings import ProcessName, Seconds, Settings, host_and_pid
from steadyline.telemetry.certificates import CertificateFile

_MAIL_IN_CLEAR = ClearSecret(
    "ALERTS_MAIL_PASSWORD",
    "set ALERTS_MAIL_SECURITY to starttls or tls",
    "ALERTS_ALLOW_CLEAR_MAIL to true",
)


class AlertsSettings(Settings):
    """How one alerts process behaves; which incidents there are is in the line file."""

    model_config = SettingsConfigDict(env_prefix="ALERTS_")

    database: SecretStr = Field(
        SecretStr("sqlite:///var/alerts.db"),
        description="Address of the database: sqlite:///PATH, for one machine, or "
        "postgresql+psycopg://USER:PASSWORD@HOST/NAME?sslmode=verify-full; also as ALERTS_DATABASE_FILE.",
    )
    allow_clear_database: bool = Field(
        False,
        description="Whether PostgreSQL on another machine may be reached without sslmode=verify-full, "
        "because the network itself encrypts or is trusted.",
    )
    instance: ProcessName = Field(
        default_factory=host_and_pid,
        description="Name of this process, unique among live ones and stable across restarts: with the group "
        "it is the transactional id. The default (host and process id) is not stable.",
    )
    group: ProcessName | None = Field(
        None, description="Consumer group, which takes each message once; by default <topic prefix>.alerts."
    )
    store_seconds: Seconds = Field(
        0.025, description="Time between two transactions of the database: short for latency."
    )
    commit_seconds: Seconds = Field(
        1.0,
        description="Time between two commits to the group, which may be behind: the database says what was "
        "taken.",
    )
    elapse_seconds: Seconds = Field(
        2.0, description="Time between two looks at what time alone changes: a silent camera, a snooze over."
    )
    retry_seconds: Seconds = Field(0.1, description="First delay before the database is tried again.")
    retry_longest_seconds: Seconds = Field(
        5.0, description="Longest delay before the database is tried again."
    )
    stop_seconds: Seconds = Field(
        10.0, description="Longest time to write and commit what is in hand at a stop."
    )
    storm_fraction: float = Field(
        0.5, gt=0, le=1, description="Share of refused messages above which the service is not ready."
    )
    storm_messages: PositiveInt = Field(
        200, description="Fewest messages within a minute from which that share is computed."
    )
    simulation_messages: PositiveInt = Field(
        1_000_000,
        description="Most messages that one simulation of rules reads; the answer says when it was cut.",
    )
    simulation_seconds: Seconds = Field(
        60.0, description="Longest time that one simulation of rules reads, beside the intake's own work."
    )
    api_host: str = Field("127.0.0.1", description="Address that the API listens on.")
    api_port: int = Field(8470, ge=0, le=65535, description="Port of the API; 0 takes a free one.")
    trusted_proxies: str = Field(
        "",
        description="Networks, comma separated, of the proxies in front of the API, that end TLS: "
        "their X-Forwarded-For and X-Forwarded-Proto are believed, and a token that has come in clear is "
        "refused; by default no header is believed.",
    )
    mail_host: str | None = Field(
        None, description="Mail server that deliveries by e-mail go through; by default none is sent."
    )
    mail_port: int = Field(587, ge=1, le=65535, description="Port of the mail server.")
    mail_sender: str = Field("steadyline@localhost", description="Address that mail is sent from.")
    mail_security: Literal["none", "starttls", "tls"] = Field(
        "starttls", description="How the connection to the mail server is protected."
    )
    allow_clear_mail: bool = Field(
        False,
        description="Whether the password for a mail server on another machine may be given to it without "
        "TLS, because the network itself encrypts or is trusted.",
    )
    mail_user: str | None = Field(None, description="Name at the mail server; by default none is given.")
    mail_password: SecretStr | None = Field(
        None, description="Password at the mail server; also as ALERTS_MAIL_PASSWORD_FILE."
    )
    oidc_issuer: str | None = Field(
        None,
        description="Address of an OpenID Connect issuer whose bearer tokens the API believes; by default "
        "only its own tokens.",
    )
    oidc_audience: str = Field("steadyline", description="Audience that such a token must be made for.")
    allow_private_addresses: bool = Field(
        False,
        description="Whether deliveries may go to private and loopback addresses, for receivers within the "
        "plant. Link-local ones, where clouds keep their metadata, stay closed. It opens those services of "
        "Apprise, too, whose host is for users to choose; Apprise connects by name, after the check, so "
        "whoever rules the DNS of such a host can lead it to any address.",
    )
    ca_file: Path | None = Field(
        None,
        description="PEM file of certificate authorities, a plant's own for example, that deliveries by "
        "HTTP, MQTT and mail, and the look at the OIDC issuer, believe beside the system's; by default those "
        "alone.",
    )
    notify_within_seconds: Seconds = Field(
        3_600.0,
        description="How old a change may be and still be notified: older ones, which a new database reads "
        "from the topics, are recorded only. What people do is always notified.",
    )
    delivery_seconds: Seconds = Field(
        10.0, description="Deadline of one attempt to deliver, answer included."
    )
    delivery_deadline_seconds: Seconds = Field(
        86_400.0, description="How long a delivery is tried before it counts as dead."
    )
    line_watch_seconds: Seconds = Field(
        5.0, description="Time between two measures of the line: its lag, its dead letters, its scores."
    )
    scorer_group: ProcessName | None = Field(
        None, description="Consumer group of the line's scorers; by default <topic prefix>.scorer."
    )
    heartbeat_url: SecretStr | None = Field(
        None,
        description="Address of an outside monitor that gets a GET while all is well and nothing otherwise, "
        "so that it raises the alarm when this service or the whole site is gone; by default none is sent; "
        "also as ALERTS_HEARTBEAT_URL_FILE.",
    )
    heartbeat_seconds: Seconds = Field(60.0, description="Time between two heartbeats.")

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, networks: str) -> str:
        for word in filter(None, map(str.strip, networks.split(","))):
            ipaddress.ip_network(word)
        return networks

    @model_validator(mode="after")
    def _check_secrets(self) -> "AlertsSettings":
        if not self.allow_clear_database:
            refuse_clear_database(self.database.get_secret_value())
        in_clear = self.mail_security == "none" and not self.allow_clear_mail
        if in_clear and self.mail_host is not None and self.mail_password is not None:
            _MAIL_IN_CLEAR.refuse([self.mail_host])
        return self


def own_certificates(settings: AlertsSettings) -> list[CertificateFile]:
    """Return the files of certificates that only the alerts read: of the database, and of deliveries."""
    files = database_certificates(settings.database.get_secret_value())
    if settings.ca_file is not None:
        files.append(CertificateFile("deliveries", "authority", settings.ca_file))
    return files
