"""What a camera says of itself: a bad state that lasts, silence, and accounts that do not add up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import AwareDatetime

from alerts.incidents.change import Opening, Subject, of_kinds, opened, resolved
from alerts.incidents.incident import Incident, IncidentChange
from steadyline.alert_rules import CameraStateRules
from steadyline.contracts.alert import IncidentKind, Severity
from steadyline.contracts.camera_status import CameraState, CameraStatus
from steadyline.contracts.message import Part, Word
from steadyline.line import Line

# A camera that is down or frozen inspects nothing.
BAD_STATES: dict[CameraState, tuple[IncidentKind, Severity]] = {
    "down": ("camera_down", "critical"),
    "frozen": ("camera_frozen", "critical"),
    "dark": ("camera_dark", "warning"),
    "bright": ("camera_bright", "warning"),
    "blurred": ("camera_blurred", "warning"),
    "slow": ("camera_slow", "warning"),
}
STATE_KINDS = tuple(kind for kind, _ in BAD_STATES.values())


class CameraMemory(Part):
    """What is remembered of one camera's statuses."""

    camera: str
    product: str
    epoch: int
    at: AwareDatetime  # of the last status taken, by the camera's clock
    state: CameraState
    since: AwareDatetime  # the state has been the same, without a silence
    told: tuple[
        IncidentKind, ...
    ] = ()  # opened since the camera was last up: not again if a person closes it
    is_missing: bool = False  # the accounts did not add up in the last status
    is_silent: bool = False  # the silence since ``at`` is told
    waited_since: AwareDatetime | None = None  # by our clock: no status has come since then


@dataclass(frozen=True, slots=True)
class CameraStep:
    """What a status makes of the memory, and why it was passed over if it was: a fixed word."""

    memory: CameraMemory
    changes: tuple[IncidentChange, ...] = ()
    ignored: str | None = None


@dataclass(frozen=True, slots=True)
class SeenStatus:
    """A status with what it is judged by."""

    status: CameraStatus
    line: str
    rules: CameraStateRules

    @property
    def subject(self) -> Subject:
        """The camera, as what incidents are about."""
        return Subject(self.line, self.status.product, self.status.camera)


def observe_status(
    memory: CameraMemory | None, incidents: Sequence[Incident], seen: SeenStatus
) -> CameraStep:
    """Take one status in. One of a former epoch, or one that is not newer than the last, changes nothing."""
    status, changes = seen.status, list[IncidentChange]()
    if memory is not None:
        late = _late(memory, status)
        if late is not None:
            return CameraStep(memory, ignored=late)
        if memory.state != "ended" and status.at - memory.at > seen.rules.silent_after:
            memory, changes = _silent(memory, incidents, seen.line, seen.rules)
    after = _followed(memory, status)
    incidents = [*incidents, *(change.incident for change in changes)]
    for look in (_worsen, _recover, _add_up):
        after, more = look(after, incidents, seen)
        changes += more
    return CameraStep(after, tuple(changes))


def silence(
    line: Line, memory: CameraMemory, incidents: Sequence[Incident], now: datetime
) -> tuple[CameraMemory, list[IncidentChange]]:
    """Note that no status has come up to ``now``.

    How long that is, is measured by our clock alone; the incident is the one that the gap between two
    statuses would have opened afterwards.
    """
    if memory.state == "ended" or memory.is_silent:
        return memory, []
    if memory.waited_since is None:
        return memory.model_copy(update={"waited_since": now}), []
    rules = line.alerts.camera_states
    if now - memory.waited_since <= rules.silent_after:
        return memory, []
    return _silent(memory, incidents, line.line, rules)


def _late(memory: CameraMemory, status: CameraStatus) -> str | None:
    if status.epoch != memory.epoch:
        return "late" if status.epoch < memory.epoch else None
    if status.at > memory.at:
        return None
    return "repeated" if status.at == memory.at else "late"


def _followed(memory: CameraMemory | None, status: CameraStatus) -> CameraMemory:
    """Return the memory with a status in it, before anything is concluded from it."""
    lasts = memory is not None and memory.state == status.state and not memory.is_silent
    return CameraMemory(
        camera=status.camera,
        product=status.product,
        epoch=status.epoch,
        at=status.at,
        state=status.state,
        since=memory.since if memory is not None and lasts else status.at,
        told=memory.told if memory is not None else (),
        is_missing=memory.is_missing if memory is not None else False,
    )


def _silent(
    memory: CameraMemory, incidents: Sequence[Incident], line: str, rules: CameraStateRules
) -> tuple[CameraMemory, list[IncidentChange]]:
    """Open the incident of a camera that says nothing any more, unless it is known to be down."""
    known = memory.is_silent or "camera_down" in memory.told or of_kinds(incidents, ("camera_down",))
    told = tuple(dict.fromkeys((*memory.told, "camera_down")))
    after = memory.model_copy(update={"is_silent": True, "told": told})
    if known:
        return after, []
    seconds = rules.silent_after.total_seconds()
    opening = Opening(
        "camera_down",
        "critical",
        memory.at + rules.silent_after,
        f"silent/{memory.epoch}/{memory.at.isoformat()}",
        f"Camera {memory.camera} is silent: its producer sends no status",
        f"no status after {memory.at:%F %T %Z} for more than {seconds:g} s (silent_after)",
    )
    return after, [opened(Subject(line, memory.product, memory.camera), opening)]


def _worsen(
    memory: CameraMemory, incidents: Sequence[Incident], seen: SeenStatus
) -> tuple[CameraMemory, list[IncidentChange]]:
    """Open the incident of a bad state that has lasted long enough."""
    status, rules = seen.status, seen.rules
    if status.state not in BAD_STATES:
        return memory, []
    kind, severity = BAD_STATES[status.state]
    lasted = status.at - memory.since
    if lasted < rules.open_after or kind in memory.told or of_kinds(incidents, (kind,)):
        return memory, []
    opening = Opening(
        kind,
        severity,
        status.at,
        f"{status.epoch}/{memory.since.isoformat()}",
        f"Camera {status.camera} is {status.state}: {_said(status.reason)}",
        f"{status.state} ({_said(status.reason)}) for {lasted.total_seconds():g} s, "
        f"{rules.open_after.total_seconds():g} s or more (open_after)",
    )
    return memory.model_copy(update={"told": (*memory.told, kind)}), [opened(seen.subject, opening)]


def _recover(
    memory: CameraMemory, incidents: Sequence[Incident], seen: SeenStatus
) -> tuple[CameraMemory, list[IncidentChange]]:
    """Close what was open, once the camera has been up long enough."""
    status, rules = seen.status, seen.rules
    lasted = status.at - memory.since
    if status.state != "up" or lasted < rules.close_after:
        return memory, []
    why = (
        f"up for {lasted.total_seconds():g} s, {rules.close_after.total_seconds():g} s or more (close_after)"
    )
    changes = [resolved(one, status.at, why) for one in of_kinds(incidents, STATE_KINDS)]
    return memory.model_copy(update={"told": ()}), changes


def _add_up(
    memory: CameraMemory, incidents: Sequence[Incident], seen: SeenStatus
) -> tuple[CameraMemory, list[IncidentChange]]:
    """Hold the accounting identity of the status against itself."""
    status = seen.status
    dropped = sum(status.dropped.values())
    found = f"{status.published} published + {dropped} dropped + {status.pending} pending"
    sums = f"{status.captured} captured, {found}"
    after = memory.model_copy(
        update={"is_missing": status.captured != status.published + dropped + status.pending}
    )
    known = of_kinds(incidents, ("frames_missing",))
    if not after.is_missing:
        why = f"the account adds up again: {sums}"
        return after, [resolved(one, status.at, why) for one in known]
    if known or memory.is_missing:
        return after, []
    opening = Opening(
        "frames_missing",
        "critical",
        status.at,
        f"{status.epoch}/{status.at.isoformat()}",
        f"Camera {status.camera}: frames are missing from its account",
        f"captured = published + dropped + pending does not hold: {sums}",
    )
    return after, [opened(seen.subject, opening)]


def _said(reason: Word) -> str:
    return reason.replace("_", " ")
