"""What the book of scenarios is made of: its tables, what may be written into them, and rows as values."""

import json
import math
from dataclasses import asdict, dataclass, fields
from datetime import timedelta

import sqlalchemy as sa

from server import drawing, scenarioledger
from server.i18n import N_
from server.scenarioledger import FIRST_YEAR, LAST_YEAR, SERVES, Money, Plant

WRITERS = ("planner", "administrator")
READERS = ("planner", "administrator", "inspector", "approver")
TAKE_BACK = timedelta(minutes=15)
MOST_PLANTS, MOST_NAME, MOST_TEXT = 40, 120, 4000
LIMITS = {"capacity_m3d": (10, 1_000_000), "within_m": (100, 50_000), "cost": (0, 1e18), "sewer_km": (0, 1000)}
COSTS = {"build": (0, 1e15), "operation": (0, 1e12), "sewer": (0, 1e18), "years": (1, 100), "interest": (0, 50)}

metadata = sa.MetaData()
scenario_rows = sa.Table(
    "scenarios",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("code", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("money", sa.Text, nullable=False),  # JSON of Money
    sa.Column("study", sa.Text),
    sa.Column("copied_from", sa.Text),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("changed_by", sa.Text, nullable=False),
    sa.Column("changed_at", sa.Text, nullable=False),
    sa.Column("locked_by", sa.Text),
    sa.Column("locked_at", sa.Text),
    sa.Column("hidden_at", sa.Text),
    sqlite_autoincrement=True,
)
plant_rows = sa.Table(
    "scenario_plants",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("scenario", sa.Integer, sa.ForeignKey("scenarios.id"), nullable=False, index=True),
    sa.Column("first_revision", sa.Integer, nullable=False),
    sa.Column("last_revision", sa.Integer),  # None: in force
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("lon", sa.Double, nullable=False),
    sa.Column("lat", sa.Double, nullable=False),
    sa.Column("year", sa.Integer, nullable=False),
    sa.Column("capacity_m3d", sa.Double, nullable=False),
    sa.Column("technology", sa.Text, nullable=False),
    sa.Column("enclosed", sa.Boolean),
    sa.Column("exposed", sa.Boolean, nullable=False),
    sa.Column("within_m", sa.Double, nullable=False),
    sa.Column("serves", sa.Text, nullable=False),
    sa.Column("cost", sa.Double),
    sa.Column("sewer_km", sa.Double),
    sa.Column("study", sa.Text, nullable=False),
    sa.Column("site", sa.Text, nullable=False),
    sa.Column("flows", sa.Text, nullable=False),  # JSON: [[unit, m³/day], ...]
    sqlite_autoincrement=True,
)
comment_rows = sa.Table(
    "scenario_comments",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("scenario", sa.Integer, sa.ForeignKey("scenarios.id"), nullable=False, index=True),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("who_id", sa.Integer, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),  # of the scenario that was commented
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("taken_back_at", sa.Text),
    sqlite_autoincrement=True,
)
lock_rows = sa.Table(
    "scenario_locks",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("scenario", sa.Integer, sa.ForeignKey("scenarios.id"), nullable=False, index=True),
    sa.Column("revision", sa.Integer, nullable=False),  # from which on it was locked
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("figures", sa.Text, nullable=False),  # JSON: as they were
    sa.Column("opened_by", sa.Text),
    sa.Column("opened_at", sa.Text),
    sqlite_autoincrement=True,
)
_OF_PLANT = tuple(f.name for f in fields(Plant))


class ScenarioError(Exception):
    """A change that is not taken; nothing was written.

    words, values: a msgid and what goes into it. problems: [(plant number or None, field, words, values)].
    """

    def __init__(self, words, problems=(), **values):
        self.words, self.values, self.problems = words, values, list(problems)
        super().__init__(words % values)


class Conflict(ScenarioError):
    """Somebody else was quicker."""


@dataclass(frozen=True)
class Scenario:
    """One scenario. Times are UTC, ISO; locked_at None: not locked."""

    id: int
    code: str
    name: str
    note: str
    revision: int
    money: Money
    study: str | None
    copied_from: str | None
    created_by: str
    created_at: str
    changed_by: str
    changed_at: str
    locked_by: str | None
    locked_at: str | None
    hidden_at: str | None
    plants: tuple = ()

    @property
    def locked(self):
        return self.locked_at is not None


@dataclass(frozen=True)
class Comment:
    """What somebody wrote under a scenario; text is blank where it was taken back. may_go: its writer may still do so."""

    id: int
    at: str
    who: str
    role: str
    revision: int
    text: str
    taken_back: bool
    may_go: bool


NO_ANSWER = N_("This study has no answer yet. Run it first.")
NOT_PLANTS = N_(
    "The answer of this study has no sites for waste water treatment plants; a scenario cannot begin with it."
)
STEPS = {
    "create": N_("made"), "describe": N_("name, note or costs changed"), "plants": N_("plants changed"), "lock": N_("locked"),
    "unlock": N_("unlocked"), "put_away": N_("put away"), "take_out": N_("put back into the list"),
}  # fmt: skip
CHANGED = N_(
    "Somebody else changed %(code)s in the meantime. Nothing was saved; look at it as it is now and try again."
)
LOCKED = N_("%(code)s is locked and does not change. Make a copy, or unlock it first.")


# --- what may be written ---


def clean(text, most):
    """Text without control characters, cut; line ends stay."""
    text = (text or "").replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in text if c.isprintable() or c == "\n").strip()[:most]


def readable_name(text):
    name = " ".join(clean(text, 10_000).split())
    if not name or len(name) > MOST_NAME:
        words = N_("Give the scenario a name of up to %(most)s letters.")
        raise ScenarioError(words, [(None, "name", words, {"most": MOST_NAME})], most=MOST_NAME)
    return name


def readable_text(text):
    return clean(text, MOST_TEXT)


def readable_money(money):
    problems = []
    for name, (least, most) in COSTS.items():
        value = getattr(money, name)
        if value is not None and not (math.isfinite(value) and least <= value <= most):
            problems.append(
                (None, name, N_("Give a number from %(least)s to %(most)s."), {"least": least, "most": f"{most:g}"})
            )
    if problems:
        raise ScenarioError(N_("The unit costs cannot be used as they are."), problems)
    return Money(**asdict(money) | {"currency": " ".join(clean(money.currency, 20).split())})


def checked(plants):
    """Raises ScenarioError with everything that is wrong with the plants, each with its number and field."""
    problems, numbers = [], set()
    known = {t["code"] for t in scenarioledger.technologies()}
    west, south, east, north = drawing.BOUNDS
    if len(plants) > MOST_PLANTS:
        words = N_("A scenario holds at most %(most)s plants.")
        raise ScenarioError(words, [(None, "plants", words, {"most": MOST_PLANTS})], most=MOST_PLANTS)
    for p in plants:
        if p.number in numbers or p.number < 1:
            problems.append((p.number, "number", N_("Two plants have the same number."), {}))
        numbers.add(p.number)
        if not (west <= p.lon <= east and south <= p.lat <= north):
            problems.append(
                (
                    p.number,
                    "place",
                    N_("The place does not lie in the city or its waters. Latitude comes first, then longitude."),
                    {},
                )
            )
        if not FIRST_YEAR <= p.year <= LAST_YEAR:
            problems.append(
                (
                    p.number,
                    "year",
                    N_("Give a year from %(first)s to %(last)s."),
                    {"first": FIRST_YEAR, "last": LAST_YEAR},
                )
            )
        for name, (least, most) in LIMITS.items():
            value = getattr(p, name)
            optional = name in ("cost", "sewer_km")
            if not (optional and value is None) and not (
                value is not None and math.isfinite(value) and least <= value <= most
            ):
                problems.append(
                    (
                        p.number,
                        name,
                        N_("Give a number from %(least)s to %(most)s."),
                        {"least": least, "most": f"{most:g}"},
                    )
                )
        if p.technology not in known:
            problems.append((p.number, "technology", N_("Choose a technology of the list."), {}))
        if p.serves not in SERVES:
            problems.append((p.number, "serves", N_("Choose whom the plant serves."), {}))
        if len(p.name) > MOST_NAME or "\n" in p.name or clean(p.name, 10_000) != p.name:
            problems.append(
                (p.number, "name", N_("A name has up to %(most)s letters, without line ends."), {"most": MOST_NAME})
            )
    if problems:
        raise ScenarioError(N_("Some plants cannot be used as they are."), problems)


# --- rows ---


def scenario_of(row, plants=()):
    values = {f.name: row[f.name] for f in fields(Scenario) if f.name not in ("money", "plants")}
    return Scenario(**values, money=Money(**json.loads(row["money"])), plants=tuple(plants))


def plant_of(row):
    values = {name: row[name] for name in _OF_PLANT}
    return Plant(**values | {"flows": tuple((u, q) for u, q in json.loads(row["flows"]))})


def packed(value):
    if isinstance(value, Money):
        value = asdict(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False)


def told(plant):
    """A plant as the audit writes it."""
    return {k: v for k, v in asdict(plant).items() if k != "flows"} | {"flows": len(plant.flows)}
