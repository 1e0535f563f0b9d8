"""The stream of changes as server-sent events; it goes on where a reader's last one ended."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Header, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from alerts.api.auth import Viewer, identify, secret_of
from alerts.api.dependencies import Api, ApiDependencies, Limits
from alerts.api.problem import Refusal
from alerts.api.view import alert_view
from steadyline.contracts.alert import Alert
from steadyline.errors import Transient

router = APIRouter(prefix="/events", tags=["events"])

_BATCH = 100
_RETRY_MS = 3_000  # how long a reader waits before it asks again

LastEventId = Annotated[
    str | None, Header(pattern=r"^[0-9]{1,18}$", description="Id of the last event that was received.")
]


@router.get(
    "",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
def stream_changes(
    request: Request, _: Viewer, api: Api, limits: Limits, last_event_id: LastEventId = None
) -> StreamingResponse:
    """Stream every change; without a Last-Event-ID those from now on. An event's data is one alert."""
    start = int(last_event_id) if last_event_id is not None else _newest(api)
    if not limits.streams.acquire(blocking=False):
        raise Refusal("too_many_streams", Retry_After="10")
    events = ChangeStream(api, secret_of(request), start)
    return _CountedStream(events.run(), limits.streams.release)


class _CountedStream(StreamingResponse):
    """A stream that says when it has ended, in whatever way."""

    def __init__(self, events: AsyncIterator[str], ended: Callable[[], None]) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        self._ended = ended

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ended()


def _newest(api: ApiDependencies) -> int:
    with api.database.read() as session:
        return api.stores.incidents.last_change(session)


@dataclass(slots=True)
class ChangeStream:
    """One reader's stream; it ends when the service stops, or when the token lets nobody in any more."""

    api: ApiDependencies
    secret: str
    position: int

    async def run(self) -> AsyncIterator[str]:
        """Yield the text of the stream."""
        checked = self.api.clock.monotonic()
        yield f"retry: {_RETRY_MS}\n\n"
        while not self.api.stop.is_set():
            if self.api.clock.monotonic() - checked >= self.api.settings.stream_heartbeat.total_seconds():
                if not await run_in_threadpool(self._is_let_in):
                    return
                checked = self.api.clock.monotonic()
                yield ": still here\n\n"
            changes = await run_in_threadpool(self._changes)
            for number, alert in changes:
                self.position = number
                yield event_text(number, alert)
            if len(changes) < _BATCH:
                await asyncio.sleep(self.api.settings.stream_poll.total_seconds())

    def _changes(self) -> Sequence[tuple[int, Alert]]:
        try:
            with self.api.database.read() as session:
                return self.api.stores.incidents.changes_after(session, self.position, _BATCH)
        except Transient:
            return ()  # it goes on at the same place once the database is back

    def _is_let_in(self) -> bool:
        try:
            identify(self.api, self.secret)
        except Refusal as refusal:
            return refusal.status == 503
        except Transient:
            return True
        return True


def event_text(number: int, alert: Alert) -> str:
    """Return one event: its id is the number of the change, its data one line of JSON."""
    return f"id: {number}\nevent: alert\ndata: {alert_view(alert).model_dump_json()}\n\n"
