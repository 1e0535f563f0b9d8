"""The revisions of the database, and how Alembic runs them."""
