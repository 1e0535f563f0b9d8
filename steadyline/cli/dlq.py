"""``steadyline dlq``: what was refused and why, and sending it through the line again."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import JustifyMethod
from rich.table import Table

from steadyline.cli.since import moment
from steadyline.contracts.topics import Topics
from steadyline.errors import InvalidConfiguration
from steadyline.kafka.broker import Broker
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.kafka.dead_letters.letter import Letter, TopicPosition
from steadyline.kafka.dead_letters.replay import (
    CLIENT,
    Choice,
    ChosenLetters,
    Replay,
    ReplayedLetter,
    find,
    read_whole,
    send_back,
)
from steadyline.line import load_line
from steadyline.service import EXIT_FAILED, LineFile
from steadyline.settings import KafkaSettings, read_settings
from steadyline.terminal import PlainConsole

app = typer.Typer(help="Dead letters: look at what was refused, and replay it.", no_args_is_help=True)

REASONS_SHOWN = 20  # ours are fewer; a stranger may write a new one in each letter
SUFFIXES = ((b"\xff\xd8\xff", "jpg"), (b"\x89PNG\r\n\x1a\n", "png"))

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Reason = Annotated[
    str | None, typer.Option("--reason", help="Reason word of the letters; by default any reason.")
]
Camera = Annotated[str | None, typer.Option("--camera", help="Camera of the letters; by default any camera.")]
Since = Annotated[
    str | None,
    typer.Option("--since", help="Age of the oldest letters, 24h for example; by default any age."),
]
Group = Annotated[
    str | None, typer.Option("--group", help="Consumer group of the scorers; by default <prefix>.scorer.")
]


@app.command("list")
def list_letters(
    line: LineFile = Path("line.yaml"),
    reason: Reason = None,
    camera: Camera = None,
    since: Since = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Number of newest letters to list.")] = 50,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save", help="Folder to write the refused bytes of listed letters to; by default none."
        ),
    ] = None,
    group: Group = None,
    as_json: AsJson = False,
) -> None:
    """List what was refused, oldest first: place, frame, reason, size, time and fate of a replay."""
    choice = Choice(frozenset(), reason, camera, moment(since))
    with _at_line(line, group) as at:
        found = find(at.broker, at.topics, at.group, choice, limit)
        saved = {} if save is None else _save(at, found.letters, save)
    if as_json:
        rows = [_row(letter, found.replays.get(letter.place)) for letter in found.letters]
        for row in rows:
            if row["place"] in saved:
                row["file"] = str(saved[row["place"]])
        print(json.dumps({"matching": found.matching, "letters": rows}, indent=2))
        return
    console = _console()
    console.print(_table(found) if found.letters else _none(found))
    if found.matching > len(found.letters):
        console.print(f"the newest {len(found.letters)} of {found.matching}; --limit shows more")
    for path in saved.values():
        console.print(f"saved {path}")


@app.command()
def replay(
    places: Annotated[
        list[str] | None, typer.Argument(help="Letters as partition/offset; by default the options choose.")
    ] = None,
    line: LineFile = Path("line.yaml"),
    reason: Reason = None,
    camera: Camera = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Replay every letter there is; not with other choices.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be replayed.")] = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again", help="Also replay what was replayed before; the audit finds frames scored twice."
        ),
    ] = False,
    group: Group = None,
    as_json: AsJson = False,
) -> None:
    """Write refused frames back to the frames topic, untouched, for the scorers to take once more.

    Mend the cause first. A letter is replayed once: what was replayed before is left out and named. Exit
    status 1 when a letter given by its place was left out, or the broker did not take one.
    """
    choice = Choice(_parsed(places or []), reason, camera)
    if all_ == (choice != Choice()):
        raise InvalidConfiguration("say which letters: their places, --reason, --camera, or --all alone")
    with _at_line(line, group) as at:
        found = find(at.broker, at.topics, at.group, choice)
        plan = _plan(found, choice, at.topics.frames.name, again)
        done = _Done(plan, dry_run)
        try:
            if not dry_run and plan.chosen:
                for sent in send_back(at.broker, at.topics, {letter.place for letter in plan.chosen}):
                    done.sent.append(sent)
        finally:
            _tell(done, found, at.topics.frames.name, as_json)
    if done.failed or (plan.left_out and choice.places):
        raise typer.Exit(EXIT_FAILED)


@dataclass(frozen=True, slots=True)
class _AtLine:
    topics: Topics
    group: str
    broker: Broker


@contextmanager
def _at_line(path: Path, group: str | None) -> Iterator[_AtLine]:
    config = load_line(path)
    broker = KafkaBroker(read_settings(KafkaSettings), CLIENT)
    try:
        yield _AtLine(config.kafka_topics(), group or f"{config.topics.prefix}.scorer", broker)
    finally:
        broker.close()


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to replay, and what to leave out for which reason."""

    chosen: list[Letter]
    left_out: list[tuple[Letter, str]]


class _Done:
    """What came of a plan so far."""

    def __init__(self, plan: _Plan, dry_run: bool) -> None:
        self.plan, self.dry_run = plan, dry_run
        self.sent: list[ReplayedLetter] = []

    @property
    def replayed(self) -> list[Letter]:
        return [one.letter for one in self.sent if not one.problem]

    @property
    def failed(self) -> list[tuple[Letter, str]]:
        """Return what did not get through; in a dry run nothing was to."""
        if self.dry_run:
            return []
        tried = {one.letter.place for one in self.sent}
        untried = [(letter, "not tried") for letter in self.plan.chosen if letter.place not in tried]
        return [(one.letter, one.problem) for one in self.sent if one.problem] + untried


def _parsed(places: Sequence[str]) -> frozenset[TopicPosition]:
    found = {text: TopicPosition.parse(text) for text in places}
    for text, place in found.items():
        if place is None:
            raise InvalidConfiguration(f"{text!r} is no place of a letter: write partition/offset, 2/31 say")
    return frozenset(place for place in found.values() if place is not None)


def _plan(found: ChosenLetters, choice: Choice, frames: str, again: bool) -> _Plan:
    """Sort the letters; raises InvalidConfiguration when a place that was asked for holds no such letter."""
    absent = choice.places - {letter.place for letter in found.letters}
    if absent:
        named = ", ".join(map(str, sorted(absent)))
        fitting = " that fits the other options" if choice.reason or choice.camera else ""
        raise InvalidConfiguration(f"there is no letter{fitting} at {named}: see `steadyline dlq list`")
    judged = [(letter, found.refusal(letter, frames, again)) for letter in found.letters]
    return _Plan([letter for letter, why in judged if not why], [(one, why) for one, why in judged if why])


def _tell(done: _Done, found: ChosenLetters, frames: str, as_json: bool) -> None:
    going = done.plan.chosen if done.dry_run else done.replayed
    if as_json:
        answer = {
            "dry_run": done.dry_run,
            "topic": frames,
            "replayed": [_row(letter, found.replays.get(letter.place)) for letter in going],
            "left_out": [{"place": str(letter.place), "why": why} for letter, why in done.plan.left_out],
            "failed": [{"place": str(letter.place), "why": why} for letter, why in done.failed],
        }
        print(json.dumps(answer, indent=2))
        return
    console = _console()
    verb = "would be replayed" if done.dry_run else "replayed"
    for letter in going:
        assert letter.source is not None
        console.print(f"{_name(letter)}: {verb} to {frames}, partition {letter.source.partition}")
    for letter, why in done.plan.left_out:
        console.print(f"{_name(letter)}: left out: {why}")
    for letter, why in done.failed:
        console.print(f"{_name(letter)}: failed: {why}")
    if not found.letters:
        console.print(_none(found))
    console.print(f"{len(going)} {verb}, {len(done.plan.left_out)} left out, {len(done.failed)} failed")


def _save(at: _AtLine, letters: Sequence[Letter], folder: Path) -> dict[str, Path]:
    """Write each letter's bytes to a file named by its place; returns place → file."""
    reader = at.broker.reader(CLIENT)
    saved: dict[str, Path] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for letter in read_whole(at.broker, reader, at.topics, {letter.place for letter in letters}):
            data = letter.record.value or b""
            suffix = next((name for magic, name in SUFFIXES if data.startswith(magic)), "bin")
            path = folder / f"{letter.place.partition}-{letter.place.offset}.{suffix}"
            path.write_bytes(data)
            saved[str(letter.place)] = path
    except OSError as error:
        raise InvalidConfiguration(f"--save {folder}: {error.strerror}") from error
    finally:
        reader.close()
    return saved


def _row(letter: Letter, past: Replay | None) -> dict[str, Any]:
    """Return one letter for machines."""
    return {
        "place": str(letter.place),
        "frame": str(letter.frame) if letter.frame else None,
        "camera": letter.camera,
        "reason": letter.reason,
        "error": letter.error,
        "bytes": letter.size,
        "at": letter.at.isoformat(),
        "source": {"topic": letter.source_topic, "place": str(letter.source) if letter.source else None},
        "replayed_from": str(letter.replayed_from) if letter.replayed_from else None,
        "replay": None if past is None else {"state": past.state, "place": _text(past.place)},
    }


def _table(found: ChosenLetters) -> Table:
    table = Table()
    for column in ("place", "frame", "reason", "error", "bytes", "refused", "replayed"):
        justify: JustifyMethod = "right" if column == "bytes" else "left"
        table.add_column(
            column, justify=justify, overflow="fold"
        )  # whole on a narrow terminal too, to be copied
    for letter in found.letters:
        past = found.replays.get(letter.place)
        cells = (str(letter.place), _frame(letter), letter.reason, letter.error, str(letter.size))
        moments = (letter.at.strftime("%Y-%m-%d %H:%M:%S"), _past(past))
        table.add_row(*cells, *moments)
    return table


def _past(past: Replay | None) -> str:
    if past is None:
        return "no"
    words = {"waiting": "waits at", "scored": "scored from", "refused": "refused again:"}
    return "nobody can tell" if past.state == "unknown" else f"{words[past.state]} {past.place}"


def _none(found: ChosenLetters) -> str:
    if not found.reasons:
        return "there are no dead letters"
    counted = ", ".join(f"{reason} {count}" for reason, count in found.reasons.most_common(REASONS_SHOWN))
    return f"no dead letter fits; there are: {counted}"


def _name(letter: Letter) -> str:
    return f"{letter.place} {_frame(letter)} ({letter.reason})"


def _frame(letter: Letter) -> str:
    return str(letter.frame) if letter.frame else f"no frame id, camera {letter.camera or 'unknown'}"


def _text(place: TopicPosition | None) -> str | None:
    return None if place is None else str(place)


def _console() -> PlainConsole:
    return PlainConsole(soft_wrap=True)
