"""Idempotency-Key: a request that is sent again, because its answer was lost, does nothing again."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request
from pydantic import BaseModel
from sqlalchemy.orm import Session
from starlette.responses import Response

from alerts.api.auth import Principal
from alerts.api.dependencies import ApiDependencies
from alerts.api.problem import Refusal
from alerts.database.repeat_store import KeptAnswer, RepeatKey

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=128,
        pattern=r"^[\x21-\x7e]+$",
        description="Any word of yours: the same request with the same one is done once within a day.",
    ),
]


@dataclass(frozen=True, slots=True)
class SentRequest:
    """What makes two requests the same."""

    key: str | None
    digest: str

    def of(self, principal: Principal) -> RepeatKey | None:
        """Return the key of one sender; None when none was sent."""
        return None if self.key is None else RepeatKey(principal.key, self.key, self.digest)


async def _sent(request: Request, idempotency_key: IdempotencyKey = None) -> SentRequest:
    parts = (request.method.encode(), request.url.path.encode(), await request.body())
    return SentRequest(idempotency_key, hashlib.sha256(b"\n".join(parts)).hexdigest())


Sent = Annotated[SentRequest, Depends(_sent)]


@dataclass(frozen=True, slots=True)
class Done:
    """An answer. ``secrets`` are fields that only the first one has: they are kept nowhere."""

    body: BaseModel
    status: int = 201
    secrets: frozenset[str] = frozenset()
    etag: str | None = None


def once(api: ApiDependencies, key: RepeatKey | None, act: Callable[[Session], Done]) -> Response:
    """Do an act in one transaction, unless this key was answered before; returns that answer then."""
    with api.database.transaction() as session:
        if key is None:
            return _answer(act(session))
        now = api.clock.now()
        kept = api.stores.repeats.find(session, key, now)
        if kept is not None:
            return _again(kept, key)
        done = act(session)
        text = done.body.model_copy(update=dict.fromkeys(done.secrets)).model_dump_json()
        if not api.stores.repeats.keep(session, key, KeptAnswer(key.digest, done.status, text), now):
            raise Refusal("repeated_meanwhile")
        return _answer(done)


def find_repeat(api: ApiDependencies, key: RepeatKey | None) -> Response | None:
    """Return the answer that a key was given before, if any."""
    if key is None:
        return None
    with api.database.transaction() as session:
        kept = api.stores.repeats.find(session, key, api.clock.now())
    return None if kept is None else _again(kept, key)


def _again(kept: KeptAnswer, key: RepeatKey) -> Response:
    if kept.digest != key.digest:
        raise Refusal("key_reused")
    return Response(kept.content, kept.status, {"Idempotent-Replayed": "true"}, "application/json")


def _answer(done: Done) -> Response:
    headers = {} if done.etag is None else {"ETag": done.etag}
    return Response(done.body.model_dump_json(), done.status, headers, "application/json")
