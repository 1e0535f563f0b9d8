"""A message to people through Apprise, which knows many chat and paging services; alone in knowing Apprise.

It makes its connections itself, so the egress guard can only look at a host before: see ``apprise_address``
for what may be spoken to. Where the host is of a user's choosing, whoever rules its DNS can still have it
lead elsewhere between our look and the connection, to the metadata of a cloud too. And what a service answers
is read whole, however long it is; a call that does not end keeps its thread, and its subscription gets no
other meanwhile.
"""

import logging
import re
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from datetime import timedelta
from typing import Any, cast

from apprise import Apprise, AppriseAsset, AppriseAttachment, AppriseResult, NotifyFormat, NotifyType
from apprise.attachment.memory import AttachMemory
from apprise.plugins import NotifyBase, url_to_dict

from alerts.deliveries.egress import EgressGuard
from alerts.deliveries.failure import (
    CredentialsRefused,
    DeliveryFailed,
    EndpointRefuses,
    EndpointTimedOut,
    EndpointUnreachable,
    ServiceNotAllowed,
)
from alerts.deliveries.parcel import Parcel, Receipt
from alerts.deliveries.pictures import ReadPicture, pictures_of, subtype_of
from alerts.subscriptions.apprise_address import (
    NOT_SET,
    SELF_HOSTED,
    WORKFLOW_HOSTS,
    WORKFLOWS,
    check_address,
    service_of,
)
from alerts.subscriptions.channel import AppriseChannel
from steadyline.contracts.alert import Alert, Severity
from steadyline.contracts.alert_digest import AlertDigest
from steadyline.daemon_pool import DaemonPool

# Its lines may repeat what a service has answered; what matters of them is in the result.
logging.getLogger("apprise").addHandler(logging.NullHandler())
logging.getLogger("apprise").propagate = False

_THREADS = 64
_MOST_CALLS = 5  # of a subscription at once: those of a deliverer, and a sample
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[?[0-9A-Fa-f:.]+\]?")
_VENDORS_MODES = ("cloud", "t2bot")  # of ntfy and Matrix: the host is the vendor's own
_SOCKET_SECONDS = 5.0  # of each step of an exchange; the whole has a limit of its own
_MOST_TITLE = 150
_MOST_LINES = 20  # of a digest
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_STATUS = re.compile(r"\berror=(\d{3})\b")
_TYPES: dict[Severity, NotifyType] = {
    "info": NotifyType.INFO,
    "warning": NotifyType.WARNING,
    "critical": NotifyType.FAILURE,
}


class AppriseSender:
    """See ``ParcelSender``. What was given up may still arrive: a call of a service cannot be taken back."""

    def __init__(
        self, line: str, read_picture: ReadPicture, guard: EgressGuard, allow_private: bool, whole: timedelta
    ) -> None:
        """``allow_private`` opens services whose host is for users to choose; ``whole`` bounds an attempt."""
        self._line, self._read_picture, self._guard = line, read_picture, guard
        self._allow_private, self._whole = allow_private, whole.total_seconds()
        self._lock = threading.Lock()
        self._calls: dict[str, set[Future[AppriseResult]]] = {}  # by subscription, those that have not ended
        self._late: set[Future[AppriseResult]] = set()  # of these, those that nobody waits for any more
        self._pool = DaemonPool(_THREADS, "apprise")
        self._asset = AppriseAsset(
            app_id="Steadyline",
            app_desc="Steadyline",
            app_url="",
            image_url_mask="",
            image_url_logo="",
            http_redirects=False,
            async_mode=False,  # the call runs on our thread
            service_timeout=0,
            storage_mode="memory",
            timezone="UTC",
        )

    def send(self, parcel: Parcel) -> Receipt:
        channel = parcel.subscription.channel
        assert isinstance(channel, AppriseChannel)
        service = self.load(parcel.secret)
        future = self._call(service, parcel, channel)
        try:
            result = future.result(self._whole)
        except FutureTimeout as error:
            future.cancel()  # what has not begun never begins
            with self._lock:
                if not future.done():
                    self._late.add(future)
            raise EndpointTimedOut(f"{channel.service} took longer than {self._whole:g} s") from error
        if not result:
            raise _failure(str(channel.service), result)
        return Receipt()

    def _call(self, service: NotifyBase, parcel: Parcel, channel: AppriseChannel) -> Future[AppriseResult]:
        """Begin on a thread; raises EndpointTimedOut while an earlier call of the subscription hangs."""
        subscription = parcel.subscription.id
        with self._lock:
            calls = self._calls.setdefault(subscription, set())
            if len(calls) >= _MOST_CALLS or calls & self._late:
                raise EndpointTimedOut(f"{channel.service} has not ended an earlier call")
            future = self._pool.submit(self._notify, service, parcel, channel.pictures)
            calls.add(future)
        future.add_done_callback(lambda done: self._forget(subscription, done))
        return future

    def _forget(self, subscription: str, ended: Future[AppriseResult]) -> None:
        with self._lock:
            self._late.discard(ended)
            calls = self._calls[subscription]
            calls.discard(ended)
            if not calls:
                del self._calls[subscription]

    def load(self, address: str) -> NotifyBase:
        """Return the service of an address; raises ServiceNotAllowed or EndpointRefuses, without its text."""
        try:
            name = service_of(check_address(address))
        except ValueError as error:
            raise ServiceNotAllowed(str(error)) from None
        if name in SELF_HOSTED and not self._allow_private:
            raise ServiceNotAllowed(f"{name} connects to a host of the user's choosing")
        parsed: dict[str, Any] | None = url_to_dict(address)  # type: ignore[no-untyped-call]
        # Looked at once more as Apprise has understood it.
        if parsed is None or set(parsed.get("qsd") or {}) & NOT_SET:
            raise EndpointRefuses(f"the address is none that {name} has")
        if name in WORKFLOWS and not str(parsed.get("host")).lower().endswith(WORKFLOW_HOSTS):
            raise ServiceNotAllowed(f"{name} connects to a host of the user's choosing")
        parsed |= {"verify": True, "redirect": False, "cto": _SOCKET_SECONDS, "rto": _SOCKET_SECONDS}
        if name.startswith("matrix"):
            parsed["discovery"] = False  # the server's answer would name another host
        service = Apprise.instantiate(parsed, asset=self._asset)
        if service is None:
            raise EndpointRefuses(f"the address is none that {name} has")
        return service

    def _notify(self, service: NotifyBase, parcel: Parcel, with_pictures: bool) -> AppriseResult:
        self._check_host(service, parcel.secret)
        attach = self._attachment(parcel, service) if with_pictures else None
        title, body, kind = _texts(self._line, parcel)
        sender = Apprise(asset=self._asset)
        sender.add(service)
        return sender.notify(body, title, kind, body_format=NotifyFormat.TEXT, attach=attach)

    def _check_host(self, service: NotifyBase, address: str) -> None:
        """Raise AddressRefused when a host of a user's choosing leads to where deliveries may not go."""
        if service_of(address) not in SELF_HOSTED or getattr(service, "mode", None) in _VENDORS_MODES:
            return
        host = str(service.host)
        if not _HOST.fullmatch(host):
            raise EndpointRefuses("the address has no host that can be looked at")
        self._guard.check(host.strip("[]"), service.port or (443 if service.secure else 80))

    def _attachment(self, parcel: Parcel, service: NotifyBase) -> AppriseAttachment | None:
        if not service.attachment_support or parcel.digest is not None:
            return None
        attach, memory = AppriseAttachment(asset=self._asset), cast(Any, AttachMemory)
        for name, data in pictures_of(parcel.alert, self._read_picture).items():
            kind = subtype_of(data)
            attach.add(memory(content=data, name=f"{name}.{kind}", mimetype=f"image/{kind}"))
        return attach if len(attach) else None


def _failure(service: str, result: AppriseResult) -> DeliveryFailed:
    """Return what failed; what the service said is not repeated, for it may hold a token."""
    found = [status for entry in result.logs() for status in _STATUS.findall(str(entry.message))]
    if not found:
        return EndpointUnreachable(f"{service} did not take it")
    status = int(found[-1])
    failure = CredentialsRefused if status in (401, 403) else EndpointRefuses
    return failure(f"{service}: status {status}", status)


def _texts(line: str, parcel: Parcel) -> tuple[str, str, NotifyType]:
    if parcel.digest is not None:
        return _digest_texts(line, parcel.digest)
    alert = parcel.alert
    word = "resolved" if alert.state == "resolved" else alert.severity
    told = f"{word}: {alert.summary}"
    if parcel.escalation is not None:
        told = f"{parcel.escalation}: {told}"
    title = _one_line(f"[{line}] {told}")[:_MOST_TITLE]
    kind = NotifyType.SUCCESS if alert.state == "resolved" else _TYPES[alert.severity]
    return title, "\n".join(f"{name}: {text}" for name, text in _facts(alert)), kind


def _facts(alert: Alert) -> list[tuple[str, str]]:
    found = [
        ("Why", alert.why),
        ("Camera", alert.camera),
        ("Product", alert.product),
        ("State", alert.state),
        ("By", alert.who),
        ("Comment", alert.comment),
        ("When", alert.at.isoformat(timespec="seconds")),
        ("Incident", alert.incident),
    ]
    if alert.anomaly is not None:
        found.append(("Score", f"{alert.anomaly.score:g}, threshold {alert.anomaly.threshold:g}"))
        margin = alert.anomaly.certified_margin
        if margin is not None:
            found.append(("Certified", f"no change of {margin}/255 or less turns this verdict"))
    return [(name, _one_line(text)) for name, text in found if text]


def _digest_texts(line: str, digest: AlertDigest) -> tuple[str, str, NotifyType]:
    told = [f"{alert.severity}, {alert.state}: {_one_line(alert.summary)}" for alert in digest.alerts]
    more = len(told) - _MOST_LINES + digest.left_out if len(told) > _MOST_LINES else digest.left_out
    lines = told[:_MOST_LINES] + ([f"and {more} more"] if more else [])
    worst = "critical" if any(alert.severity == "critical" for alert in digest.alerts) else "warning"
    title = _one_line(f"[{line}] {digest.title}")[:_MOST_TITLE]
    return (
        title,
        "\n".join(lines) or digest.title,
        NotifyType.FAILURE if worst == "critical" else NotifyType.INFO,
    )


def _one_line(text: str) -> str:
    return _CONTROL.sub(" ", text).strip()
