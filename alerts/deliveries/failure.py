"""Why an attempt to deliver failed.

DeliveryFailed            try again later, until the deadline
├── EndpointUnreachable · EndpointTimedOut · CertificateRefused · AnswerMalformed
├── AddressRefused · EndpointRedirects · ServiceNotAllowed
├── EndpointRefuses · CredentialsRefused
├── StateUnknown · SenderFaulty
└── EndpointGone          never again
"""

from datetime import timedelta
from typing import ClassVar

from steadyline.errors import Transient


class DeliveryFailed(Transient):
    """One attempt failed; ``status`` and ``head`` are those of the answer, where there was one."""

    reason = "delivery_failed"
    is_final: ClassVar[bool] = False

    def __init__(
        self, text: str, status: int | None = None, head: str = "", retry_after: timedelta | None = None
    ) -> None:
        super().__init__(text)
        self.status, self.head, self.retry_after = status, head, retry_after


class EndpointUnreachable(DeliveryFailed):
    """The name is not known, or nobody takes the connection, or it broke."""

    reason = "endpoint_unreachable"


class EndpointTimedOut(DeliveryFailed):
    """The whole exchange took longer than one attempt may."""

    reason = "endpoint_timed_out"


class CertificateRefused(DeliveryFailed):
    """TLS failed: the certificate is not trusted, not of that name, or expired."""

    reason = "certificate_refused"


class AnswerMalformed(DeliveryFailed):
    """What came back is not HTTP, or its head is too large."""

    reason = "answer_malformed"


class AddressRefused(DeliveryFailed):
    """The name leads to an address that deliveries may not go to, see ``egress``."""

    reason = "address_refused"


class EndpointRedirects(DeliveryFailed):
    """The endpoint wants the delivery to go elsewhere: a subscription names its address itself."""

    reason = "endpoint_redirects"


class EndpointRefuses(DeliveryFailed):
    """The endpoint answered with a status that is no success."""

    reason = "endpoint_refuses"


class CredentialsRefused(DeliveryFailed):
    """The endpoint does not take the user and the password, or not for this."""

    reason = "credentials_refused"


class ServiceNotAllowed(DeliveryFailed):
    """The service's address would be of the user's choosing, which no setting allows."""

    reason = "service_not_allowed"


class StateUnknown(DeliveryFailed):
    """What the channel tells beside the alert could not be read: our database was away."""

    reason = "state_unknown"


class SenderFaulty(DeliveryFailed):
    """A bug of ours, which the log tells with its stack: only this delivery waits for its mend."""

    reason = "sender_faulty"


class EndpointGone(DeliveryFailed):
    """The endpoint says that it takes nothing any more (410)."""

    reason = "endpoint_gone"
    is_final = True


DEADLINE_PASSED = "deadline_passed"

FAILURES: tuple[type[DeliveryFailed], ...] = (
    EndpointUnreachable,
    EndpointTimedOut,
    CertificateRefused,
    AnswerMalformed,
    AddressRefused,
    EndpointRedirects,
    EndpointRefuses,
    CredentialsRefused,
    ServiceNotAllowed,
    StateUnknown,
    SenderFaulty,
    EndpointGone,
)
