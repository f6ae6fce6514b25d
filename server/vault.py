"""The file of people and secrets, var/accounts.db: its tables, their version, and its transactions.

Kept apart from the layers: a copy of the map data never holds a password, a session or the telephone
number of a citizen. Other modules may keep tables of their own here, made inside `writing()`.
"""

import contextlib
import os
import secrets
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from layers import audit, geopackage
from layers.errors import StoreError

FILE_NAME = "accounts.db"
SCHEMA_VERSION = 1

metadata = sa.MetaData()
_meta = sa.Table("meta", metadata, sa.Column("key", sa.Text, primary_key=True), sa.Column("value", sa.Text))
users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("login", sa.Text, nullable=False, unique=True),  # lower case
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("wards", sa.Text, nullable=False, default="[]"),  # JSON; [] is the whole city
    sa.Column("media", sa.Text, nullable=False, default="[]"),  # JSON; [] is all
    sa.Column("active", sa.Boolean, nullable=False, default=True),
    sa.Column("password", sa.Text),  # hash; NULL: signs in elsewhere, or not yet
    sa.Column("must_change", sa.Boolean, nullable=False, default=False),
    sa.Column("totp_secret", sa.Text),
    sa.Column("totp", sa.Boolean, nullable=False, default=False),  # on only after a code was confirmed
    sa.Column("totp_used", sa.Integer),  # newest step accepted
    sa.Column("subject", sa.Text, unique=True),  # issuer and subject of single sign-on
    sa.Column("made_at", sa.Text, nullable=False),
    sa.Column("signed_in_at", sa.Text),
    sqlite_autoincrement=True,
)
recovery_codes = sa.Table(
    "recovery_codes",
    metadata,
    sa.Column("user", sa.Integer, sa.ForeignKey("users.id"), primary_key=True),
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column("used_at", sa.Text),
)
sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("token", sa.Text, nullable=False, unique=True),  # SHA-256 of what the browser holds
    sa.Column("user", sa.Integer, sa.ForeignKey("users.id"), nullable=False, index=True),
    sa.Column("state", sa.Text, nullable=False),  # open, or code: the one-time code is still asked for
    sa.Column("made_at", sa.Text, nullable=False),
    sa.Column("seen_at", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("browser", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)
attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("last_at", sa.Text, nullable=False),
    sa.Column("wait_until", sa.Text, nullable=False),
)
contacts = sa.Table(
    "contacts",
    metadata,
    sa.Column("report", sa.Text, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("phone", sa.Text),
    sa.Column("email", sa.Text),
    sa.Column("consent", sa.Text, nullable=False),  # version of the text that was agreed to
    sa.Column("consent_at", sa.Text, nullable=False),
)

# Steps to later schemas: MIGRATIONS[n](con) leads from version n to n + 1.
MIGRATIONS = {}


def _forget_for_good(con, _):
    con.execute("PRAGMA secure_delete=ON")  # what is deleted is overwritten, not only let go


class Vault:
    """The open file. Safe to use from several threads and processes."""

    def __init__(self, data_dir):
        self.path = Path(data_dir) / FILE_NAME
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch(mode=0o600)
        except OSError as e:
            raise StoreError(
                f"The data folder {self.path.parent} cannot be written ({e.strerror}). "
                "Choose another one with --data DIR, or give yourself the right to write there."
            ) from e
        with contextlib.suppress(OSError):
            os.chmod(self.path, 0o600)
        self._engine = geopackage.engine(self.path)  # WAL, FULL, foreign keys
        sa.event.listen(self._engine, "connect", _forget_for_good)
        try:
            self._open()
        except StoreError:
            self.close()
            raise
        except sa.exc.DatabaseError as e:
            self.close()
            if "locked" in str(e.orig):
                raise StoreError(f"{self.path} is held by another program. Close that program and start again.") from e
            raise StoreError(
                f"{self.path} cannot be opened ({e.orig}). Put a copy in its place; without one, move it away "
                "and start again: the people then have to be added anew."
            ) from e

    def _open(self):
        with self.writing() as con:
            found = None
            if sa.inspect(con).has_table("meta"):
                found = int(con.scalar(sa.select(_meta.c.value).where(_meta.c.key == "schema_version")))
            if found is not None and found > SCHEMA_VERSION:
                raise StoreError(
                    f"{self.path} was written by a newer version of Cảng Xanh (schema {found}; this one knows "
                    f"{SCHEMA_VERSION}). Update the program."
                )
            if found is None:
                metadata.create_all(con)
                con.execute(_meta.insert().values(key="schema_version", value=str(SCHEMA_VERSION)))
                con.execute(_meta.insert().values(key="secret", value=secrets.token_hex(32)))
            for version in range(found or SCHEMA_VERSION, SCHEMA_VERSION):
                MIGRATIONS[version](con)
                con.execute(_meta.update().where(_meta.c.key == "schema_version").values(value=str(version + 1)))
            audit.create(con)

    @contextmanager
    def writing(self):
        """A SQLAlchemy connection in a transaction that holds the write lock from its start."""
        with self._engine.connect().execution_options(writes=True) as con, con.begin():
            yield con

    @contextmanager
    def reading(self):
        """A SQLAlchemy connection in a transaction that sees one state of the file."""
        with self._engine.connect() as con, con.begin():
            yield con

    def secret(self):
        """The key that signs forms; made once, kept here, so that it outlives a restart."""
        with self.reading() as con:
            return con.scalar(sa.select(_meta.c.value).where(_meta.c.key == "secret"))

    def close(self):
        """Let go of the file; what stands in the -wal beside it is brought into it where nobody else reads."""
        with contextlib.suppress(sa.exc.DatabaseError), self._engine.connect() as con:
            con.connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._engine.dispose()
