"""How the columns of files were understood, kept for the next file of the same source."""

import hashlib
import json
import re

import sqlalchemy as sa

_metadata = sa.MetaData()
_mappings = sa.Table(
    "import_mappings",
    _metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("layer", sa.Text, nullable=False),
    sa.Column("headings", sa.Text, nullable=False),  # hash of the set of headings
    sa.Column("pattern", sa.Text, nullable=False),
    sa.Column("choices", sa.Text, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.UniqueConstraint("layer", "headings", "pattern"),
    sqlite_autoincrement=True,
)


class Memory:
    """The mappings of a store. now: a function that gives the time as it is kept."""

    def __init__(self, store, now):
        self._store, self._now = store, now
        with store.transaction() as con:
            _metadata.create_all(con)

    def remember(self, user, one, headings):
        """Keep how the columns of such a file were understood, for the next one of the same source."""
        kept = {k: one.choices[k] for k in ("columns", "fill", "mode") if one.choices.get(k)}
        if one.choices.get("reading"):
            kept["reading"] = one.choices["reading"]
        key = {"layer": one.layer, "headings": headings_hash(headings), "pattern": pattern(one.name)}
        with self._store.transaction() as con:
            con.execute(_mappings.delete().filter_by(**key))
            con.execute(
                _mappings.insert().values(
                    **key, choices=json.dumps(kept, ensure_ascii=False), who=user.name, at=self._now()
                )
            )

    def remembered(self, layer, headings, name):
        """{"layer", "columns", "fill", "mode", "reading", "who", "at", "same"} of the last file like this one, or None.

        layer: None for any. Like: the same set of headings, whatever the name (same is True); or a name that
        differs in digits only, of which the columns that are there again are kept. The same name goes before
        another of the same headings.
        """
        query = sa.select(_mappings).order_by(_mappings.c.number.desc())
        query = query if layer is None else query.where(_mappings.c.layer == layer)
        with self._store.reading() as con:
            rows = con.execute(query).mappings().all()
        wanted, like = headings_hash(headings), pattern(name)
        exact = [r for r in rows if r["headings"] == wanted]
        named = [r for r in rows if r["pattern"] == like]
        for row in [r for r in exact if r["pattern"] == like] + exact + named:
            kept = json.loads(row["choices"])
            columns = {c: f for c, f in (kept.get("columns") or {}).items() if c in headings}
            if columns:
                told = {"layer": row["layer"], "who": row["who"], "at": row["at"], "same": row["headings"] == wanted}
                return kept | {"columns": columns} | told
        return None


def pattern(name):
    """The name of a file with its digits as one #: monthly files of one source are alike.

    >>> pattern("bao_cao_2026-10.xlsx"), pattern("bao_cao_2026-11.xlsx")
    ('bao_cao_#-#.xlsx', 'bao_cao_#-#.xlsx')
    """
    return re.sub(r"\d+", "#", name.lower())


def headings_hash(headings):
    return hashlib.sha256("\x1f".join(sorted(map(str, headings))).encode()).hexdigest()
