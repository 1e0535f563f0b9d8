"""Brings the database to the tables of this release, under a lock, and refuses one of a newer release."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from alerts.database.connection import Database
from steadyline.errors import ContractBroken

MIGRATIONS = Path(__file__).with_name("migrations")
_LOCK = 0x616C6572  # of PostgreSQL, held by whoever migrates; SQLite locks the whole file


def migrate(database: Database) -> str:
    """Bring the database to the newest revision, and return the one it had; empty when it had no tables.

    Safe to call from several processes at once: one migrates, the others wait and find nothing to do. Raises
    StoreUnavailable, or ContractBroken when a newer release has migrated it: this one would spoil its rows.
    """
    with database.transaction() as session:
        if not database.is_sqlite:
            session.execute(text("SET LOCAL lock_timeout = '60s'"))
            session.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
        connection = session.connection()
        before = MigrationContext.configure(connection).get_current_revision() or ""
        known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
        if before and before not in known:
            raise ContractBroken(
                f"the database of alerts is of a newer release: it has the revision {before}, which this "
                "release does not know. Start the newer release, or restore a backup of before its migration"
            )
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return before
