"""Subscriptions: who is told of what, and through which channel."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session
from starlette.responses import Response

from alerts.api.auth import Engineer
from alerts.api.dependencies import Api
from alerts.api.page import Id, ListPage, ListQuery, Moment, PlainName, only_id, page_of
from alerts.api.ports import SubscriptionEdit
from alerts.api.precondition import IfMatch, check_match, etag
from alerts.api.problem import Refusal
from alerts.api.repeat import Done, Sent, once
from alerts.database.audit_store import AuditAct
from alerts.subscriptions.store import SecretNeeded
from alerts.subscriptions.subscription import Channel, DigestRule, Subscription, SubscriptionFilter

router = APIRouter(prefix="/subscriptions", tags=["subscriptions"])


class SubscriptionBody(BaseModel):
    """What a subscription is to be."""

    model_config = ConfigDict(extra="forbid")

    name: PlainName = Field(description="Name for people.")
    enabled: bool = Field(True, description="Whether anything is sent.")
    filter: SubscriptionFilter = Field(
        default_factory=SubscriptionFilter, description="What it is told of; by default all."
    )
    channel: Channel = Field(description="Where it is told.")
    digest: DigestRule | None = Field(
        None, description="When all of a while is told in one message; by default each alert at once."
    )

    def edit(self) -> SubscriptionEdit:
        """Return what the store takes."""
        return SubscriptionEdit(self.name, self.enabled, self.filter, self.channel, self.digest)


class MadeSubscription(BaseModel):
    """A new subscription."""

    subscription: Subscription
    secret: str | None = Field(
        description="What its deliveries are signed with; null when the request was answered before."
    )


class ReplayBody(BaseModel):
    """A span of time."""

    model_config = ConfigDict(extra="forbid")

    since: Moment = Field(description="Changes made then or later.")
    until: Moment = Field(description="Changes made before then.")


class Replayed(BaseModel):
    """What is sent again."""

    deliveries: int = Field(description="How many.")


class SampleResult(BaseModel):
    """What became of a sample."""

    outcome: Literal["delivered", "failed"]
    status: int | None = Field(None, description="Status of the endpoint's answer, where it has one.")
    reason: str | None = Field(None, description="Why it failed: a fixed word.")
    milliseconds: int = Field(description="How long it took.")
    answer_head: str | None = Field(None, description="How the endpoint's answer begins.")


@contextmanager
def _secret_needed() -> Iterator[None]:
    try:
        yield
    except SecretNeeded as error:
        raise Refusal("invalid_request", str(error)) from error


class _Changing:
    """One request to change one subscription that was read before."""

    def __init__(self, subscription: Id, who: Engineer, api: Api, if_match: IfMatch = None) -> None:
        self._subscription, self._who, self._api, self._if_match = subscription, who, api, if_match

    def replace(self, body: SubscriptionBody) -> Response:
        """Replace it; raises Refusal."""
        with self._api.database.transaction() as session:
            version = self._version(session)
            with _secret_needed():
                after = self._api.stores.subscriptions.replace(
                    session, self._subscription, version, body.edit()
                )
            if after is None:
                raise Refusal("changed_meanwhile")
            self._note(session, "subscription.replace", after.name)
        headers = {"ETag": etag(after.version)}
        return Response(after.model_dump_json(), 200, headers, "application/json")

    def delete(self) -> Response:
        """Delete it; raises Refusal."""
        with self._api.database.transaction() as session:
            version = self._version(session)
            chain = self._api.stores.chains.naming(session, self._subscription)
            if chain is not None:
                raise Refusal("conflict", f"the escalation chain {chain.id} tells it").because("in_a_chain")
            if not self._api.stores.subscriptions.delete(session, self._subscription, version):
                raise Refusal("changed_meanwhile")
            self._note(session, "subscription.delete", "")
        return Response(status_code=204)

    def _version(self, session: Session) -> int:
        before = self._api.stores.subscriptions.find(session, self._subscription)
        if before is None:
            raise Refusal("no_such_subscription")
        check_match(self._if_match, etag(before.version))
        return before.version

    def _note(self, session: Session, act: str, detail: str) -> None:
        noted = AuditAct(self._who.name, act, f"subscription/{self._subscription}", detail)
        self._api.stores.audit.write(session, noted, self._api.clock.now())


Changing = Annotated[_Changing, Depends()]


@router.get("")
def list_subscriptions(query: Annotated[ListQuery, Query()], _: Engineer, api: Api) -> ListPage[Subscription]:
    """List all subscriptions, without their secrets."""
    with api.database.read() as session:
        found = api.stores.subscriptions.page(session, only_id(query.cursor), query.limit + 1)
    kept, following = page_of(found, query.limit, lambda one: (one.id,))
    return ListPage(items=kept, next=following)


@router.post("", status_code=201, response_model=MadeSubscription)
def create_subscription(body: SubscriptionBody, who: Engineer, api: Api, sent: Sent) -> Response:
    """Subscribe; the secret is in this answer and in no other."""

    def act(session: Session) -> Done:
        now = api.clock.now()
        with _secret_needed():
            made, secret = api.stores.subscriptions.create(session, body.edit(), who.name, now)
        noted = AuditAct(who.name, "subscription.create", f"subscription/{made.id}", made.name)
        api.stores.audit.write(session, noted, now)
        answer = MadeSubscription(subscription=made, secret=secret)
        return Done(answer, secrets=frozenset({"secret"}), etag=etag(made.version))

    return once(api, sent.of(who), act)


@router.get("/{subscription}")
def show_subscription(subscription: Id, response: Response, _: Engineer, api: Api) -> Subscription:
    """Show one subscription; its ETag is needed to change it."""
    with api.database.read() as session:
        found = api.stores.subscriptions.find(session, subscription)
    if found is None:
        raise Refusal("no_such_subscription")
    response.headers["ETag"] = etag(found.version)
    return found


@router.put("/{subscription}", response_model=Subscription)
def replace_subscription(body: SubscriptionBody, changing: Changing) -> Response:
    """Replace a subscription that is still as it was read."""
    return changing.replace(body)


@router.delete("/{subscription}", status_code=204)
def delete_subscription(changing: Changing) -> Response:
    """Delete a subscription that is still as it was read, and with it what was still to be delivered."""
    return changing.delete()


@router.post("/{subscription}/test")
def send_sample(subscription: Id, who: Engineer, api: Api) -> SampleResult:
    """Send a real sample now, picture included, and tell what became of it."""
    with api.database.transaction() as session:
        if api.stores.subscriptions.find(session, subscription) is None:
            raise Refusal("no_such_subscription")
        noted = AuditAct(who.name, "subscription.test", f"subscription/{subscription}")
        api.stores.audit.write(session, noted, api.clock.now())
    sent = api.samples.send_sample(subscription)
    return SampleResult(
        outcome="delivered" if sent.is_delivered else "failed",
        status=sent.status,
        reason=sent.reason,
        milliseconds=sent.milliseconds,
        answer_head=sent.answer_head,
    )


@router.post("/{subscription}/replay", status_code=202, response_model=Replayed)
def replay_span(subscription: Id, body: ReplayBody, who: Engineer, api: Api, sent: Sent) -> Response:
    """Send the changes of a span of time again."""

    def act(session: Session) -> Done:
        if api.stores.subscriptions.find(session, subscription) is None:
            raise Refusal("no_such_subscription")
        now, span = api.clock.now(), (body.since, body.until)
        count = api.stores.deliveries.replay(session, subscription, span, now)
        detail = f"{count} from {body.since.isoformat()} to {body.until.isoformat()}"
        noted = AuditAct(who.name, "subscription.replay", f"subscription/{subscription}", detail)
        api.stores.audit.write(session, noted, now)
        return Done(Replayed(deliveries=count), 202)

    return once(api, sent.of(who), act)
