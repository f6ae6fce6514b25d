"""What the pages and commands work with: the store, the figures and the search index of one city."""

from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from layers import rasters, starter
from layers.store import Store
from server import directory, leftovers
from server.accounts import Accounts
from server.caserows import CaseRows
from server.citytime import CITY_TIME, local
from server.docket import WARD_KINDS
from server.figures import Figures
from server.files import Files
from server.importdesk import Imports
from server.jobs import Jobs
from server.notices import Notices
from server.priorities import Priorities
from server.publication import Publication
from server.reports import Reports
from server.scenarios import Scenarios
from server.siting import Studies
from server.tokens import Tokens

POPULATION = "population.tif"


@dataclass
class Services:
    """One open city. `today` may be set for tests. population: the raster of people, a GeoTIFF.

    accounts: the people and their contact data; files: what was uploaded; gate: what becomes public;
    book: the register of cases, with the priorities of each; reports: of citizens; notices: news by mail; jobs: long work;
    imports: files on their way into a layer; studies: of siting; scenarios: plants by year; tokens: of programs.
    """

    store: Store
    figures: Figures
    population: Path | None = None
    fixed_today: date | None = field(default=None)
    accounts: Accounts = field(init=False)
    files: Files = field(init=False)
    gate: Publication = field(init=False)
    book: CaseRows = field(init=False)
    priorities: Priorities = field(init=False)
    reports: Reports = field(init=False)
    notices: Notices = field(init=False)
    jobs: Jobs = field(init=False)
    tokens: Tokens = field(init=False)
    imports: Imports = field(init=False)
    studies: Studies = field(init=False)
    scenarios: Scenarios = field(init=False)

    def __post_init__(self):
        self.accounts = Accounts(self.store.data_dir)
        self.files, self._swept = Files(self.store.data_dir / "files"), None
        self.gate = Publication(self.store, wards=self.ward_names, now=self.now)
        self.book = CaseRows(self.store, self.gate, now=self.now)
        self.reports = Reports(self.store, self.files, now=self.now, knows_case=self.book.knows, tie=self._tie)
        self.book.reports_near, self.book.reports_of = self.reports.count_near, self.reports.entries
        self.book.adopt()
        self.priorities = Priorities(self.store, self.book, self.population, now=self.now)
        self.notices = Notices(self.accounts, self.store.data_dir, now=self.now)
        self.jobs = Jobs(self.store.data_dir)
        self.tokens = Tokens(self.accounts.vault, now=self.now)
        self.imports = Imports(self.store, self.jobs, now=self.now)
        self.studies = Studies(self)
        self.scenarios = Scenarios(self.store, self.figures, now=self.now, studies=lambda: self.studies)

    def _tie(self, con, user, case, report):
        self.book.link_in(con, user, case, "report", report)

    def rounds(self):
        """What happens by itself: embargoes end, what was closed is watched, readers get their news, and once a day uploads
        that nothing names go. The codes that moved."""
        moved = [*self.gate.release(), *self.book.watch()]
        self.notices.round(self.store)
        if self._swept != self.today():
            leftovers.sweep(self.files, self.store.data_dir)
            self._swept = self.today()
        return moved

    def close(self):
        """Let go of the files."""
        self.jobs.close()
        self.accounts.close()
        self.store.close()

    def now(self):
        """The moment in the city; on a day set for tests, its present time of day."""
        now = datetime.now(CITY_TIME)
        return now if self.fixed_today is None else datetime.combine(self.fixed_today, now.timetz())

    def today(self):
        """The date in the city."""
        return self.now().date()

    def ward_names(self):
        """{code: (name_vi, name_en)} of the wards."""
        admin = self.store.snapshot("admin_units")
        rows = admin[admin["kind"].isin(WARD_KINDS)]
        return {c: (vi, en) for c, vi, en in zip(rows["code"], rows["name_vi"], rows["name_en"], strict=True)}

    def site(self):
        """What every page's foot says: when the data last changed, and their version."""
        self.store.stamp()
        number, at = self.store.data_version()
        changed = local(at).date() if at else None
        return {"data_updated": changed, "version": str(number)}

    def warm(self):
        """Make what the first reader would otherwise wait for."""
        self.figures.coverage("ward", self.today())
        self.figures.wards_of_places()
        self.index()

    def index(self):
        """The search index, made once per data version."""
        return self.figures.kept("search", directory.index, self.store)

    def find(self, text, *, limit, language):
        """What a text finds, best first: dicts with name, kind, kind_word, note and url."""
        return [directory.shown(hit, language) for hit in self.index().search(text, limit=limit, lang=language)]

    def named(self, code, language):
        """One entry by its code, as find() gives it, or None."""
        hits = self.index().search(code, limit=1)
        return directory.shown(hits[0], language) if hits and hits[0].entry.code == code else None


def open_city(data_dir, *, say=lambda line: None, today=None):
    """The Services of a data folder; a new folder is filled with the starter facts.

    say: called with a line of progress. Raises layers.errors.StoreError.
    """
    store = Store(data_dir)
    if store.meta("starter_filled") is None:
        say("First start: filling the store with the starter facts ...")
        starter.fill(store, today=today or datetime.now(CITY_TIME).date())
    starter.complete(store)
    population = store.data_dir / POPULATION
    if not population.exists():
        say("First start: spreading the people of each ward over its land ...")
        rasters.make_population(store, population)
    return Services(store, Figures(store, population), population=population, fixed_today=today)
