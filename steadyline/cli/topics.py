"""``steadyline topics``: make a line's topics, compare them with the registry, say who may use them."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from steadyline.cli.findings import conclude
from steadyline.cli.servers import STATE, server_settings
from steadyline.contracts.topics import Topics
from steadyline.errors import InvalidConfiguration
from steadyline.kafka import acl_forms
from steadyline.kafka.acls import LineNames, backup_rights, line_rights
from steadyline.kafka.broker import Broker
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.line import load_line
from steadyline.ops.doctor.finding import Report
from steadyline.ops.doctor.topics import look_at_topics
from steadyline.service import LineFile
from steadyline.terminal import PlainConsole

app = typer.Typer(
    help="The topics of a line: create them, check them, say who may use them.", no_args_is_help=True
)

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Mend = Annotated[
    bool,
    typer.Option(
        "--mend",
        help="Also give the topics that are there the registry's settings, and more partitions where they "
        "have fewer than the line file says; by default they are left as they are.",
    ),
]
Stack = Annotated[
    Path,
    typer.Option(help="File in which `steadyline up` wrote addresses; used where no variable names one."),
]
Users = Annotated[
    list[str] | None,
    typer.Option(
        "--user",
        metavar="SERVICE=PRINCIPAL",
        help="Kafka's name of the user of a service, scorer=User:CN=scorer for example; repeatable, by "
        "default User:PREFIX-SERVICE.",
    ),
]
Groups = Annotated[
    list[str] | None,
    typer.Option(
        "--group",
        metavar="SERVICE=GROUP",
        help="Consumer group of the scorer or the alerts, where SCORER_GROUP or ALERTS_GROUP names one; "
        "repeatable, by default PREFIX.SERVICE.",
    ),
]
WithBackup = Annotated[
    bool,
    typer.Option(
        "--backup",
        help="Print the rights of the user that backs the line up and restores it, backup, and of nobody "
        "else; by default they are left out, because a line that runs does not need them.",
    ),
]
AclForm = Annotated[
    Literal["text", "strimzi", "commands"],
    typer.Option(
        "--format",
        help="What is printed: text for people, the authorization of each KafkaUser of strimzi as YAML, or "
        "commands, which are calls of kafka-acls.sh for a shell.",
    ),
]


@app.command()
def create(
    line: LineFile = Path("line.yaml"), mend: Mend = False, as_json: AsJson = False, stack: Stack = STATE
) -> None:
    """Create the topics that are missing; what is there already is left as it is, unless --mend, and checked.

    Exit status 1 when a topic that was there has other partitions or settings than the registry's.
    """
    report = Report()
    with _topics_of(line, stack) as (topics, broker):
        created = broker.create_topics(list(topics))
        mended = broker.mend_topics(list(topics)) if mend else []
        look_at_topics(topics, broker, report)
    if not as_json:
        console = PlainConsole(soft_wrap=True)
        for done, names in (("created", created), ("mended", mended)):
            for name in names:
                console.print(f"{done} {name}")
    conclude(report, as_json, created=created, mended=mended)


@app.command()
def check(line: LineFile = Path("line.yaml"), as_json: AsJson = False, stack: Stack = STATE) -> None:
    """Compare partitions, clean-up, retention and size limits with the registry.

    Exit status 1 on a difference.
    """
    report = Report()
    with _topics_of(line, stack) as (topics, broker):
        look_at_topics(topics, broker, report)
    conclude(report, as_json)


@app.command()
def acls(
    line: LineFile = Path("line.yaml"),
    user: Users = None,
    group: Groups = None,
    form: AclForm = "text",
    as_json: AsJson = False,
    backup: WithBackup = False,
) -> None:
    """Print what the user of each service may do on Kafka, and nothing more; asks no server.

    The last service, steadyline, is these commands themselves.
    """
    found = load_line(line)
    names = LineNames(found.topics.prefix, _pairs("--group", group), _pairs("--user", user))
    topics = found.kafka_topics()
    rights = [backup_rights(topics, names)] if backup else line_rights(topics, names)
    if as_json:
        print(json.dumps(acl_forms.as_json(rights), indent=2))
        return
    console = PlainConsole(soft_wrap=True)
    for text in _FORMS[form](rights):
        console.print(text)


_FORMS = {
    "text": acl_forms.as_text,
    "strimzi": acl_forms.as_strimzi,
    "commands": acl_forms.as_commands,
}


def _pairs(option: str, given: Sequence[str] | None) -> dict[str, str]:
    """Return NAME=VALUE as pairs; a value may have "=" in it, as User:CN=scorer has."""
    pairs = {}
    for text in given or ():
        name, _, value = text.partition("=")
        if not name or not value:
            raise InvalidConfiguration(f"{option} {text}: write {option} SERVICE=NAME")
        pairs[name] = value
    return pairs


@contextmanager
def _topics_of(line: Path, stack: Path) -> Iterator[tuple[Topics, Broker]]:
    topics = load_line(line).kafka_topics()
    kafka, _, _ = server_settings(stack)
    broker = KafkaBroker(kafka, "steadyline-topics")
    try:
        yield topics, broker
    finally:
        broker.close()
