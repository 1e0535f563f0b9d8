"""An unsigned line is signed while it scores; from then on nothing unsigned or changed goes live."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from steadyline.package import MODEL, Packages
from steadyline.service import EXIT_FAILED, EXIT_FATAL, EXIT_OK
from steadyline.signing import PRIVATE, PUBLIC, write_pair
from tests.support.eventually import eventually
from tests.support.models import model_event
from tests.support.packed_models import newest, order, packed
from tests.support.scorer_line import ScorerLine
from tests.support.service_process import ServiceProcess

pytestmark = pytest.mark.servers


def trainer(floor: ScorerLine, work: Path, **keys: str) -> ServiceProcess:
    environment = {"TRAINER_WORK": str(work), "TRAINER_NICE": "0", **keys}
    return floor.start_service("trainer", environment=environment)


def last_reason(floor: ScorerLine) -> str:
    changes = newest(floor).changes
    return changes[-1].reason if changes else ""


def announced(floor: ScorerLine) -> None:
    """Let an earlier trainer have made three versions without a key; the first is live."""
    models = [packed(floor, 1, "live"), packed(floor, 2, "retired"), packed(floor, 3, "retired")]
    floor.say(model_event(floor.product, models, 1))


def sign_what_is_there(floor: ScorerLine, keys: Mapping[str, str]) -> dict[int, str]:
    """Run the command that signs; return version → what became of it."""
    line = "--line", str(floor.line_file)
    assert "STEADYLINE_SIGNING_KEY is not set" in floor.steadyline("models", "sign", *line).stderr
    told = floor.steadyline("models", "sign", *line, "--json", **keys)
    outcomes = {row["version"]: row["outcome"] for row in json.loads(told.stdout)["packages"]}
    is_whole = all(outcome.startswith("signed") for outcome in outcomes.values())
    assert told.returncode == (EXIT_OK if is_whole else EXIT_FAILED)
    return outcomes


def assert_shown(floor: ScorerLine, key: str, trusts: Mapping[str, str]) -> None:
    """Check what is told of the live version, as JSON and for people."""
    line = "--line", str(floor.line_file)
    shown = floor.steadyline("models", "show", floor.product, *line, "--json", **trusts)
    assert shown.returncode == EXIT_OK, shown.stderr
    facts = json.loads(shown.stdout)
    assert (facts["version"], facts["signed_by"], facts["licence"]) == (2, [key], "NOASSERTION")
    for_people = floor.steadyline("models", "show", floor.product, "2", *line, **trusts)
    assert f"signed       {key}\n" in for_people.stdout
    assert "none: an earlier release packed it" in for_people.stdout
    changed = floor.steadyline("models", "show", floor.product, "3", *line, **trusts)
    assert changed.returncode == EXIT_FATAL
    assert "is not signed" in changed.stderr


def test_packages_that_are_there_are_signed_by_command_and_nothing_else_goes_live(
    floor: ScorerLine, tmp_path: Path
) -> None:
    pair = write_pair(tmp_path / "keys")
    signs = {"STEADYLINE_SIGNING_KEY_FILE": str(tmp_path / "keys" / PRIVATE)}
    trusts = {"STEADYLINE_TRUSTED_KEYS_FILE": str(tmp_path / "keys" / PUBLIC)}
    announced(floor)

    # The trainer is given its key first: it signs what it has announced, and nobody checks yet.
    first = trainer(floor, tmp_path / "work", **signs)
    eventually(lambda: first.said("event_announced_again"), 60, "the signed event")
    assert first.stop() == EXIT_OK

    # Then all trust it: what is live goes on, and an unsigned version is refused with what to do.
    second = trainer(floor, tmp_path / "work", **signs, **trusts)
    scorer = floor.start("a", **trusts)
    scorer.until_ready(60)
    order(floor, 2)
    eventually(lambda: "unsigned_package" in last_reason(floor), 30, "the refusal")
    assert "`steadyline models sign`" in last_reason(floor)
    assert newest(floor).live_version == 1
    refused = {"product": floor.product, "reason": "unsigned_package"}
    eventually(lambda: second.metric("trainer_packages_refused_total", **refused) == 1, 10)

    # What is there is signed by command, but for what was changed.
    key = f"{Packages(floor.store, floor.line.line).key(floor.product, 3)}/{MODEL}"
    floor.store.put(key, floor.store.get(key)[:-1])
    outcomes = sign_what_is_there(floor, {**signs, **trusts})
    assert (outcomes[1], outcomes[2]) == ("signed", "signed")
    assert "does not match its digest" in outcomes[3]

    order(floor, 2)
    eventually(lambda: scorer.metric("scorer_model_version") == 2, 30)
    order(floor, 3)
    eventually(lambda: "version 3 cannot be served" in last_reason(floor), 30, "the second refusal")
    floor.send(40)
    floor.until_accounted().assert_intact()
    floor.assert_scores_true({2: 2.0})
    assert_shown(floor, pair.key_id, trusts)
    assert [scorer.stop(), second.stop()] == [EXIT_OK, EXIT_OK]
    floor.assert_audit_intact()
