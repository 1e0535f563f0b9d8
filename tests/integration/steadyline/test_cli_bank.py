"""``steadyline bank`` as its users call it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from steadyline.bank.redis import RedisBank
from steadyline.service import EXIT_FAILED, EXIT_OK, EXIT_UNAVAILABLE, EXIT_USAGE
from steadyline.settings import RedisSettings
from tests.support.banks import a_manifest, some_entries
from tests.support.servers import OwnStack

pytestmark = pytest.mark.servers

Done = subprocess.CompletedProcess[str]


def steadyline(redis_url: str, *arguments: str | Path) -> Done:
    command = [sys.executable, "-P", "-m", "steadyline", *map(str, arguments)]
    environment = {**os.environ, "REDIS_URL": redis_url, "COLUMNS": "200"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture
def line(tmp_path: Path) -> Path:
    path = tmp_path / "line.yaml"
    path.write_text(f"line: t\nstore: file://{tmp_path}/store\nproducts: {{bank-a: {{}}, bank-b: {{}}}}\n")
    return path


@pytest.fixture
def redis_url(own_stack: OwnStack) -> str:
    url = own_stack("redis").addresses.redis_url
    bank = RedisBank(RedisSettings(url=SecretStr(url)), "t")
    bank.write(a_manifest("bank-a", 3, 12), some_entries(12))
    bank.acquire_leases({"bank-a": 0}, "trainer-1", 60)
    bank.close()
    return url


def test_show_tells_machines_what_there_is_and_what_is_missing(redis_url: str, line: Path) -> None:
    done = steadyline(redis_url, "bank", "show", "--line", line, "--json")
    assert done.returncode == EXIT_FAILED, done.stderr
    banks = json.loads(done.stdout)["banks"]
    assert (banks["bank-a"]["bank"]["version"], banks["bank-a"]["bank"]["entries"]) == (3, 12)
    assert banks["bank-a"]["trainer"] == "trainer-1"
    assert banks["bank-b"] == {"bank": None, "trainer": None}


def test_show_tells_people_how_to_get_a_missing_bank(redis_url: str, line: Path) -> None:
    done = steadyline(redis_url, "bank", "show", "--line", line)
    assert "cutpaste 75%" in done.stdout
    assert "steadyline bank rebuild" in done.stdout


def test_show_succeeds_when_no_bank_is_missing(redis_url: str, line: Path) -> None:
    line.write_text(line.read_text().replace(", bank-b: {}", ""))
    assert steadyline(redis_url, "bank", "show", "--line", line).returncode == EXIT_OK


def test_a_redis_that_is_away_is_one_clear_line(line: Path) -> None:
    done = steadyline("redis://127.0.0.1:1/0", "bank", "show", "--line", line)
    assert done.returncode == EXIT_UNAVAILABLE
    assert done.stderr.startswith("bank_unavailable: the bank of bank-a cannot be looked up")
    assert len(done.stderr.splitlines()) == 1


def test_rebuild_of_a_product_that_the_line_has_not_names_those_it_has(line: Path) -> None:
    done = steadyline("redis://127.0.0.1:1/0", "bank", "rebuild", "bank-z", "--line", line)
    assert done.returncode == EXIT_USAGE
    assert "no product 'bank-z'; it has bank-a, bank-b" in done.stderr


def test_rebuild_of_a_bank_that_was_never_made_says_so(redis_url: str, line: Path) -> None:
    done = steadyline(redis_url, "bank", "rebuild", "bank-b", "--line", line)
    assert done.returncode == EXIT_UNAVAILABLE, done.stderr
    assert "bank-b has no bank yet" in done.stderr
