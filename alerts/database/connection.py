"""Opens the database, and runs one transaction after another on it."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    ProgrammingError,
    TimeoutError,
)
from sqlalchemy.orm import Session

from alerts.database.tables import Base
from steadyline.errors import InvalidConfiguration, StoreUnavailable

_SQLITE_WAIT_SECONDS = 5.0  # another process may be writing

# A process that is suspended within a transaction keeps its locks: nobody waits for it longer than this.
_POSTGRESQL_LIMITS = "-c lock_timeout=10s -c idle_in_transaction_session_timeout=30s"


class Database:
    """One database, safe from any thread; the URL is of SQLite or PostgreSQL (psycopg)."""

    def __init__(self, url: str) -> None:
        """Open nothing yet; raises InvalidConfiguration when ``url`` is none of a database we know."""
        try:
            self._engine, reading = _engine(url), _reading_engine(url)
        except (ArgumentError, NoSuchModuleError, ValueError) as error:
            raise InvalidConfiguration(
                "ALERTS_DATABASE must be sqlite:///PATH or postgresql+psycopg://USER:PASSWORD@HOST/NAME"
            ) from error
        self._writing = threading.Lock() if self.is_sqlite else None
        if reading is None:  # the same connections, told to show one state to all of a transaction
            levels = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            reading = self._engine.execution_options(**levels)
        self._reading: Engine = reading

    @property
    def engine(self) -> Engine:
        """What Alembic migrates."""
        return self._engine

    @property
    def is_sqlite(self) -> bool:
        """True when there is one writer at a time, and rows cannot be locked."""
        return self._engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Read one state of the database, whatever others write meanwhile, and keep nobody from writing.

        Raises StoreUnavailable as ``transaction`` does; a statement that writes is refused.
        """
        with _translated(), Session(self._reading, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Commit at the end of the block, roll back when it raises.

        Raises StoreUnavailable while the database is away, locked or full: nothing has changed then, unless
        the connection was lost within the commit itself; whoever writes must bear to write it again.
        """
        with (
            self._turn_to_write(),
            _translated(),
            Session(self._engine, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def _turn_to_write(self) -> Iterator[None]:
        """Let the threads of this process write to SQLite one after another.

        SQLite lets who finds it locked look again after a sleep of up to 100 ms: a thread that writes seldom
        then waits many times as long as the one that writes all the time. A lock wakes it at once.
        """
        if self._writing is None:
            yield
            return
        if not self._writing.acquire(timeout=_SQLITE_WAIT_SECONDS):
            raise StoreUnavailable("the database of alerts: another thread of this process is writing")
        try:
            yield
        finally:
            self._writing.release()

    def close(self) -> None:
        """Close all connections."""
        self._reading.dispose()
        self._engine.dispose()


@contextmanager
def _translated() -> Iterator[None]:
    """Raise StoreUnavailable for what the driver says while the database is away, locked or full."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise StoreUnavailable(f"the database of alerts: {_brief(error)}") from error
    except TimeoutError as error:
        raise StoreUnavailable("the database of alerts: every connection is in use") from error
    except DBAPIError as error:
        if error.connection_invalidated or _lacks_rights(error):
            raise StoreUnavailable(f"the database of alerts: {_brief(error)}") from error
        raise


def insert_missing(session: Session, table: type[Base], rows: Sequence[Mapping[str, object]]) -> None:
    """Insert rows, and leave alone those whose key is there: another process may be inserting the same."""
    if not rows:
        return
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    session.execute(dialect.insert(table).values(list(rows)).on_conflict_do_nothing())


def _engine(url: str) -> Engine:
    address = make_url(url)
    if address.drivername not in ("sqlite", "postgresql+psycopg") or address.database in (
        None,
        "",
        ":memory:",
    ):
        raise ArgumentError(address.drivername)
    if address.drivername == "sqlite":
        _make_folder(Path(str(address.database)).parent)
        engine = create_engine(url, connect_args={"timeout": _SQLITE_WAIT_SECONDS})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin)
        return engine
    return create_engine(
        url,
        pool_pre_ping=True,
        pool_timeout=10,
        connect_args={"connect_timeout": 5, "application_name": "alerts", "options": _POSTGRESQL_LIMITS},
    )


def _reading_engine(url: str) -> Engine | None:
    """Return what reads SQLite on connections of its own; None for PostgreSQL, where any connection may.

    Such a connection may never write. To forbid it for one transaction at a time would have every prepared
    statement of the connection prepared again, for those that write too.
    """
    if make_url(url).drivername != "sqlite":
        return None
    engine = create_engine(url, connect_args={"timeout": _SQLITE_WAIT_SECONDS})
    event.listen(engine, "connect", _prepare_reader)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN DEFERRED"))
    return engine


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(f"the folder of the database of alerts, {folder}: {error.strerror}") from error


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself: _begin does
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _prepare_reader(connection: Any, record: object) -> None:
    _prepare_sqlite(connection, record)
    connection.execute("PRAGMA query_only=ON")


def _begin(connection: Any) -> None:
    """Take the write lock at once, for a reader that writes later would be refused instead of waiting."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


# What PostgreSQL or TLS says → what to do.
_HINTS = (
    (
        "certificate verify failed",
        "sslrootcert in ALERTS_DATABASE must name the authority that signed PostgreSQL's certificate",
    ),
    (
        "does not match host name",
        "the host in ALERTS_DATABASE must be the one that PostgreSQL's certificate is for",
    ),
    (
        "password authentication failed",
        "write the user and the password that PostgreSQL knows into ALERTS_DATABASE",
    ),
    ("no password supplied", "write the password that PostgreSQL knows into ALERTS_DATABASE"),
    (
        "valid client certificate",
        "give sslcert and sslkey in ALERTS_DATABASE: PostgreSQL asks for a certificate",
    ),
    (
        "no pg_hba.conf entry",
        "PostgreSQL takes this user from here only encrypted, or not at all: see pg_hba.conf",
    ),
    ("does not support SSL", "PostgreSQL is not encrypted: set ssl=on there"),
    ("permission denied", "the user in ALERTS_DATABASE must own the database, or its schema"),
)
_INSUFFICIENT_PRIVILEGE = "42501"


def _lacks_rights(error: DBAPIError) -> bool:
    """Tell whether the database refuses the statement to this user, which its administrator can mend."""
    return (
        isinstance(error, ProgrammingError)
        and getattr(error.orig, "sqlstate", None) == _INSUFFICIENT_PRIVILEGE
    )


def _brief(error: DBAPIError) -> str:
    if error.orig is None:
        return type(error).__name__
    told = "; ".join(str(error.orig).strip().splitlines())[:300]
    return told + next((f"; {what}" for sign, what in _HINTS if sign in told), "")
