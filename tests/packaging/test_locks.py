"""The locks pin everything by hash, name no index, and cover what pyproject.toml asks for."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;]+)(.*)$")


def pins(lock: Path) -> dict[str, tuple[str, bool]]:
    """Return distribution → (version, has hashes)."""
    text = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    rows = [row for row in text.splitlines() if row and not row.startswith("#")]
    found = [PIN.match(row) for row in rows]
    assert all(found), [row for row, match in zip(rows, found, strict=True) if match is None]
    return {canonicalize_name(match[1]): (match[2], "--hash=sha256:" in match[3]) for match in found if match}


def wanted() -> list[Requirement]:
    """Return every requirement of pyproject.toml: core, extras, development."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"].values()
    groups = project["dependency-groups"].values()
    lists = [project["project"]["dependencies"], *extras, *groups]
    return [Requirement(text) for rows in lists for text in rows if "steadyline" not in text]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_pin_has_hashes(lock: Path) -> None:
    assert [name for name, (_, has_hashes) in pins(lock).items() if not has_hashes] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_no_address_is_in_a_lock(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text


def test_the_lock_has_what_pyproject_asks_for() -> None:
    locked = pins(ROOT / "requirements" / "dev.lock")
    missing = [
        str(requirement)
        for requirement in wanted()
        if (pin := locked.get(canonicalize_name(requirement.name))) is None
        or pin[0] not in requirement.specifier
    ]
    assert missing == [], "`make lock` brings them in"


def test_triton_gets_an_old_numpy() -> None:
    assert pins(ROOT / "requirements" / "triton.lock")["numpy"][0].startswith("1.")
