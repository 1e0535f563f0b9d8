"""The rights of a line as they are made from the registry, and in the forms that others read."""

import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from steadyline.contracts.topics import Topics, line_topics
from steadyline.errors import InvalidConfiguration
from steadyline.kafka.acl_forms import as_commands, as_json, as_strimzi, as_text
from steadyline.kafka.acls import Acl, LineNames, ServiceRights, backup_rights, line_rights, services_of

TOPICS = line_topics("plant", 4)
USUAL = LineNames("plant", {}, {})
OF_STRIMZI = {
    "Read", "Write", "Describe", "DescribeConfigs", "Create", "Alter", "AlterConfigs", "IdempotentWrite"
}  # fmt: skip


def rights(names: LineNames = USUAL) -> dict[str, ServiceRights]:
    return {item.service: item for item in line_rights(TOPICS, names)}


def named(item: ServiceRights, kind: str) -> dict[str, set[str]]:
    return {acl.name: set(acl.operations) for acl in item.acls if acl.resource == kind}


def test_there_are_rights_for_every_service_of_the_registry() -> None:
    assert set(rights()) == set(services_of(TOPICS))
    assert rights()["scorer"].principal == "User:plant-scorer"


@pytest.mark.parametrize("service", services_of(Topics()))
def test_a_service_reads_what_it_is_a_reader_of_and_writes_what_it_is_a_writer_of(service: str) -> None:
    found = named(rights()[service], "topic")
    own = {"plant.doctor.v1"} if service == "steadyline" else set()
    for operation, topics in (
        ("Read", {topic.name for topic in TOPICS if service in topic.readers}),
        ("Write", {topic.name for topic in TOPICS if service in topic.writers}),
    ):
        assert {name for name, operations in found.items() if operation in operations} == topics | own


def test_only_the_operator_makes_and_changes_topics_and_nobody_deletes() -> None:
    for service, item in rights().items():
        granted = {operation for acl in item.acls for operation in acl.operations}
        assert (not granted & {"Create", "Alter", "AlterConfigs"}) == (service != "steadyline")
        assert granted <= OF_STRIMZI


def test_whoever_restores_a_line_may_all_with_its_topics_and_nothing_beside() -> None:
    found = backup_rights(TOPICS, USUAL)
    assert found.principal == "User:plant-backup"
    assert set(named(found, "topic")) == {topic.name for topic in TOPICS}
    assert {"Write", "AlterConfigs", "Delete"} <= named(found, "topic")["plant.scores.v1"]
    assert named(found, "group") == {
        "plant.scorer": {"Describe", "Read"},
        "plant.alerts": {"Describe", "Read"},
    }
    assert [acl for acl in found.acls if acl.pattern != "literal"] == []
    assert "backup" not in rights(), "a line that runs does not need it"


def test_groups_and_transactions_have_the_names_that_the_services_use() -> None:
    scorer = rights()["scorer"]
    assert Acl("group", "plant.scorer", "literal", ("Describe", "Read")) in scorer.acls
    assert Acl("transactionalId", "plant.scorer.", "prefix", ("Describe", "Write")) in scorer.acls
    assert named(rights()["producers"], "group") == {}
    assert named(rights()["alerts"], "group")["plant.scorer"] == {"Describe"}


def test_a_group_and_a_user_of_ones_own_are_taken_over() -> None:
    found = rights(LineNames("plant", {"scorer": "mine"}, {"scorer": "User:CN=scorer,O=plant"}))
    assert found["scorer"].principal == "User:CN=scorer,O=plant"
    assert named(found["scorer"], "group") == {"mine": {"Describe", "Read"}}
    assert named(found["scorer"], "transactionalId") == {"mine.": {"Describe", "Write"}}
    assert "mine" in named(found["alerts"], "group")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (LineNames("plant", {}, {"scorers": "User:x"}), "--user scorers=…: there are producers"),
        (LineNames("plant", {"trainer": "x"}, {}), "--group trainer=…: there are scorer, alerts"),
    ],
)
def test_a_service_that_does_not_exist_is_refused(names: LineNames, said: str) -> None:
    with pytest.raises(InvalidConfiguration, match=said):
        rights(names)


@pytest.mark.parametrize(("prefix", "above"), [("a.scorer", "a"), ("a.b.alerts.c", "a.b")])
def test_a_prefix_below_the_transactions_of_another_line_is_refused(prefix: str, above: str) -> None:
    """The right to ``a.scorer.*`` of a line ``a`` would reach the transactions of this one."""
    with pytest.raises(InvalidConfiguration, match=f"a line {above} begin"):
        rights(LineNames(prefix, {}, {}))
    assert rights(LineNames("scorer.a", {}, {}))


@pytest.mark.parametrize("group", ["*", "plant", "plan", "p.q"])
def test_a_group_whose_transactions_would_be_those_of_others_is_refused(group: str) -> None:
    """``plan`` alone is harmless: the right is to ``plan.``, and no name of the line begins so."""
    names = LineNames("p.q.r" if group == "p.q" else "plant", {"scorer": group}, {})
    if group == "plan":
        assert rights(names)
        return
    with pytest.raises(InvalidConfiguration, match="choose a group that begins with"):
        rights(names)


def test_strimzi_gets_as_yaml_what_json_says() -> None:
    found = line_rights(TOPICS, USUAL)
    read = yaml.safe_load("\n".join(as_strimzi(found)))
    assert read == {item["service"]: item["authorization"] for item in as_json(found)}
    for user in read.values():
        assert user["type"] == "simple"
        for acl in user["acls"]:
            assert acl.keys() == {"resource", "operations"}
            assert acl["resource"]["type"] in ("topic", "group", "transactionalId", "cluster")
            assert ("name" in acl["resource"]) == (acl["resource"]["type"] != "cluster")


def test_a_shell_takes_the_commands_as_they_are_meant() -> None:
    names = LineNames("plant", {}, {"scorer": "User:CN=it's the scorer,O=a b"})
    words = [shlex.split(line) for line in as_commands(line_rights(TOPICS, names))]
    assert len(words) == sum(len(item.acls) for item in rights().values())
    ours = [line for line in words if "User:CN=it's the scorer,O=a b" in line]
    assert [line[-4:] for line in ours if "--transactional-id" in line] == [
        ["--transactional-id", "plant.scorer.", "--resource-pattern-type", "prefixed"]
    ]


def calls(folder: Path, name: str, fails_at: int, **variables: str) -> tuple[int, list[str]]:
    """Run the commands in `sh -e` with a program that writes its calls down; returns status and calls."""
    program, told = folder / name, folder / "told"
    program.write_text(
        f'#!/bin/sh\necho "$*" >> "{told}"\ntest "$(wc -l < "{told}")" -ne {fails_at}\n', encoding="utf-8"
    )
    program.chmod(0o755)
    told.write_text("")
    done = subprocess.run(
        ["sh", "-e"],
        input="\n".join(as_commands(line_rights(TOPICS, USUAL))),
        env={"PATH": f"{folder}:/usr/bin:/bin", "KAFKA_BOOTSTRAP_SERVERS": "b:1", **variables},
        text=True,
        check=False,
    )
    return done.returncode, told.read_text().splitlines()


def test_a_shell_calls_the_program_of_kafka_under_either_name_and_stops_at_a_refusal(tmp_path: Path) -> None:
    everything = sum(len(item.acls) for item in rights().values())
    admin = {"ADMIN_PROPERTIES": "admin of us.properties"}
    status, told = calls(tmp_path, "kafka-acls.sh", 0, **admin)
    assert (status, len(told)) == (0, everything)
    begin = "--bootstrap-server b:1 --command-config admin of us.properties --add"
    assert all(line.startswith(begin) for line in told)
    elsewhere = str(tmp_path / "kafka acls")
    assert len(calls(tmp_path, "kafka acls", 0, KAFKA_ACLS=elsewhere, **admin)[1]) == everything
    status, told = calls(tmp_path, "kafka-acls.sh", 3, **admin)
    assert (status, len(told)) == (1, 3)


def test_people_read_one_right_a_line() -> None:
    text = list(as_text(line_rights(TOPICS, USUAL)))
    assert "scorer (User:plant-scorer)" in text
    assert "  transactionalId plant.scorer.*: Describe, Write" in text
