"""The story of a frame in JSON and as lines in the order of time."""

from datetime import datetime
from typing import Any

from rich.console import Console

from steadyline.contracts.topics import Topics
from steadyline.ops.dead_letters.letter import Letter, Place
from steadyline.ops.terminal import plain
from steadyline.ops.trace.timeline import Published, Scored, Story

Event = tuple[datetime, str, str]


def as_json(story: Story, topics: Topics) -> dict[str, Any]:
    """Return the whole as JSON values."""
    status = story.status
    return {
        "frame": str(story.frame),
        "fate": story.fate,
        "why": why(story, topics),
        "product": story.product or None,
        "epoch_began": story.began.isoformat(),
        "captured_at": story.captured_at.isoformat() if story.captured_at else None,
        "trace_id": story.trace_id,
        "dropped": story.dropped,
        "published": [_published(item, topics) for item in story.published],
        "scores": [_scored(item, topics) for item in story.scores],
        "dead_letters": [_letter(letter, topics) for letter in story.letters],
        "camera_status": status
        and status.model_dump(mode="json", include={"at", "state", "reason", "captured", "pending"}),
    }


def show(story: Story, topics: Topics, console: Console) -> None:
    """Print what became of the frame, then what happened to it, oldest first."""
    of = f" of {story.product}" if story.product else ""
    console.print(plain(f"{story.frame}{of}: {story.fate}: {why(story, topics)}"))
    events = sorted(_events(story, topics), key=lambda event: event[0])
    width = max((len(word) for _, word, _ in events), default=0)
    for at, word, text in events:
        console.print(plain(f"  {at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03} {word:{width}}  {text}"))


def why(story: Story, topics: Topics) -> str:
    """Return one sentence that says what the fate means for this frame."""
    match story.fate:
        case "scored":
            score = story.scores[0].score
            return f"{score.verdict}, by version {score.model_version}"
        case "dropped":
            return f"its producer dropped it: {story.dropped}"
        case "dead-lettered":
            letter = story.refusals()[0]
            return f"{letter.reason}; `steadyline dlq replay {letter.place}` sends it through again"
        case "waiting":
            return f"it waits on {topics.frames.name}, {story.waiting()[0].ahead} frames before it"
        case "doubled":
            return "it has more than one fate, and may have one only: `steadyline audit` tells of the others"
        case _:
            return _without_fate(story)


def _without_fate(story: Story) -> str:
    """Return why a frame is on none of the topics."""
    status = story.status
    if story.fate == "missing":
        if story.letters:
            return "it was replayed, and nothing has come of that"
        return "its producer published it, and no topic says what became of it: run `steadyline audit`"
    if story.fate == "expired":
        return "retention has deleted what became of it"
    if status is None:
        return f"no producer of {story.frame.camera} has told of an epoch {story.frame.epoch}"
    if story.fate == "pending":
        return f"captured, and still at its producer: {status.pending} frames are"
    told = f"its producer told of {status.captured} frames at {status.at:%Y-%m-%d %H:%M:%S}"
    return f"{told}, and then ended" if status.state == "ended" else f"{told}; ask again in a moment"


def _events(story: Story, topics: Topics) -> list[Event]:
    events = [_publishing(item, topics, story.trace_id) for item in story.published]
    events += [_scoring(item) for item in story.scores]
    events += [_refusal(letter) for letter in story.letters]
    if story.captured_at is not None:
        events.append((story.captured_at, "captured", f"by {story.frame.camera}"))
    if story.dropped is not None and story.status is not None:
        events.append((story.status.at, "dropped", f"{story.dropped}, as told at this time"))
    return events


def _publishing(item: Published, topics: Topics, trace_id: str | None) -> Event:
    size = f"{item.size} bytes of {item.content_type or 'no content type'}"
    trace = f", trace {trace_id}" if trace_id else ""
    word = "published" if item.replayed_from is None else "replayed"
    origin = "" if item.replayed_from is None else f" from dead letter {item.replayed_from}"
    return item.at, word, f"to {topics.frames.name} {item.place}{origin}: {size}{trace}"


def _scoring(item: Scored) -> Event:
    score = item.score
    kept = [uri for uri in (score.picture_uri, score.map_uri) if uri is not None]
    text = (
        f"{score.verdict}: score {score.score:.4g}, threshold {score.threshold:.4g}, p {score.p_value:.3g}, "
        f"by version {score.model_version} with thresholds {score.threshold_version}, "
        f"{_milliseconds(item)} ms after its capture"
    )
    return score.scored_at, "scored", f"{text}; evidence {', '.join(kept)}" if kept else text


def _refusal(letter: Letter) -> Event:
    return letter.at, "refused", f"{letter.reason}, dead letter {letter.place}: {letter.error}"


def _published(item: Published, topics: Topics) -> dict[str, Any]:
    return {
        **_at(topics.frames.name, item.place),
        "bytes": item.size,
        "content_type": item.content_type or None,
        "at": item.at.isoformat(),
        "waiting": item.is_waiting,
        "frames_before_it": item.ahead,
        "replayed_from": str(item.replayed_from) if item.replayed_from else None,
    }


def _scored(item: Scored, topics: Topics) -> dict[str, Any]:
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


def _at(topic: str, place: Place) -> dict[str, Any]:
    return {"topic": topic, "partition": place.partition, "offset": place.offset}


def _milliseconds(item: Scored) -> int:
    return round((item.score.scored_at - item.score.captured_at).total_seconds() * 1000)
