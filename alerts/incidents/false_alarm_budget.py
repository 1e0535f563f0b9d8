"""The false-alarm budget of one camera: how many times as many frames are judged anomalous as was promised.

That is a burn rate, looked at over two windows of event time as in multiwindow alerts (Beyer and others: The
Site Reliability Workbook, 2018, chapter 5, "Alerting on SLOs"): the slow one says that it matters, the fast
one that it still goes on, and ends the incident.

A defect is no false alarm, and nobody tells the rules which is which in time. What false alarms have and a
defect has not is that they come again and again. So besides its share of frames an incident needs many runs:
anomalous frames one after another, of one part or of one anomaly incident are one run, however long it is. A
defective part that stands before the camera for an hour is one run, and the anomaly incident says so already.
Nor is anything concluded before a camera was watched for a whole fast window: one bad batch at the start is
no rate.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from alerts.incidents.change import Opening, Subject, of_kinds, opened, resolved
from alerts.incidents.incident import Incident, IncidentChange
from steadyline.alert_rules import FalseAlarmRules
from steadyline.contracts.alert import BudgetFacts
from steadyline.contracts.message import Part
from steadyline.contracts.score import Score

_FAST_BUCKETS = 6  # of the fast window; the oldest one leaves it whole


class VerdictBucket(NamedTuple):
    """Verdicts of a span of event time; ``number`` spans lie between it and 1970."""

    number: int
    frames: int = 0
    anomalous: int = 0
    runs: int = 0  # that began in it


class BudgetMemory(Part):
    """What is remembered of one camera's verdicts since its model or its threshold changed."""

    calibration: tuple[int, int]  # versions of the model and of its threshold
    span: float  # seconds of a bucket
    began: int  # number of the first bucket
    buckets: tuple[VerdictBucket, ...] = ()  # ascending
    is_running: bool = False  # the frame before was anomalous
    last_part: str | None = None  # of the last anomalous frame
    outdated: int = 0  # frames in a row that are older than all of the slow window
    incident: str | None = None


@dataclass(frozen=True, slots=True)
class SeenVerdict:
    """A score, the share of normal frames that may be anomalous, and whether an anomaly incident is open."""

    score: Score
    subject: Subject
    rules: FalseAlarmRules | None
    promised: float
    in_incident: bool

    @property
    def calibration(self) -> tuple[int, int]:
        """Versions of what has judged it."""
        return self.score.model_version, self.score.threshold_version


def observe_budget(
    memory: BudgetMemory | None, incidents: Sequence[Incident], seen: SeenVerdict
) -> tuple[BudgetMemory | None, list[IncidentChange]]:
    """Take one verdict in."""
    known, rules, at = of_kinds(incidents, ("false_alarms",)), seen.rules, seen.score.captured_at
    if rules is None:
        return None, [
            resolved(one, at, "the line file no longer asks for it (false_alarms)") for one in known
        ]
    span = rules.fast.total_seconds() / _FAST_BUCKETS
    changes: list[IncidentChange] = []
    if memory is not None and memory.calibration != seen.calibration:
        why = "version {} with threshold {} promises anew".format(*seen.calibration)
        changes = [resolved(one, at, why) for one in known]
        memory, known = None, []
    is_closed = memory is not None and memory.incident is not None and not known  # a person did
    if memory is None or is_closed or memory.span != span:
        memory = _begun(seen, span)
    memory = _counted(memory, seen, rules)
    if known:
        memory, more = _close(memory.model_copy(update={"incident": known[0].id}), known, seen, rules)
    else:
        memory, more = _open(memory, seen, rules)
    return memory, [*changes, *more]


def _begun(seen: SeenVerdict, span: float) -> BudgetMemory:
    number = _number(seen.score, span)
    return BudgetMemory(calibration=seen.calibration, span=span, began=number)


def _number(score: Score, span: float) -> int:
    return int(score.captured_at.timestamp() // span)


def _counted(memory: BudgetMemory, seen: SeenVerdict, rules: FalseAlarmRules) -> BudgetMemory:
    """Return the memory with this frame in its bucket, which is not the newest where a spool is read late.

    When all frames are older than the window, the newest was not: a clock was ahead, and all begins anew.
    """
    score, buckets = seen.score, memory.buckets
    number = _number(score, memory.span)
    newest = max(number, buckets[-1].number if buckets else number)
    oldest = newest - _slow_buckets(rules)
    if number <= oldest:
        if memory.outdated + 1 < rules.least_frames:
            return memory.model_copy(update={"outdated": memory.outdated + 1})
        memory, buckets, oldest = _begun(seen, memory.span), (), number - 1
    is_bad = score.verdict == "anomalous"
    same_part = score.part is not None and score.part == memory.last_part
    begins = is_bad and not (memory.is_running or seen.in_incident or same_part)
    before, after = _around(buckets, number)
    if before and before[-1].number == number:
        *older, now = before
    else:  # a new one: those that have left the window go
        older, now = [one for one in before if one.number > oldest], VerdictBucket(number)
    now = VerdictBucket(number, now.frames + 1, now.anomalous + is_bad, now.runs + begins)
    update = {
        "buckets": (*older, now, *after),
        "is_running": is_bad,
        "last_part": score.part if is_bad else memory.last_part,
        "outdated": 0,
    }
    return memory.model_copy(update=update)


def _around(
    buckets: tuple[VerdictBucket, ...], number: int
) -> tuple[tuple[VerdictBucket, ...], tuple[VerdictBucket, ...]]:
    """Return the buckets up to ``number`` and those behind it."""
    at = len(buckets)
    while at and buckets[at - 1].number > number:
        at -= 1
    return buckets[:at], buckets[at:]


def _slow_buckets(rules: FalseAlarmRules) -> int:
    return -(-rules.slow // (rules.fast / _FAST_BUCKETS))


def _total(buckets: Iterable[VerdictBucket]) -> VerdictBucket:
    listed = tuple(buckets)
    return VerdictBucket(
        number=0,
        frames=sum(one.frames for one in listed),
        anomalous=sum(one.anomalous for one in listed),
        runs=sum(one.runs for one in listed),
    )


def _fast(memory: BudgetMemory) -> VerdictBucket:
    newest = memory.buckets[-1].number
    return _total(one for one in memory.buckets if one.number > newest - _FAST_BUCKETS)


def _burn_rate(window: VerdictBucket, promised: float) -> float:
    return window.anomalous / window.frames / promised if window.frames else 0.0


def _facts(window: VerdictBucket, seen: SeenVerdict, rules: FalseAlarmRules) -> BudgetFacts:
    return BudgetFacts(
        promised=seen.promised,
        observed=window.anomalous / window.frames,
        frames=window.frames,
        burn_rate=_burn_rate(window, seen.promised),
        window_seconds=max(1, round(rules.fast.total_seconds())),
    )


def _open(
    memory: BudgetMemory, seen: SeenVerdict, rules: FalseAlarmRules
) -> tuple[BudgetMemory, list[IncidentChange]]:
    if not memory.is_running or memory.outdated or memory.buckets[-1].number - memory.began < _FAST_BUCKETS:
        return memory, []
    fast, slow = _fast(memory), _total(memory.buckets)
    burning = min(_burn_rate(window, seen.promised) for window in (fast, slow))
    if fast.frames < rules.least_frames or fast.runs < rules.least_runs or burning < rules.burn_rate:
        return memory, []
    facts, score = _facts(fast, seen, rules), seen.score
    opening = Opening(
        "false_alarms",
        "warning",
        score.captured_at,
        score.frame,
        f"Camera {seen.subject.camera}, {seen.subject.product}: {facts.observed:.2%} of the frames are "
        f"judged anomalous, {facts.burn_rate:.3g} times the promised {seen.promised:.2%}",
        f"{fast.anomalous} of {fast.frames} frames of the last {rules.fast} up to {score.frame}, in "
        f"{fast.runs} runs, are anomalous: {facts.burn_rate:.3g} times what is promised, and "
        f"{_burn_rate(slow, seen.promised):.3g} times in the last {rules.slow} "
        f"(false_alarms: burn_rate {rules.burn_rate:g})",
        budget=facts,
    )
    change = opened(seen.subject, opening)
    return memory.model_copy(update={"incident": change.incident.id}), [change]


def _close(
    memory: BudgetMemory, known: Sequence[Incident], seen: SeenVerdict, rules: FalseAlarmRules
) -> tuple[BudgetMemory, list[IncidentChange]]:
    fast = _fast(memory)
    burn_rate = _burn_rate(fast, seen.promised)
    if fast.frames < rules.least_frames or burn_rate >= rules.close_burn_rate:
        return memory, []
    why = (
        f"{fast.anomalous} of {fast.frames} frames of the last {rules.fast} are anomalous: {burn_rate:.3g} "
        f"times what is promised, below {rules.close_burn_rate:g} (close_burn_rate)"
    )
    facts, at = _facts(fast, seen, rules), seen.score.captured_at
    changes = [resolved(one.with_changes(budget=facts), at, why) for one in known]
    return memory.model_copy(update={"incident": None}), changes
