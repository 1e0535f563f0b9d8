"""Show the timeline of a frame as JSON, or as lines in order of time."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from steadyline.contracts.topics import Topics
from steadyline.kafka.dead_letters.letter import Letter, TopicPosition
from steadyline.ops.trace.incidents import ChangeSighting, IncidentSighting
from steadyline.ops.trace.timeline import FrameTimeline, PublishedSighting, ScoreSighting
from steadyline.terminal import PlainConsole

Event = tuple[datetime, str, str]

ROLES = {
    "opened": "this frame opened it",
    "counted": "this frame counted towards it",
    "worst": "this frame is its worst",
    "last": "this frame is its last",
    "merged": "this frame merged into it",
}


def as_json(timeline: FrameTimeline, topics: Topics) -> dict[str, Any]:
    """Return everything as JSON values."""
    status = timeline.status
    return {
        "frame": str(timeline.frame),
        "fate": timeline.fate,
        "why": why(timeline, topics),
        "product": timeline.product or None,
        "epoch_began": timeline.frame.began.isoformat(),
        "captured_at": timeline.captured_at.isoformat() if timeline.captured_at else None,
        "trace_id": timeline.trace_id,
        "dropped": timeline.dropped,
        "published": [_published(item, topics) for item in timeline.published],
        "scores": [_scored(item, topics) for item in timeline.scores],
        "dead_letters": [_letter(letter, topics) for letter in timeline.letters],
        "incidents": [_incident(item) for item in timeline.incidents],
        "deliveries_unknown": timeline.deliveries_unknown,
        "camera_status": status
        and status.model_dump(mode="json", include={"at", "state", "reason", "captured", "pending"}),
    }


def show(timeline: FrameTimeline, topics: Topics, console: PlainConsole) -> None:
    """Print what became of the frame, then what happened to it, oldest first."""
    of = f" of {timeline.product}" if timeline.product else ""
    console.print(f"{timeline.frame}{of}: {timeline.fate}: {why(timeline, topics)}")
    events = sorted(_events(timeline, topics), key=lambda event: event[0])
    width = max((len(word) for _, word, _ in events), default=0)
    for at, word, text in events:
        console.print(f"  {at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03} {word:{width}}  {text}")
    if timeline.is_anomalous and not timeline.incidents:
        console.print(f"it is in no incident that {topics.alerts.name} tells of yet")
    if timeline.incidents and timeline.deliveries_unknown is not None:
        console.print(f"what became of the deliveries is not known: {timeline.deliveries_unknown}")


def why(timeline: FrameTimeline, topics: Topics) -> str:
    """Return one sentence that says what the fate means for this frame."""
    match timeline.fate:
        case "scored":
            score = timeline.scores[0].score
            return f"{score.verdict}, by version {score.model_version}"
        case "dropped":
            return f"its producer dropped it: {timeline.dropped}"
        case "dead-lettered":
            letter = timeline.refusals()[0]
            return f"{letter.reason}; `steadyline dlq replay {letter.place}` sends it through again"
        case "waiting":
            return f"it waits on {topics.frames.name}, {timeline.waiting()[0].ahead} frames before it"
        case "doubled":
            return "it has more than one fate, and may have one only: `steadyline audit` tells of the others"
        case _:
            return _without_fate(timeline)


def _without_fate(timeline: FrameTimeline) -> str:
    """Return why a frame is on none of the topics."""
    status = timeline.status
    if timeline.fate == "missing":
        if timeline.letters:
            return "it was replayed, and nothing has come of that"
        return "its producer published it, and no topic says what became of it: run `steadyline audit`"
    if timeline.fate == "expired":
        return "retention has deleted what became of it"
    if status is None:
        return f"no producer of {timeline.frame.camera} has told of an epoch {timeline.frame.epoch}"
    if timeline.fate == "pending":
        return f"captured, and still at its producer: {status.pending} frames are"
    status_text = f"its producer told of {status.captured} frames at {status.at:%Y-%m-%d %H:%M:%S}"
    return (
        f"{status_text}, and then ended"
        if status.state == "ended"
        else f"{status_text}; ask again in a moment"
    )


def _events(timeline: FrameTimeline, topics: Topics) -> list[Event]:
    events = [_publishing(item, topics, timeline.trace_id) for item in timeline.published]
    events += [_scoring(item) for item in timeline.scores]
    events += [_refusal(letter) for letter in timeline.letters]
    for incident in timeline.incidents:
        events += [_change(incident, item) for item in incident.changes]
        events += [_delivery(item) for item in incident.deliveries or ()]
    if timeline.captured_at is not None:
        events.append((timeline.captured_at, "captured", f"by {timeline.frame.camera}"))
    if timeline.dropped is not None and timeline.status is not None:
        events.append((timeline.status.at, "dropped", f"{timeline.dropped}, as told at this time"))
    return events


def _publishing(item: PublishedSighting, topics: Topics, trace_id: str | None) -> Event:
    size = f"{item.size} bytes of {item.content_type or 'no content type'}"
    trace = f", trace {trace_id}" if trace_id else ""
    word = "published" if item.replayed_from is None else "replayed"
    origin = "" if item.replayed_from is None else f" from dead letter {item.replayed_from}"
    return item.at, word, f"to {topics.frames.name} {item.place}{origin}: {size}{trace}"


def _scoring(item: ScoreSighting) -> Event:
    score = item.score
    kept = [uri for uri in (score.picture_uri, score.map_uri) if uri is not None]
    text = (
        f"{score.verdict}: score {score.score:.4g}, threshold {score.threshold:.4g}, p {score.p_value:.3g}, "
        f"by version {score.model_version} with thresholds {score.threshold_version}, "
        f"{_milliseconds(item)} ms after its capture"
    )
    if score.certified_verdict is not None:
        text += f"; {score.certified_verdict} for every change of at most {score.certified_margin}/255"
    return score.scored_at, "scored", f"{text}; evidence {', '.join(kept)}" if kept else text


def _refusal(letter: Letter) -> Event:
    return letter.at, "refused", f"{letter.reason}, dead letter {letter.place}: {letter.error}"


def _change(incident: IncidentSighting, item: ChangeSighting) -> Event:
    alert = item.alert
    told = "subscribers are told" if alert.notify else "nobody is told"
    role = f", {ROLES[incident.role]}" if alert.change == "opened" else ""
    return (
        item.at,
        "incident",
        f"{alert.incident} {alert.change}, {alert.severity}{role}: {alert.why}; {told}",
    )


def _delivery(found: Mapping[str, Any]) -> Event:
    """Return a delivery at the moment of its success, or else of what is next to come of it."""
    moment = found["delivered_at"] or (found["next_at"] if found["state"] == "pending" else found["deadline"])
    attempts = "1 attempt" if found["attempts"] == 1 else f"{found['attempts']} attempts"
    why = f", {found['last_reason']}" if found["last_reason"] else ""
    text = f"{found['id']} to subscription {found['subscription']}: {found['state']} after {attempts}{why}"
    return datetime.fromisoformat(moment), "delivery", text


def _incident(item: IncidentSighting) -> dict[str, Any]:
    return {
        "id": item.id,
        "role": item.role,
        "changes": [
            {"on_topic_at": one.at.isoformat(), **one.alert.model_dump(mode="json")} for one in item.changes
        ],
        "deliveries": item.deliveries,
    }


def _published(item: PublishedSighting, topics: Topics) -> dict[str, Any]:
    return {
        **_at(topics.frames.name, item.place),
        "bytes": item.size,
        "content_type": item.content_type or None,
        "at": item.at.isoformat(),
        "waiting": item.is_waiting,
        "frames_before_it": item.ahead,
        "replayed_from": str(item.replayed_from) if item.replayed_from else None,
    }


def _scored(item: ScoreSighting, topics: Topics) -> dict[str, Any]:
    fields = item.score.model_dump(mode="json", exclude={"frame", "camera", "product", "captured_at"})
    return {
        **_at(topics.scores.name, item.place),
        "at": item.at.isoformat(),
        **fields,
        "latency_ms": _milliseconds(item),
    }


def _letter(letter: Letter, topics: Topics) -> dict[str, Any]:
    return {
        **_at(topics.dead_letters.name, letter.place),
        "reason": letter.reason,
        "error": letter.error,
        "bytes": letter.size,
        "at": letter.at.isoformat(),
        "source": str(letter.source) if letter.source else None,
        "replayed_from": str(letter.replayed_from) if letter.replayed_from else None,
    }


def _at(topic: str, place: TopicPosition) -> dict[str, Any]:
    return {"topic": topic, "partition": place.partition, "offset": place.offset}


def _milliseconds(item: ScoreSighting) -> int:
    return round((item.score.scored_at - item.score.captured_at).total_seconds() * 1000)
