"""Write the revision that the tables of alerts still lack: ``python -m tools.migration NAME TEXT``."""

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config

from alerts.database.connection import Database
from alerts.database.migration import MIGRATIONS, migrate


def write_revision(name: str, text: str) -> None:
    """Compare the tables with what all revisions give, and write the difference as ``versions/<name>.py``."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'alerts.db'}")
        migrate(database)
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.set_main_option("file_template", "%%(rev)s")
        with database.transaction() as session:
            config.attributes["connection"] = session.connection()
            command.revision(config, text, autogenerate=True, rev_id=name)
        database.close()


if __name__ == "__main__":
    write_revision(*sys.argv[1:])
