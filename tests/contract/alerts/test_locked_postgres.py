"""The alerts' database over TLS: whom it believes, who it is, what a refusal says, files that change."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sqlalchemy import text

from alerts.database.connection import Database
from alerts.database.migration import migrate
from steadyline.errors import StoreUnavailable
from tests.support.certificates import CertificateAuthority
from tests.support.eventually import eventually
from tests.support.locked_servers import a_folder
from tests.support.postgres import LockedPostgres, require_postgres


class PostgresPlant:
    """One locked server and the authority that everybody believes."""

    def __init__(self, folder: Path) -> None:
        self.authority = CertificateAuthority(folder / "certificates")
        self.server = LockedPostgres(folder / "home", self.authority)


@pytest.fixture(scope="module")
def plant() -> Iterator[PostgresPlant]:
    require_postgres()
    with a_folder() as folder:
        folder.chmod(0o755)
        (folder / "home").mkdir()
        made = PostgresPlant(folder)
        made.server.start()
        made.server.make_users()
        yield made
        made.server.stop()


def is_encrypted(database: Database) -> bool:
    """Ask the server whether this very connection is."""
    question = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    with database.read() as session:
        return bool(session.execute(text(question)).scalar())


def test_a_user_with_a_password_migrates_and_writes_over_tls(plant: PostgresPlant) -> None:
    url = plant.server.url(
        "plant", LockedPostgres.PASSWORD, sslmode="verify-full", sslrootcert=plant.authority.ca
    )
    database = Database(url)
    migrate(database)
    assert is_encrypted(database)
    database.close()


def test_a_user_with_a_certificate_needs_no_password(plant: PostgresPlant) -> None:
    own = plant.authority.client("known")
    files: dict[str, Any] = {"sslrootcert": plant.authority.ca, "sslcert": own.certificate, "sslkey": own.key}
    database = Database(plant.server.url("known", sslmode="verify-full", **files))
    migrate(database)
    assert is_encrypted(database)
    database.close()


class TestRefusals:
    """What the database says of itself, and what is to be done."""

    TOLD: ClassVar = {
        "another authority": r"certificate verify failed; sslrootcert in ALERTS_DATABASE must name",
        "a wrong password": r"password authentication failed.*; write the user .*ALERTS_DATABASE",
        "in clear": r"no pg_hba.conf entry.*; PostgreSQL takes this user from here only encrypted",
        "no certificate": r"valid client certificate; give sslcert and sslkey in ALERTS_DATABASE",
        "another host": r"does not match host name.*; the host in ALERTS_DATABASE must be",
    }

    @pytest.fixture
    def urls(self, plant: PostgresPlant, tmp_path: Path) -> dict[str, str]:
        server, password = plant.server, LockedPostgres.PASSWORD
        believed: dict[str, Any] = {"sslmode": "verify-full", "sslrootcert": plant.authority.ca}
        other = CertificateAuthority(tmp_path, "other").ca
        named = server.url("plant", password, **believed).replace("127.0.0.1", "elsewhere")
        return {
            "another authority": server.url("plant", password, sslmode="verify-full", sslrootcert=other),
            "a wrong password": server.url("plant", "hunter2secret", **believed),
            "in clear": server.url("plant", password, sslmode="disable"),
            "no certificate": server.url("known", **believed),
            "another host": f"{named}&hostaddr=127.0.0.1",
        }

    @pytest.mark.parametrize("case", sorted(TOLD))
    def test_each_names_the_edge_and_what_to_do(self, urls: dict[str, str], case: str) -> None:
        database = Database(urls[case])
        with (
            pytest.raises(StoreUnavailable, match=f"the database of alerts: .*{self.TOLD[case]}") as raised,
            database.transaction() as session,
        ):
            session.execute(text("SELECT 1"))
        assert "hunter2secret" not in str(raised.value)
        assert LockedPostgres.PASSWORD not in str(raised.value)
        database.close()

    def test_a_user_who_may_make_no_tables_is_told_so(self, plant: PostgresPlant) -> None:
        plant.server.execute("CREATE ROLE guest LOGIN")
        plant.server.execute("CREATE DATABASE guest")
        database = Database(plant.server.url("guest"))
        with pytest.raises(StoreUnavailable, match="the user in ALERTS_DATABASE must own the database"):
            migrate(database)
        database.close()


def test_certificates_that_were_replaced_are_taken_up_by_the_next_connection(tmp_path: Path) -> None:
    require_postgres()
    with a_folder() as folder:
        folder.chmod(0o755)
        (folder / "home").mkdir()
        plant = PostgresPlant(folder)
        plant.server.start()
        try:
            plant.server.make_users()
            own = plant.authority.client("known")
            files: dict[str, Any] = {
                "sslrootcert": plant.authority.ca,
                "sslcert": own.certificate,
                "sslkey": own.key,
            }
            database = Database(plant.server.url("known", sslmode="verify-full", **files))
            assert is_encrypted(database)
            another = CertificateAuthority(folder / "certificates")  # in the place of the first
            another.client("known")
            plant.server.reload(another)
            eventually(lambda: _answers(database), 10, "the next connection reads the files again")
            database.close()
        finally:
            plant.server.stop()


def _answers(database: Database) -> bool:
    try:
        return is_encrypted(database)
    except StoreUnavailable:
        return False
