"""What is measured of the line: scorers that are behind, refused messages, frames without scores."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import AwareDatetime, Field

from alerts.incidents.change import Opening, Subject, merged, of_kinds, opened, resolved
from alerts.incidents.incident import Incident, IncidentChange
from alerts.incidents.observation import LineSeen
from steadyline.alert_rules import LineAlerts
from steadyline.contracts.alert import IncidentKind, Severity
from steadyline.contracts.message import Part

_SLOTS = 60  # of the time in which dead letters are counted: what is remembered of them stays small
_WORDS = 5  # reason words that are told


class LettersSeen(Part):
    """Dead letters of one slot of time, by reason word."""

    at: AwareDatetime  # when the slot began
    reasons: dict[str, int] = Field(default_factory=dict)


class LineMemory(Part):
    """What is remembered of the line; all moments are of our clock."""

    at: AwareDatetime  # of the last measure
    frames: int
    scores: int
    behind_since: AwareDatetime | None = None  # the lag has been too great
    caught_up_since: AwareDatetime | None = None  # it has been half of that or less
    letters: tuple[LettersSeen, ...] = ()
    unscored: int = 0  # frames since the last score
    waiting_since: AwareDatetime | None = None  # frames have waited, and no score has come
    scored_since: AwareDatetime | None = None  # scores have come
    told: tuple[IncidentKind, ...] = ()  # opened since all was well: not again if a person closes it


@dataclass(frozen=True, slots=True)
class LineStep:
    """What a measure makes of the memory."""

    memory: LineMemory
    changes: tuple[IncidentChange, ...] = ()


@dataclass(frozen=True, slots=True)
class LineFinding:
    """What one rule says of a measure: that it is bad, that it is good again, or neither."""

    kind: IncidentKind
    severity: Severity
    is_bad: bool
    is_good: bool
    summary: str
    why: str
    has_more: bool = False  # the incident that stands is to be told of it


def observe_line(
    memory: LineMemory | None, incidents: Sequence[Incident], seen: LineSeen, rules: LineAlerts
) -> LineStep:
    """Take one measure in. When our clock was set back, all that has lasted begins anew."""
    if memory is None or seen.at < memory.at:
        told = memory.told if memory is not None else ()
        memory = LineMemory(at=seen.at, frames=seen.frames, scores=seen.scores, told=told)
    changes = list[IncidentChange]()
    for look in (_lag, _dead_letters, _no_scores):
        memory, finding = look(memory, seen, rules)
        memory, more = _concluded(memory, incidents, seen, finding)
        changes += more
    update = {"at": seen.at, "frames": seen.frames, "scores": seen.scores}
    return LineStep(memory.model_copy(update=update), tuple(changes))


def _lag(memory: LineMemory, seen: LineSeen, rules: LineAlerts) -> tuple[LineMemory, LineFinding]:
    """Judge how many frames wait for the scorers, and how long so many have."""
    rule, half = rules.lag, rules.lag.frames // 2
    behind = _since(memory.behind_since, seen.at, seen.lag >= rule.frames)
    caught_up = _since(memory.caught_up_since, seen.at, seen.lag <= half)
    is_bad = _has_lasted(behind, seen.at, rule.open_after)
    is_good = _has_lasted(caught_up, seen.at, rule.close_after)
    limit, rule_for = (
        (f"{rule.frames} or more", f"{_seconds(rule.open_after)} (lag: frames, open_after)")
        if is_bad
        else (f"{half} or fewer", f"{_seconds(rule.close_after)} (lag: half of frames, close_after)")
    )
    finding = LineFinding(
        "lag",
        "warning",
        is_bad,
        is_good,
        f"The scorers of {seen.line} are behind: {seen.lag} frames wait",
        f"{seen.lag} frames wait for the scorers, and {limit} have for {rule_for}",
    )
    return memory.model_copy(update={"behind_since": behind, "caught_up_since": caught_up}), finding


def _dead_letters(memory: LineMemory, seen: LineSeen, rules: LineAlerts) -> tuple[LineMemory, LineFinding]:
    """Count refused messages within the time of the rule."""
    rule = rules.dead_letters
    letters = _with_letters(memory.letters, seen, rule.within)
    reasons = sum((Counter(slot.reasons) for slot in letters), Counter[str]())
    count, half = reasons.total(), rule.count // 2
    is_bad = count >= rule.count
    limit = f"{rule.count} or more" if is_bad else f"half of {rule.count} or fewer"
    finding = LineFinding(
        "dead_letters",
        "warning",
        is_bad,
        count <= half,
        f"Messages of {seen.line} are refused: {_told(reasons)}",
        f"{_told(reasons)} within {_seconds(rule.within)}, {limit} (dead_letters: count, within)",
        has_more=bool(seen.letters),
    )
    return memory.model_copy(update={"letters": letters}), finding


def _no_scores(memory: LineMemory, seen: LineSeen, rules: LineAlerts) -> tuple[LineMemory, LineFinding]:
    """Judge whether scores come while frames do."""
    rule = rules.no_scores
    has_scored = seen.scores > memory.scores
    unscored = 0 if has_scored else memory.unscored + max(0, seen.frames - memory.frames)
    waits = not has_scored and (seen.lag > 0 or unscored >= rule.frames)
    waiting = _since(memory.waiting_since, seen.at, waits)
    is_bad = _has_lasted(waiting, seen.at, rule.after)
    scored = None if is_bad else _since(memory.scored_since, seen.at, has_scored or bool(memory.scored_since))
    is_good = not waits and _has_lasted(scored, seen.at, rule.close_after)
    came = f"{unscored} frames have come since the last score, {seen.lag} wait for the scorers"
    why = (
        f"no score has come for {_seconds(rule.after)} or more (no_scores: after); {came}"
        if is_bad
        else f"scores come again for {_seconds(rule.close_after)} or more (no_scores: close_after); {came}"
    )
    summary = f"No scores come on {seen.line} although frames do: nothing is inspected"
    finding = LineFinding("no_scores", "critical", is_bad, is_good, summary, why)
    update = {"unscored": unscored, "waiting_since": waiting, "scored_since": scored}
    return memory.model_copy(update=update), finding


def _concluded(
    memory: LineMemory, incidents: Sequence[Incident], seen: LineSeen, finding: LineFinding
) -> tuple[LineMemory, list[IncidentChange]]:
    """Open what is bad, unless it is known; close what is good again."""
    standing = of_kinds(incidents, (finding.kind,))
    if finding.is_good:
        told = tuple(kind for kind in memory.told if kind != finding.kind)
        changes = [resolved(one, seen.at, finding.why) for one in standing]
        return memory.model_copy(update={"told": told}), changes
    if standing:
        more = [one.with_changes(summary=finding.summary) for one in standing if finding.has_more]
        return memory, [merged(one, seen.at, finding.why) for one in more]
    if not finding.is_bad or finding.kind in memory.told:
        return memory, []
    opening = Opening(
        finding.kind, finding.severity, seen.at, seen.at.isoformat(), finding.summary, finding.why
    )
    memory = memory.model_copy(update={"told": (*memory.told, finding.kind)})
    return memory, [opened(Subject(seen.line), opening)]


def _with_letters(
    before: Sequence[LettersSeen], seen: LineSeen, within: timedelta
) -> tuple[LettersSeen, ...]:
    """Return the letters that still count, those of this measure in the slot that it is in."""
    kept = [slot for slot in before if seen.at - slot.at < within]
    if not seen.letters:
        return tuple(kept)
    if kept and seen.at - kept[-1].at < within / _SLOTS:
        last = kept.pop()
        return (*kept, LettersSeen(at=last.at, reasons=Counter(last.reasons) + Counter(seen.letters)))
    return (*kept, LettersSeen(at=seen.at, reasons=dict(seen.letters)))


def _since(before: datetime | None, now: datetime, is_so: bool) -> datetime | None:
    """Return since when something is so; None when it is not."""
    return (before or now) if is_so else None


def _has_lasted(since: datetime | None, now: datetime, duration: timedelta) -> bool:
    return since is not None and now - since >= duration


def _seconds(duration: timedelta) -> str:
    return f"{duration.total_seconds():g} s"


def _told(reasons: Mapping[str, int]) -> str:
    """Return how many letters there are, and of which the most are."""
    counts = Counter(reasons)
    total, most = counts.total(), counts.most_common(_WORDS)
    letters = f"{total} dead letter{'s' * (total != 1)}"
    named = ", ".join(f"{count} {word}" for word, count in most)
    rest = total - sum(count for _, count in most)
    return f"{letters} ({named}{f', {rest} others' if rest else ''})" if named else letters
