"""The tables of the register, and one case as a value.

They lie in the same file as the layers, so that a step, its audit row and what it publishes are one
transaction, but they are no layers: public pages never read them. Nothing here is ever deleted; what
was wrong is voided by a later row that says why.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from datetime import date, datetime

import shapely
import sqlalchemy as sa

from layers import geopackage
from layers.catalogue import LAYERS
from layers.errors import LayerError

metadata = sa.MetaData()
_T, _I, _D = sa.Text, sa.Integer, sa.Date


def _table(name, *columns):
    return sa.Table(
        f"cx_{name}",
        metadata,
        sa.Column("id", _I, primary_key=True, autoincrement=True),
        *columns,
        sqlite_autoincrement=True,
    )


def _made():
    """Who wrote a row, and when (UTC, ISO)."""
    return (
        sa.Column("by", _I, nullable=False),
        sa.Column("by_name", _T, nullable=False),
        sa.Column("at", _T, nullable=False),
    )


cases = _table(
    "cases",
    sa.Column("code", _T, nullable=False, unique=True),
    sa.Column("revision", _I, nullable=False),
    sa.Column("facts", _T, nullable=False),  # JSON of FACTS: what staff hold, published or not
    sa.Column("geometry", geopackage.Geometry()),
    sa.Column("ward", _T),
    sa.Column("facility", _T),
    sa.Column("stage", _T, nullable=False),
    sa.Column("stage_before", _T),
    sa.Column("in_stage_since", _D),
    sa.Column("opened_on", _D),
    sa.Column("opened_at", _T),
    sa.Column("officer", _I),
    sa.Column("severity_class", _T),
    sa.Column("class_reason", _T),
    sa.Column("merged_into", _T),
    sa.Column("plan_due", _D),
    sa.Column("decision_no", _T),
    sa.Column("decision_on", _D),
    sa.Column("responsible", _T),
    sa.Column("deadline", _D),
    sa.Column("work_done_on", _D),
    sa.Column("needed_samples", _I),
    sa.Column("needed_days", _I),
    sa.Column("proof_from", _D),
    sa.Column("before_from", _D),
    sa.Column("watch_from", _D),
    sa.Column("watch_until", _D),
    sa.Column("relapses", _I, nullable=False, default=0),
)
events = _table(
    "events",
    sa.Column("case", _T, nullable=False, index=True),
    sa.Column("day", _D, nullable=False),  # the day it tells of, in city time
    sa.Column("action", _T, nullable=False),
    sa.Column("stage_from", _T),
    sa.Column("stage", _T),
    sa.Column("reason", _T),
    sa.Column("fields", _T, nullable=False, default="{}"),  # JSON of what the form gave
    sa.Column("old", _T, nullable=False, default="{}"),  # JSON of the values before, for a counter-step
    sa.Column("overridden", _T, nullable=False, default="[]"),  # JSON of codes of needs
    sa.Column("role", _T, nullable=False),
    sa.Column("public", sa.Boolean, nullable=False),  # whether it is to appear in the public timeline
    sa.Column("text_vi", _T),
    sa.Column("text_en", _T),
    sa.Column("published", _I),  # number in hotspot_events
    sa.Column("undone_by", _I),  # the event that took this step back
    *_made(),
)
evidence = _table(
    "evidence",
    sa.Column("case", _T, nullable=False, index=True),
    sa.Column("kind", _T, nullable=False),
    sa.Column("sha", _T, nullable=False),
    sa.Column("original", _T),  # checksum of the file as it came, for staff only
    sa.Column("name", _T, nullable=False),
    sa.Column("media_type", _T, nullable=False),
    sa.Column("dated", _D),
    sa.Column("number", _T),
    sa.Column("samplings", _T, nullable=False, default="[]"),  # JSON of ids that a limit decision accepts
    sa.Column("note", _T),
    sa.Column("public", sa.Boolean, nullable=False, default=False),
    sa.Column("voided", _T),  # why it does not count any more
    sa.Column("voided_by", _I),
    *_made(),
)
samplings = _table(
    "samplings",
    sa.Column("case", _T, nullable=False, index=True),
    sa.Column("taken_on", _D, nullable=False),
    sa.Column("place", _T),
    sa.Column("laboratory", _T),
    sa.Column("method", _T),
    sa.Column("report_no", _T),
    sa.Column("medium", _T, nullable=False),  # of the limit tables, e.g. surface_water
    sa.Column("choice", _T, nullable=False, default="{}"),  # JSON: water, column, flow_class ... of geo.limits.choose
    sa.Column("voided", _T),
    sa.Column("voided_by", _I),
    *_made(),
)
results = _table(
    "results",
    sa.Column("sampling", _I, nullable=False, index=True),
    sa.Column("parameter", _T, nullable=False),
    sa.Column("value", sa.Double),
    sa.Column("unit", _T, nullable=False),
    sa.Column("sign", _T, nullable=False, default=""),
    sa.Column("verdict", _T, nullable=False),  # JSON of geo.limits.Verdict as it was judged when entered
)
inspections = _table(
    "inspections",
    sa.Column("case", _T, nullable=False, index=True),
    sa.Column("day", _D, nullable=False),
    sa.Column("facility", _T),
    sa.Column("minutes_no", _T),
    sa.Column("findings", _T, nullable=False),
    *_made(),
)
decisions = _table(
    "decisions",
    sa.Column("case", _T, nullable=False, index=True),
    sa.Column("number", _T, nullable=False),
    sa.Column("day", _D, nullable=False),
    sa.Column("kind", _T, nullable=False),  # plan, order, fine, limit, other
    sa.Column("issuer", _T),
    sa.Column("amount_vnd", sa.BigInteger),
    sa.Column("text", _T),
    *_made(),
)
links = _table(
    "links",
    sa.Column("case", _T, nullable=False, index=True),
    sa.Column("kind", _T, nullable=False),  # report, facility, case
    sa.Column("ref", _T, nullable=False, index=True),
    *_made(),
    sa.UniqueConstraint("case", "kind", "ref"),
)
proposals = _table(
    "proposals",
    sa.Column("case", _T, nullable=False, index=True),
    sa.Column("revision", _I, nullable=False),
    sa.Column("state", _T, nullable=False),  # waiting, approved, published, sent_back, superseded, withdrawn
    sa.Column("before", _T, nullable=False),  # JSON of public fields, "geometry" as WKT; null where nothing was public
    sa.Column("after", _T, nullable=False),
    sa.Column("events", _T, nullable=False),  # JSON of ids of events that become public
    sa.Column("note", _T),
    sa.Column("embargo", _D),
    sa.Column("decided_by", _I),
    sa.Column("decided_name", _T),
    sa.Column("decided_at", _T),
    sa.Column("reason", _T),
    sa.Column("published_on", _D),
    *_made(),
)

# Fields of the layer that follow from the case itself; all others are facts that staff write.
MANAGED = (
    *("code", "stage", "severity_class", "class_reason_vi", "class_reason_en", "facility", "authority_vi"),
    *("authority_en", "opened_on", "stage_since", "deadline", "deadline_for_vi", "deadline_for_en"),
    *("decision_no", "watch_until", "relapses"),
)
FACTS = tuple(f.name for f in LAYERS["hotspots"].fields if f.name not in MANAGED)
NOT_ENOUGH = "not_enough_data"


class CaseError(LayerError):
    """A change to the register that is not taken; nothing was written. words and values: for translation."""

    code = "case"

    def __init__(self, words, **values):
        super().__init__(words % values if values else words)
        self.words, self.values = words, values


class NotYours(CaseError):
    """The person has no right to this case or this action."""

    code = "not_yours"


class Conflict(CaseError):
    """Somebody else was quicker. case: how it is now."""

    code = "conflict"

    def __init__(self, words, case=None, **values):
        super().__init__(words, **values)
        self.case = case


@dataclass(frozen=True)
class Case:
    """One hotspot as staff hold it. Days in city time; geometry in EPSG:4326 or None; None is not known."""

    id: int
    code: str
    revision: int
    facts: dict = field(repr=False)
    geometry: object = field(repr=False)
    ward: str | None
    facility: str | None
    stage: str
    stage_before: str | None
    in_stage_since: date | None
    opened_on: date | None
    opened_at: datetime | None
    officer: int | None
    severity_class: str | None
    class_reason: str | None
    merged_into: str | None
    plan_due: date | None
    decision_no: str | None
    decision_on: date | None
    responsible: str | None
    deadline: date | None
    work_done_on: date | None
    needed_samples: int | None
    needed_days: int | None
    proof_from: date | None
    before_from: date | None
    watch_from: date | None
    watch_until: date | None
    relapses: int

    @property
    def media(self):
        return tuple(m for m in (self.facts.get("media") or "").split(";") if m)

    @property
    def name_vi(self):
        return self.facts.get("name_vi")

    @property
    def name_en(self):
        return self.facts.get("name_en")


COLUMNS = tuple(f.name for f in dataclasses.fields(Case))


def case_of(row):
    """A Case from a row of the table `cases`."""
    values = {name: row[name] for name in COLUMNS}
    values["facts"] = json.loads(row["facts"])
    values["opened_at"] = None if row["opened_at"] is None else datetime.fromisoformat(row["opened_at"])
    return Case(**values)


def stored(values):
    """Values of a Case as the table keeps them."""
    out = dict(values)
    if "facts" in out:
        out["facts"] = packed(out["facts"])
    if isinstance(out.get("opened_at"), datetime):
        out["opened_at"] = out["opened_at"].isoformat()
    return out


def packed(value):
    """JSON with days as ISO text and geometries as WKT."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=_written, allow_nan=False)


def _written(value):
    if isinstance(value, shapely.Geometry):
        return wkt(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not kept")


def wkt(geometry):
    """A geometry as text, to 0.01 mm; None stays None."""
    return None if geometry is None else shapely.to_wkt(geometry, rounding_precision=10)


def plain(values):
    """The values as the audit writes them: JSON types only."""
    return json.loads(packed(values))
