"""The tables of citizens' reports, and their rows. Times are UTC, ISO; days are of the city.

The tables lie beside the layers in the GeoPackage. Functions take a SQLAlchemy connection in a transaction.
"""

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, date

import sqlalchemy as sa

from layers import audit
from layers.geopackage import Day
from server import codes
from server.tablecolumns import belongs_to, needed, optional, row_key

CITIZEN = "citizen"

metadata = sa.MetaData()

report = sa.Table(
    "report",
    metadata,
    row_key(),
    sa.Column("code", sa.Text, nullable=False, unique=True),  # what the sender keeps
    sa.Column("ref", sa.Text, nullable=False, unique=True),  # by which a stranger may say "the same"
    sa.Column("client_key", sa.Text, nullable=False, unique=True),
    *needed(sa.Text, "at", "kind"),
    *optional(sa.Integer, "smell"),
    *optional(sa.Text, "colour"),
    *needed(sa.Text, "words"),
    *optional(sa.Double, "lon", "lat", "accuracy_m"),
    sa.Column("ward", sa.Text, index=True),
    *optional(sa.Text, "ward_basis"),  # chosen by the sender, or pin: by an outline, which may be schematic
    *needed(sa.Text, "place"),
    *optional(Day(), "seen_on"),
    *needed(sa.Text, "language"),
    sa.Column("state", sa.Text, nullable=False, index=True),
    *needed(sa.Text, "clock_at"),  # since when the clocks run: arrival, or opened anew
    *needed(Day(), "answer_from"),  # the same as a day, moved on by waiting for the sender
    *optional(Day(), "asked_on"),
    *needed(Day(), "changed_on"),
    sa.Column("case_code", sa.Text, index=True),
    *optional(sa.Text, "commune"),
    belongs_to("report", "same_as", index=True),  # never points at one that has its own
    *needed(sa.Text, "promised"),  # JSON: checksums of the photos the sender announced
    *needed(sa.Integer, "reopened"),
    sqlite_autoincrement=True,
)
said = sa.Table(
    "report_message",
    metadata,
    row_key(),
    belongs_to("report", "report", nullable=False, index=True),
    belongs_to("report", "sender"),  # the report of the citizen who says it
    sa.Column("client_key", sa.Text, unique=True),
    *needed(sa.Text, "at", "kind", "role"),  # kind: reply or not_fixed of a citizen, else the act it belongs to
    *optional(sa.Integer, "who_id"),
    *optional(sa.Text, "who"),
    *needed(sa.Text, "text"),
    belongs_to("report_act", "act"),
    *optional(sa.Text, "taken_back_at"),
    sqlite_autoincrement=True,
)
photo = sa.Table(
    "report_photo",
    metadata,
    row_key(),
    belongs_to("report", "report", nullable=False),
    belongs_to("report_message", "message", index=True),  # None: came with the report
    *needed(sa.Integer, "number"),
    *needed(sa.Text, "sent", "sha"),  # checksums: of the bytes as received, the sender's receipt; of the clean photo
    *needed(sa.Integer, "width", "height"),
    *optional(Day(), "taken_on"),
    *needed(sa.Text, "at"),
    sa.UniqueConstraint("report", "sent"),
    sa.UniqueConstraint("report", "number"),
    sqlite_autoincrement=True,
)
files_of = sa.Table(
    "report_file",
    metadata,
    row_key(),
    belongs_to("report_message", "message", nullable=False, index=True),
    *needed(sa.Text, "sha", "name", "media_type"),
    sqlite_autoincrement=True,
)
acts = sa.Table(
    "report_act",
    metadata,
    row_key(),
    belongs_to("report", "report", nullable=False, index=True),
    *needed(sa.Text, "at"),
    *optional(sa.Integer, "who_id"),
    *needed(sa.Text, "who", "role", "action", "state_from", "state_to", "before"),  # before: JSON, for taking it back
    *optional(sa.Text, "reason"),
    sa.Column("undoes", sa.Integer, sa.ForeignKey("report_act.id"), unique=True),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True)
class Receipt:
    """What the sender is told: the code, and which photos are safe (checksums as the phone computed them)."""

    code: str
    safe: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def whole(self):
        return not self.missing


def utc(moment):
    """A moment as it is kept."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def plain(values):
    """Values as JSON holds them."""
    return {k: v.isoformat() if isinstance(v, date) else v for k, v in values.items()}


def restored(values):
    """Values of the table `report` as they were before plain()."""
    days = {c.name for c in report.columns if isinstance(c.type, Day)}
    return {k: date.fromisoformat(v) if v and k in days else v for k, v in values.items()}


def row_of(con, *which):
    """One row of `report`, or None."""
    return con.execute(sa.select(report).where(*which)).one_or_none()


def by_code(con, code):
    """The row with a tracking code, as leniently read; KeyError where there is none."""
    row = row_of(con, report.c.code == (codes.read(code or "") or ""))
    if row is None:
        raise KeyError(code)
    return row


def root_of(con, row):
    """The report under which a row is handled: itself, or the one it says the same as."""
    return row if row is None or row.same_as is None else row_of(con, report.c.id == row.same_as)


def fresh_code(con):
    while True:
        code = codes.make()
        if con.scalar(sa.select(report.c.id).where(report.c.code == code)) is None:
            return code


def fresh_ref():
    return "".join(secrets.choice("0123456789abcdefghijklmnopqrstuvwxyz") for _ in range(10))


def note(con, at, action, row, *, user=None, old=None, new=None):
    """An audit row. It says how much was written, never what: a journal cannot forget."""
    audit.append(
        con, at=at.astimezone(UTC), who=user.name if user else CITIZEN, who_id=user.id if user else None,
        role=user.role if user else "public", action=f"report.{action}", thing=f"report:{row.code}", old=old, new=new,
    )  # fmt: skip


def receipt_of(con, row):
    there = set(con.scalars(sa.select(photo.c.sent).where(photo.c.report == row.id)))
    promised = json.loads(row.promised)
    return Receipt(row.code, tuple(s for s in promised if s in there), tuple(s for s in promised if s not in there))


def keep_photo(con, at, row, one, message=None):
    """Note a photos.KeptPhoto of a report; one that is there already is not noted again."""
    if con.scalar(sa.select(photo.c.id).where(photo.c.report == row.id, photo.c.sent == one.original)):
        return
    number = 1 + (con.scalar(sa.select(sa.func.max(photo.c.number)).where(photo.c.report == row.id)) or 0)
    con.execute(
        photo.insert().values(
            report=row.id, message=message, number=number, sent=one.original, sha=one.sha, width=one.width,
            height=one.height, taken_on=one.taken_on, at=utc(at),
        )
    )  # fmt: skip
    note(con, at, "photo", row, new={"number": number, "sha256": one.sha, "original": one.original})


def drop_photos(con, row, *, elsewhere=()):
    """Forget the photos of a report; checksums of files that nothing names any more, clean ones and originals.

    elsewhere: columns of other tables that may name files.
    """
    gone = con.execute(sa.select(photo.c.sha, photo.c.sent).where(photo.c.report == row.id)).all()
    con.execute(photo.delete().where(photo.c.report == row.id))
    shas = {sha for pair in gone for sha in pair}
    held = set()
    for column in (photo.c.sha, photo.c.sent, files_of.c.sha, *elsewhere):
        held |= set(con.scalars(sa.select(column).where(column.in_(shas))))
    return shas - held


def photos_of(con, ids):
    """({report: checksums in order}, {report: checksums as they were sent}) of these reports."""
    shas, sent = {}, {}
    for p in con.execute(sa.select(photo).where(photo.c.report.in_(ids)).order_by(photo.c.report, photo.c.number)):
        shas.setdefault(p.report, []).append(p.sha)
        sent.setdefault(p.report, set()).add(p.sent)
    return shas, sent


def change(con, at, user, row, action, changes, *, reason=None, undoes=None, moved=()):
    """Change a report with an act and an audit row, and return the number of the act.

    moved: rows that said the same as this one and now say the same as another.
    """
    changes = changes | {"changed_on": at.date()}
    before = plain({k: getattr(row, k) for k in changes})
    number = con.execute(
        acts.insert().values(
            report=row.id, at=utc(at), who_id=user.id, who=user.name, role=user.role, action=action,
            state_from=row.state, state_to=changes.get("state", row.state), reason=reason, undoes=undoes,
            before=json.dumps(before | {"moved": list(moved)}),
        )
    ).inserted_primary_key[0]  # fmt: skip
    con.execute(report.update().where(report.c.id == row.id).values(changes))
    note(con, at, action, row, user=user, old=before, new=plain(changes) | ({"reason": reason} if reason else {}))
    return number


def say(con, at, row, kind, text, *, user=None, act=None, files=(), sender=None, key=None):
    """Note what was said to or by the sender, and return its number."""
    number = con.execute(
        said.insert().values(
            report=row.id, sender=sender, at=utc(at), kind=kind, text=text, act=act, client_key=key,
            who_id=user.id if user else None, who=user.name if user else None, role=user.role if user else CITIZEN,
        )
    ).inserted_primary_key[0]  # fmt: skip
    for one in files:
        values = {"message": number, "sha": one["sha"], "name": one["name"], "media_type": one["media_type"]}
        con.execute(files_of.insert().values(values))
    return number


def messages_of(con, row):
    """What was said on a report, oldest first, as dicts; at as kept, sender the id of the citizen's report."""
    rows = con.execute(sa.select(said).where(said.c.report == row.id).order_by(said.c.id)).all()
    ids, files, shots = [m.id for m in rows], {}, {}
    for f in con.execute(sa.select(files_of).where(files_of.c.message.in_(ids)).order_by(files_of.c.id)):
        files.setdefault(f.message, []).append({"sha": f.sha, "name": f.name, "media_type": f.media_type})
    for p in con.execute(sa.select(photo).where(photo.c.message.in_(ids)).order_by(photo.c.id)):
        shots.setdefault(p.message, []).append(p.sha)
    return [
        {
            "id": m.id, "at": m.at, "kind": m.kind, "by": "citizen" if m.role == CITIZEN else "staff", "who": m.who,
            "role": m.role, "text": m.text, "files": files.get(m.id, []), "photos": shots.get(m.id, []),
            "act": m.act, "taken_back": m.taken_back_at is not None, "sender": m.sender,
        }
        for m in rows
    ]  # fmt: skip


def acts_of(con, row):
    """The acts on a report, oldest first, as dicts; at as kept, undone: taken back since."""
    rows = con.execute(sa.select(acts).where(acts.c.report == row.id).order_by(acts.c.id)).mappings().all()
    undone = {a["undoes"] for a in rows if a["undoes"]}
    return [dict(a) | {"undone": a["id"] in undone} for a in rows]
