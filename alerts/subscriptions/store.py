"""Subscriptions in the database; every call is within its caller's transaction."""

import base64
import secrets
import uuid
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts.database.tables import SubscriptionRow
from alerts.subscriptions.channel import (
    SECRET_FIELDS,
    AppriseChannel,
    Channel,
    MqttChannel,
    PagerDutyChannel,
    take_secret,
)
from alerts.subscriptions.digest_rule import DigestRule
from alerts.subscriptions.filter import SubscriptionFilter
from alerts.subscriptions.subscription import Subscription, SubscriptionWish

SECRET_PREFIX = "whsec_"  # of Standard Webhooks
_SECRET_BYTES = 32

_CHANNEL: TypeAdapter[Channel] = TypeAdapter(Channel)


class SecretNeeded(ValueError):
    """A channel whose secret is its own came without it."""


class SubscriptionStore:
    """Finds, makes, edits and removes subscriptions."""

    def create(
        self, session: Session, edit: SubscriptionWish, owner: str, now: datetime
    ) -> tuple[Subscription, str]:
        """Return the new subscription and its secret, which no other call returns.

        Raises SecretNeeded, here and in ``replace``.
        """
        row = SubscriptionRow(
            id=uuid.uuid4().hex, owner=owner, version=1, created_at=now, secret=new_secret()
        )
        _write(row, edit, before=None)
        session.add(row)
        session.flush()
        return read_subscription(row), row.secret

    def find(self, session: Session, subscription_id: str) -> Subscription | None:
        """Return a subscription, or None when there is none of that id."""
        row = session.get(SubscriptionRow, subscription_id)
        return None if row is None else read_subscription(row)

    def page(self, session: Session, after: str | None, limit: int) -> list[Subscription]:
        """Return up to ``limit`` subscriptions by id, those behind the id ``after``."""
        query = select(SubscriptionRow).order_by(SubscriptionRow.id).limit(limit)
        if after is not None:
            query = query.where(SubscriptionRow.id > after)
        return [read_subscription(row) for row in session.scalars(query)]

    def replace(
        self, session: Session, subscription_id: str, version: int, edit: SubscriptionWish
    ) -> Subscription | None:
        """Put ``edit`` in place of version ``version`` and count the version up.

        Returns None, having changed nothing, when it has another version by now or is gone.
        """
        row = self._locked(session, subscription_id, version)
        if row is None:
            return None
        _write(row, edit, _CHANNEL.validate_json(row.channel))
        row.version = version + 1
        session.flush()
        return read_subscription(row)

    def delete(self, session: Session, subscription_id: str, version: int) -> bool:
        """Remove version ``version`` with its deliveries; return False when it is another one or gone."""
        row = self._locked(session, subscription_id, version)
        if row is None:
            return False
        session.delete(row)
        session.flush()
        return True

    @staticmethod
    def _locked(session: Session, id: str, version: int) -> SubscriptionRow | None:
        row = session.get(SubscriptionRow, id, with_for_update=True, populate_existing=True)
        return row if row is not None and row.version == version else None


def new_secret() -> str:
    """Return a secret that Standard Webhooks' own libraries take."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def read_subscription(row: SubscriptionRow) -> Subscription:
    """Return what a row holds, without its secret."""
    return Subscription(
        id=row.id,
        name=row.name,
        owner=row.owner,
        enabled=row.enabled,
        filter=SubscriptionFilter.read(row.filter.encode()),
        channel=_CHANNEL.validate_json(row.channel),
        version=row.version,
        created_at=row.created_at,
        digest=read_digest_rule(row.digest),
    )


def read_digest_rule(text: str | None) -> DigestRule | None:
    """Return the rule that a row holds; None where each alert is told at once."""
    return None if text is None else DigestRule.read(text.encode())


def _keeps_secret(before: Channel | None, channel: Channel) -> bool:
    """Tell whether the secret that there is, is one for ``channel``, which names none.

    A secret that we have made only signs and goes nowhere. One that was given to us is handed over, and so
    goes to no other place and to no other user than it was given for.
    """
    if before is None:
        return not isinstance(channel, AppriseChannel)
    given, kinds = SECRET_FIELDS.keys(), (before.kind, channel.kind)
    if not any(kind in given for kind in kinds) or (isinstance(channel, MqttChannel) and not channel.user):
        return True  # none is handed over
    return _receiver(before) == _receiver(channel)


def _receiver(channel: Channel) -> tuple[str | None, ...]:
    """Return who is handed the secret of a channel."""
    match channel:
        case AppriseChannel():
            return channel.kind, channel.service
        case MqttChannel():
            return channel.kind, channel.url, channel.user
        case PagerDutyChannel():
            return channel.kind, channel.url
        case _:
            return (channel.kind,)


def _write(row: SubscriptionRow, edit: SubscriptionWish, before: Channel | None) -> None:
    channel, secret = take_secret(edit.channel)
    if secret is not None:
        row.secret = secret
    elif not _keeps_secret(before, channel):
        raise SecretNeeded("the channel's secret was not given, and there is none that it could keep")
    row.name, row.enabled = edit.name, edit.enabled
    row.filter, row.channel = edit.filter.model_dump_json(), channel.model_dump_json()
    if row.digest is None:
        row.digest_since = None  # its first span begins with the first look
    row.digest = None if edit.digest is None else edit.digest.model_dump_json()
