"""The token by which everything begins, made once on the machine of the database."""

from datetime import timedelta

from alerts.database.audit_store import AuditAct, AuditStore
from alerts.database.connection import Database
from alerts.database.token_store import TokenOrder, TokenStore
from steadyline.clock import Clock
from steadyline.errors import InvalidConfiguration

VALID_FOR = timedelta(days=30)  # long enough to make others with it


def first_admin_token(database: Database, clock: Clock, name: str = "first admin") -> str:
    """Return the secret of the first token; raises InvalidConfiguration when there ever was one.

    Whoever has lost every token makes one with a database that forgets them, on purpose the only way.
    """
    now, tokens = clock.now(), TokenStore()
    with database.transaction() as session:
        if tokens.count(session):
            raise InvalidConfiguration("there are tokens already: an admin makes others through the API")
        token, secret = tokens.create(session, TokenOrder(name, "admin", now + VALID_FOR), now)
        AuditStore().write(session, AuditAct(name, "token.create", f"token/{token.id}", "the first"), now)
    return secret
