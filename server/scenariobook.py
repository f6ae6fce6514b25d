"""What the book of scenarios is made of: its tables, what may be written into them, and rows as values."""

import json
import math
from dataclasses import asdict, dataclass, fields
from datetime import timedelta

import sqlalchemy as sa

from server import drawing
from server.i18n import N_
from server.scenariolaw import first_day, legal, technologies
from server.scenarioplants import FIRST_YEAR, LAST_YEAR, MOST_SOURCE, SERVES, Money, Plant
from server.tablecolumns import belongs_to, needed, optional, row_key

WRITERS = ("planner", "administrator")
READERS = ("planner", "administrator", "inspector", "approver")
TAKE_BACK = timedelta(minutes=15)
MOST_PLANTS, MOST_NAME, MOST_TEXT = 40, 120, 4000
LIMITS = {"capacity_m3d": (10, 1_000_000), "within_m": (100, 50_000), "cost": (0, 1e18), "sewer_km": (0, 1000),
          "own_m": (1, 10_000)}  # fmt: skip
OPTIONAL = ("cost", "sewer_km", "own_m")
COSTS = {"build": (0, 1e15), "operation": (0, 1e12), "sewer": (0, 1e18), "years": (1, 100), "interest": (0, 50)}

metadata = sa.MetaData()
scenario_rows = sa.Table(
    "scenarios",
    metadata,
    row_key(),
    sa.Column("code", sa.Text, nullable=False, unique=True),
    *needed(sa.Text, "name", "note"),
    *needed(sa.Integer, "revision"),
    *needed(sa.Text, "money"),  # JSON of Money
    *optional(sa.Text, "study", "copied_from"),
    *needed(sa.Text, "created_by", "created_at", "changed_by", "changed_at"),
    *optional(sa.Text, "locked_by", "locked_at", "hidden_at"),
    sqlite_autoincrement=True,
)
plant_rows = sa.Table(
    "scenario_plants",
    metadata,
    row_key(),
    belongs_to("scenarios", "scenario", nullable=False, index=True),
    *needed(sa.Integer, "first_revision"),
    *optional(sa.Integer, "last_revision"),  # None: in force
    *needed(sa.Integer, "number"),
    *needed(sa.Text, "name"),
    *needed(sa.Double, "lon", "lat"),
    *needed(sa.Integer, "year"),
    *needed(sa.Double, "capacity_m3d"),
    *needed(sa.Text, "technology"),
    *optional(sa.Boolean, "enclosed"),
    *needed(sa.Boolean, "exposed"),
    *needed(sa.Double, "within_m"),
    *needed(sa.Text, "serves"),
    *optional(sa.Double, "cost", "sewer_km"),
    *needed(sa.Text, "study", "site", "flows"),  # flows: JSON, [[unit, m³/day], ...]
    *optional(sa.Double, "own_m"),
    sa.Column("own_source", sa.Text, nullable=False, server_default=""),
    sqlite_autoincrement=True,
)
comment_rows = sa.Table(
    "scenario_comments",
    metadata,
    row_key(),
    belongs_to("scenarios", "scenario", nullable=False, index=True),
    *needed(sa.Text, "at"),
    *needed(sa.Integer, "who_id"),
    *needed(sa.Text, "who", "role"),
    *needed(sa.Integer, "revision"),  # of the scenario that was commented
    *needed(sa.Text, "text"),
    *optional(sa.Text, "taken_back_at"),
    sqlite_autoincrement=True,
)
lock_rows = sa.Table(
    "scenario_locks",
    metadata,
    row_key(),
    belongs_to("scenarios", "scenario", nullable=False, index=True),
    *needed(sa.Integer, "revision"),  # from which on it was locked
    *needed(sa.Text, "by", "at", "figures"),  # figures: JSON, as they were
    *optional(sa.Text, "opened_by", "opened_at"),
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


def checked(plants, today):
    """Raises ScenarioError with everything that is wrong with the plants, each with its number and field.

    today: a plant of a year that is over is asked by the rules of this day.
    """
    if len(plants) > MOST_PLANTS:
        words = N_("A scenario holds at most %(most)s plants.")
        raise ScenarioError(words, [(None, "plants", words, {"most": MOST_PLANTS})], most=MOST_PLANTS)
    problems, numbers = [], set()
    for p in plants:
        if p.number in numbers or p.number < 1:
            problems.append((p.number, "number", N_("Two plants have the same number."), {}))
        numbers.add(p.number)
        found = list(_wrong(p))
        problems += [(p.number, *wrong) for wrong in found or _wrong_distance(p, today)]
    if problems:
        raise ScenarioError(N_("Some plants cannot be used as they are."), problems)


def _wrong(plant):
    """(field, words, values) of what is wrong with a plant by itself."""
    west, south, east, north = drawing.BOUNDS
    if not (west <= plant.lon <= east and south <= plant.lat <= north):
        words = N_("The place does not lie in the city or its waters. Latitude comes first, then longitude.")
        yield "place", words, {}
    if not FIRST_YEAR <= plant.year <= LAST_YEAR:
        yield "year", N_("Give a year from %(first)s to %(last)s."), {"first": FIRST_YEAR, "last": LAST_YEAR}
    for name, (least, most) in LIMITS.items():
        value = getattr(plant, name)
        if value is None and name in OPTIONAL:
            continue
        if value is None or not (math.isfinite(value) and least <= value <= most):
            yield name, N_("Give a number from %(least)s to %(most)s."), {"least": least, "most": f"{most:g}"}
    if plant.technology not in {t["code"] for t in technologies()}:
        yield "technology", N_("Choose a technology of the list."), {}
    if plant.serves not in SERVES:
        yield "serves", N_("Choose whom the plant serves."), {}
    if not _one_line(plant.name, MOST_NAME):
        yield "name", N_("A name has up to %(most)s letters, without line ends."), {"most": MOST_NAME}
    if not _one_line(plant.own_source, MOST_SOURCE):
        words = N_("The source has up to %(most)s letters, without line ends.")
        yield "own_source", words, {"most": MOST_SOURCE}
    elif plant.own_m is not None and not plant.own_source:
        yield "own_source", N_("Name the source of your own distance: the text, its number and day, or who set it."), {}
    elif plant.own_m is None and plant.own_source:
        yield "own_m", N_("Give the distance that the source names, or leave both empty."), {}


def _one_line(text, most):
    return len(text) <= most and "\n" not in text and clean(text, 10_000) == text


def _wrong_distance(plant, today):
    """As _wrong(): an own distance that is less than what the law of the plant's first day asks."""
    if plant.own_m is None:
        return
    law = legal(plant, first_day(plant, today))
    if law["state"] == "established" and plant.own_m < law["base_m"]:
        words = N_("%(own)s m is less than the %(law)s m of the regulation (row %(row)s).")
        yield "own_m", words, {"own": f"{plant.own_m:g}", "law": f"{law['base_m']:g}", "row": law["rows"][0]}


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
