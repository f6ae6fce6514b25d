"""The book of scenarios: named sets of new plants by year, their unit costs, locks and comments.

Tables of their own beside the layers in the GeoPackage. Every change is one transaction with its audit row and goes up
by one revision; plants of earlier revisions stay, comments that were taken back and scenarios that were put away too.
A locked scenario cannot change and keeps the figures of the moment it was locked; it can be copied.
"""

import json
import math
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from layers import audit
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
_scenarios = sa.Table(
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
_plants = sa.Table(
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
_comments = sa.Table(
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
_locks = sa.Table(
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


class Scenarios:
    """The scenarios of one city. now: aware clock. studies: gives the book of siting studies, or None."""

    def __init__(self, store, figures, *, now, studies=lambda: None):
        self._store, self._figures, self._now, self._studies = store, figures, now, studies
        with store.transaction() as con:
            metadata.create_all(con)

    # --- reading ---

    def all(self, *, hidden=False):
        """Scenarios without their plants, newest change first; hidden: those put away instead."""
        away = _scenarios.c.hidden_at.isnot(None) if hidden else _scenarios.c.hidden_at.is_(None)
        query = sa.select(_scenarios).where(away).order_by(_scenarios.c.changed_at.desc(), _scenarios.c.id.desc())
        with self._store.reading() as con:
            return [_scenario(row) for row in con.execute(query).mappings()]

    def get(self, code):
        """The Scenario with its plants; KeyError where there is none."""
        with self._store.reading() as con:
            return self._get(con, code)

    def _get(self, con, code):
        row = con.execute(sa.select(_scenarios).where(_scenarios.c.code == code)).mappings().one_or_none()
        if row is None:
            raise KeyError(code)
        query = sa.select(_plants).where(_plants.c.scenario == row["id"], _plants.c.last_revision.is_(None))
        return _scenario(row, [_plant(r) for r in con.execute(query.order_by(_plants.c.number)).mappings()])

    def at_revision(self, code, revision):
        """The plants as an earlier revision had them."""
        with self._store.reading() as con:
            number = self._get(con, code).id
            query = sa.select(_plants).where(
                _plants.c.scenario == number, _plants.c.first_revision <= revision,
                sa.or_(_plants.c.last_revision.is_(None), _plants.c.last_revision >= revision),
            )  # fmt: skip
            return tuple(_plant(r) for r in con.execute(query.order_by(_plants.c.number)).mappings())

    def ground(self):
        """The scenarioledger.Ground of today."""
        return scenarioledger.ground(self._figures, self._now().date())

    def try_out(self, plants, money=None):
        """What plants would change, nothing written: scenarioledger.outcome of today. Raises ScenarioError."""
        checked(plants)
        return scenarioledger.outcome(self.ground(), plants, money)

    def figures(self, code):
        """The figures of a scenario: those of the lock where it is locked, else of today.

        With `frozen_at` (ISO or None) and, where frozen, `differs`: whether today's data would give others.
        """
        with self._store.reading() as con:
            scenario = self._get(con, code)
            query = sa.select(_locks.c.figures).where(_locks.c.scenario == scenario.id, _locks.c.opened_at.is_(None))
            frozen = con.scalar(query)
        fresh = self._figures.kept("scenario", self._fresh, code, scenario.revision, self._now().date())
        if frozen is None:
            return fresh | {"frozen_at": None, "differs": False}
        kept = json.loads(frozen)
        same = [_gist(y) for y in kept["years"]] == [_gist(y) for y in fresh["years"]]
        return kept | {"frozen_at": scenario.locked_at, "differs": not same}

    def _fresh(self, code, _revision, _today):
        scenario = self.get(code)
        return self.try_out(scenario.plants, scenario.money)

    def comments(self, code, user=None):
        """Comments, oldest first."""
        now = self._now()
        with self._store.reading() as con:
            number = self._get(con, code).id
            query = sa.select(_comments).where(_comments.c.scenario == number).order_by(_comments.c.id)
            rows = con.execute(query).mappings().all()
        return [
            Comment(r["id"], r["at"], r["who"], r["role"], r["revision"], "" if r["taken_back_at"] else r["text"],
                    r["taken_back_at"] is not None, _may_go(r, user, now))
            for r in rows
        ]  # fmt: skip

    def counts(self):
        """{scenario code: (plants, comments that stand)}."""
        with self._store.reading() as con:
            held = {code: [0, 0] for code in con.scalars(sa.select(_scenarios.c.code))}
            for place, table, stands in (
                (0, _plants, _plants.c.last_revision),
                (1, _comments, _comments.c.taken_back_at),
            ):
                query = (sa.select(_scenarios.c.code, sa.func.count()).join(table, table.c.scenario == _scenarios.c.id)
                         .where(stands.is_(None)).group_by(_scenarios.c.code))  # fmt: skip
                for code, n in con.execute(query):
                    held[code][place] = n
        return {code: tuple(n) for code, n in held.items()}

    # --- writing ---

    def create(self, user, name, *, note="", plants=(), money=None, study=None, copied_from=None):
        """A new scenario; returns its code."""
        _may(user)
        values = {"name": _name(name), "note": _text(note), "money": _packed(_money(money or Money()))}
        checked(plants)
        at = self._stamp()
        with self._store.transaction() as con:
            n = (con.scalar(sa.select(sa.func.max(_scenarios.c.id))) or 0) + 1
            code = f"KB-{n:04d}"
            row = values | {"code": code, "revision": 1, "study": study, "copied_from": copied_from,
                            "created_by": user.name, "created_at": at, "changed_by": user.name, "changed_at": at}  # fmt: skip
            number = con.execute(_scenarios.insert().values(id=n, **row)).inserted_primary_key[0]
            self._put(con, number, 1, plants)
            self._note(con, user, "create", code, new=values | {
                "study": study, "copied_from": copied_from, "plants": [_told(p) for p in plants]})  # fmt: skip
        return code

    def from_study(self, user, code, name="", *, year=2030):
        """A new scenario of the chosen sites of a study; returns its code. The years can be changed then."""
        studies = self._studies()
        try:
            study, result = studies.get(code), studies.result(code)
        except (KeyError, AttributeError):
            study = result = None
        if result is None:
            raise ScenarioError(NO_ANSWER, [(None, "study", NO_ANSWER, {})])
        try:
            plants, currency = scenarioledger.plants_of_study(code, result, year)
        except ValueError:
            raise ScenarioError(NOT_PLANTS, [(None, "study", NOT_PLANTS, {})]) from None
        return self.create(
            user, name or study["name"][:MOST_NAME], plants=plants, money=Money(currency=currency), study=code
        )

    def copy(self, user, code, name):
        """A copy, never locked; returns its code."""
        one = self.get(code)
        return self.create(user, name, note=one.note, plants=one.plants, money=one.money, study=one.study,
                           copied_from=one.code)  # fmt: skip

    def describe(self, user, code, revision, *, name=None, note=None, money=None):
        """Change name, note or unit costs; what is None stays."""
        with self._changing(user, code, revision) as (con, one):
            new = {}
            if name is not None:
                new["name"] = _name(name)
            if note is not None:
                new["note"] = _text(note)
            if money is not None:
                new["money"] = _packed(_money(money))
            old = {"name": one.name, "note": one.note, "money": _packed(one.money)}
            new = {k: v for k, v in new.items() if v != old[k]}
            if new:
                self._save(con, user, one, new)
                self._note(con, user, "describe", code, old={k: old[k] for k in new}, new=new)
        return self.get(code)

    def set_plants(self, user, code, revision, plants):
        """The plants as they shall be from now on; those of before stay kept with their revisions."""
        plants = tuple(plants)
        checked(plants)
        with self._changing(user, code, revision) as (con, one):
            before = {p.number: p for p in one.plants}
            after = {p.number: p for p in plants}
            gone = [n for n, p in before.items() if after.get(n) != p]
            fresh = [p for n, p in after.items() if before.get(n) != p]
            if gone or fresh:
                self._save(con, user, one, {})
                con.execute(_plants.update().where(
                    _plants.c.scenario == one.id, _plants.c.last_revision.is_(None), _plants.c.number.in_(gone)
                ).values(last_revision=one.revision))  # fmt: skip
                self._put(con, one.id, one.revision + 1, fresh)
                self._note(con, user, "plants", code, old={"plants": [_told(before[n]) for n in gone]},
                           new={"plants": [_told(p) for p in fresh]})  # fmt: skip
        return self.get(code)

    def lock(self, user, code, revision):
        """Lock it with name and date, and keep its figures as they are now."""
        figures = self.figures(code)
        with self._changing(user, code, revision) as (con, one):
            kept = {k: v for k, v in figures.items() if k not in ("frozen_at", "differs")}
            at = self._stamp()
            self._save(con, user, one, {"locked_by": user.name, "locked_at": at})
            con.execute(_locks.insert().values(scenario=one.id, revision=one.revision + 1, by=user.name, at=at,
                                               figures=_packed(kept)))  # fmt: skip
            self._note(con, user, "lock", code, new={"revision": one.revision + 1, "data_version": kept["version"]})
        return self.get(code)

    def unlock(self, user, code, revision):
        """Open a locked one again; the figures it kept stay with the closed lock."""
        with self._changing(user, code, revision, locked=True) as (con, one):
            self._save(con, user, one, {"locked_by": None, "locked_at": None})
            con.execute(_locks.update().where(_locks.c.scenario == one.id, _locks.c.opened_at.is_(None))
                        .values(opened_by=user.name, opened_at=self._stamp()))  # fmt: skip
            self._note(con, user, "unlock", code, old={"locked_by": one.locked_by, "locked_at": one.locked_at})
        return self.get(code)

    def put_away(self, user, code, revision, *, away=True):
        """Take a scenario from the list, or put it back; a locked one can be put away too."""
        with self._changing(user, code, revision, locked=None) as (con, one):
            self._save(con, user, one, {"hidden_at": self._stamp() if away else None})
            self._note(con, user, "put_away" if away else "take_out", code)
        return self.get(code)

    def comment(self, user, code, text):
        """Write under a scenario, locked or not; returns the comment's number."""
        if user.role not in READERS:
            raise ScenarioError(N_("Your role does not comment on scenarios."))
        text = _text(text)
        if not text:
            raise ScenarioError(N_("Write the comment first."), [(None, "text", N_("Write the comment first."), {})])
        with self._store.transaction() as con:
            one = self._get(con, code)
            values = {"scenario": one.id, "at": self._stamp(), "who_id": user.id, "who": user.name, "role": user.role,
                      "revision": one.revision, "text": text}  # fmt: skip
            number = con.execute(_comments.insert().values(values)).inserted_primary_key[0]
            self._note(con, user, "comment", code, new={"comment": number, "letters": len(text)})
        return number

    def take_back(self, user, code, number):
        """Take one's own comment back, within fifteen minutes."""
        with self._store.transaction() as con:
            one = self._get(con, code)
            query = sa.select(_comments).where(_comments.c.id == number, _comments.c.scenario == one.id)
            row = con.execute(query).mappings().one_or_none()
            if row is None:
                raise KeyError(number)
            if not _may_go(row, user, self._now()):
                raise ScenarioError(N_("A comment can be taken back by its writer, within 15 minutes."))
            con.execute(_comments.update().where(_comments.c.id == number).values(taken_back_at=self._stamp()))
            self._note(con, user, "take_back", code, old={"comment": number})

    # --- inside ---

    def _changing(self, user, code, revision, *, locked=False):
        _may(user)
        return _Change(self, code, revision, locked)

    def _save(self, con, user, one, changes):
        done = con.execute(
            _scenarios.update().where(_scenarios.c.id == one.id, _scenarios.c.revision == one.revision)
            .values(revision=one.revision + 1, changed_by=user.name, changed_at=self._stamp(), **changes)
        )  # fmt: skip
        if done.rowcount != 1:
            raise Conflict(CHANGED, code=one.code)

    @staticmethod
    def _put(con, number, revision, plants):
        rows = [asdict(p) | {"scenario": number, "first_revision": revision, "flows": _packed([list(f) for f in p.flows])}
                for p in plants]  # fmt: skip
        if rows:
            con.execute(_plants.insert(), rows)

    def _stamp(self):
        return self._now().astimezone(UTC).isoformat(timespec="milliseconds")

    def _note(self, con, user, action, code, *, old=None, new=None):
        audit.append(con, at=self._now().astimezone(UTC), who=user.name, who_id=user.id, role=user.role,
                     action=f"scenario.{action}", thing=f"scenario:{code}", old=old, new=new)  # fmt: skip


NO_ANSWER = N_("This study has no answer yet. Run it first.")
NOT_PLANTS = N_(
    "The answer of this study has no sites for waste water treatment plants; a scenario cannot begin with it."
)
CHANGED = N_(
    "Somebody else changed %(code)s in the meantime. Nothing was saved; look at it as it is now and try again."
)
LOCKED = N_("%(code)s is locked and does not change. Make a copy, or unlock it first.")


class _Change:
    """A transaction with the scenario as it is, after asking revision and lock (None: either way)."""

    def __init__(self, book, code, revision, locked):
        self._book, self._code, self._revision, self._locked = book, code, revision, locked

    def __enter__(self):
        self._transaction = self._book._store.transaction()
        con = self._transaction.__enter__()
        try:
            one = self._book._get(con, self._code)
            if one.revision != self._revision:
                raise Conflict(CHANGED, code=self._code)
            if self._locked is not None and one.locked != self._locked:
                raise ScenarioError(LOCKED if one.locked else N_("%(code)s is not locked."), code=self._code)
        except BaseException as error:
            self._transaction.__exit__(type(error), error, error.__traceback__)
            raise
        return con, one

    def __exit__(self, *error):
        return self._transaction.__exit__(*error)


def _may(user):
    if user.role not in WRITERS:
        raise ScenarioError(N_("Scenarios are written by planners and administrators. You may read and comment."))


def _may_go(row, user, now):
    mine = user is not None and row["who_id"] == user.id and row["taken_back_at"] is None
    return mine and now.astimezone(UTC) - datetime.fromisoformat(row["at"]) <= TAKE_BACK


def _gist(year):
    return year["year"], round(year["gained"]["likely"], 3), round(year["people_gained"], 3), year["hotspots"]


# --- what may be written ---


def clean(text, most):
    """Text without control characters, cut; line ends stay."""
    text = (text or "").replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in text if c.isprintable() or c == "\n").strip()[:most]


def _name(text):
    name = " ".join(clean(text, 10_000).split())
    if not name or len(name) > MOST_NAME:
        words = N_("Give the scenario a name of up to %(most)s letters.")
        raise ScenarioError(words, [(None, "name", words, {"most": MOST_NAME})], most=MOST_NAME)
    return name


def _text(text):
    return clean(text, MOST_TEXT)


def _money(money):
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


def _scenario(row, plants=()):
    values = {f.name: row[f.name] for f in fields(Scenario) if f.name not in ("money", "plants")}
    return Scenario(**values, money=Money(**json.loads(row["money"])), plants=tuple(plants))


def _plant(row):
    values = {name: row[name] for name in _OF_PLANT}
    return Plant(**values | {"flows": tuple((u, q) for u, q in json.loads(row["flows"]))})


def _packed(value):
    if isinstance(value, Money):
        value = asdict(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False)


def _told(plant):
    """A plant as the audit writes it."""
    return {k: v for k, v in asdict(plant).items() if k != "flows"} | {"flows": len(plant.flows)}
