"""An e-mail with picture and map in it, through the mail server of the plant."""

import smtplib
import ssl
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Literal

from alerts.deliveries.channels.mail_page import alert_page, digest_page, digest_text, facts_of, one_line
from alerts.deliveries.failure import (
    CertificateRefused,
    DeliveryFailed,
    EndpointRefuses,
    EndpointTimedOut,
    EndpointUnreachable,
)
from alerts.deliveries.parcel import Parcel, Receipt
from alerts.deliveries.pictures import ReadPicture, pictures_of, subtype_of
from alerts.subscriptions.channel import MailChannel

_MOST_SUBJECT = 150


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed over, and in whose name: the operator's own server, without a guard before it."""

    host: str
    port: int
    sender: str
    security: Literal["none", "starttls", "tls"] = "starttls"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout: timedelta = timedelta(seconds=10)  # of each step
    tls: ssl.SSLContext | None = field(default=None, repr=False)  # whom to believe; the system by default


class MailSender:
    """See ``ParcelSender``; a mail that goes out twice has the same Message-ID both times."""

    def __init__(self, line: str, server: MailServer, read_picture: ReadPicture) -> None:
        self._line, self._server, self._read_picture = line, server, read_picture

    def send(self, parcel: Parcel) -> Receipt:
        channel = parcel.subscription.channel
        assert isinstance(channel, MailChannel)
        message = self.compose(parcel, channel)
        try:
            with self._connect() as server:
                refused = server.send_message(message, self._server.sender, list(channel.to))
        except smtplib.SMTPRecipientsRefused as error:
            raise _refusal(error.recipients) from error
        except smtplib.SMTPResponseException as error:
            raise EndpointRefuses(str(error), error.smtp_code) from error
        except ssl.SSLError as error:
            raise CertificateRefused(f"TLS: {error}") from error
        except TimeoutError as error:
            raise EndpointTimedOut(f"{self._server.host} did not answer in time") from error
        except (smtplib.SMTPException, OSError) as error:
            raise EndpointUnreachable(f"{self._server.host}: {error}") from error
        return Receipt(250, f"refused: {sorted(refused)}" if refused else "")

    def compose(self, parcel: Parcel, channel: MailChannel) -> EmailMessage:
        """Return the message: text, and HTML with the picture and the map beside it, or with a table."""
        message = EmailMessage()
        message["From"], message["To"] = self._server.sender, ", ".join(channel.to)
        message["Subject"] = one_line(f"[{self._line}] {_subject(parcel)}")[:_MOST_SUBJECT]
        message["Date"] = format_datetime(parcel.now)
        message["Message-ID"] = f"<{parcel.id}@steadyline>"
        message["Auto-Submitted"] = "auto-generated"
        if parcel.digest is not None:
            message.set_content(digest_text(parcel.digest))
            message.add_alternative(digest_page(parcel.digest), subtype="html")
        else:
            self._tell(message, parcel)
        return message

    def _tell(self, message: EmailMessage, parcel: Parcel) -> None:
        alert, note = parcel.alert, parcel.escalation
        # All mails of an incident are one conversation.
        message["References"] = f"<{alert.incident}@steadyline>"
        rows = facts_of(alert) if note is None else [("Escalation", one_line(str(note))), *facts_of(alert)]
        message.set_content("\n".join(f"{name}: {text}" for name, text in rows) + "\n")
        pictures = pictures_of(alert, self._read_picture)
        message.add_alternative(alert_page(alert, rows, list(pictures)), subtype="html")
        page = message.get_payload()[1]  # type: ignore[index]
        for name, data in pictures.items():
            kind = subtype_of(data)
            page.add_related(  # type: ignore[union-attr]
                data, "image", kind, cid=f"<{name}>", filename=f"{name}.{kind}", disposition="inline"
            )

    def _connect(self) -> smtplib.SMTP:
        to, seconds = self._server, self._server.timeout.total_seconds()
        tls = to.tls or ssl.create_default_context()
        if to.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(to.host, to.port, timeout=seconds, context=tls)
        else:
            server = smtplib.SMTP(to.host, to.port, timeout=seconds)
        try:
            if to.security == "starttls":
                server.starttls(context=tls)
            if to.user is not None:
                server.login(to.user, to.password or "")
        except BaseException:
            server.close()
            raise
        return server


def _refusal(recipients: dict[str, tuple[int, bytes]]) -> DeliveryFailed:
    address, (status, text) = next(iter(recipients.items()))
    return EndpointRefuses(f"{address}: {status}", status, text.decode("utf-8", "replace"))


def _subject(parcel: Parcel) -> str:
    if parcel.digest is not None:
        return parcel.digest.title
    told = f"{parcel.alert.severity}: {parcel.alert.summary}"
    return told if parcel.escalation is None else f"{parcel.escalation}: {told}"
