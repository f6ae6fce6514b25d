"""What the pages and commands work with: the store, the figures and the search index of one city."""

from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from layers import rasters, starter
from layers.store import Store
from server import directory
from server.figures import Figures

CITY_TIME = ZoneInfo("Asia/Ho_Chi_Minh")
POPULATION = "population.tif"


@dataclass
class Services:
    """One open city. `today` may be set for tests. population: the raster of people, a GeoTIFF."""

    store: Store
    figures: Figures
    population: Path | None = None
    fixed_today: date | None = field(default=None)

    def today(self):
        """The date in the city."""
        return self.fixed_today or datetime.now(CITY_TIME).date()

    def site(self):
        """What every page's foot says: when the data last changed, and their version."""
        self.store.stamp()
        number, at = self.store.data_version()
        changed = datetime.fromisoformat(at).astimezone(CITY_TIME).date() if at else None
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
        starter.fill(store, today=today)
    population = store.data_dir / POPULATION
    if not population.exists():
        say("First start: spreading the people of each ward over its land ...")
        rasters.make_population(store, population)
    return Services(store, Figures(store, population), population=population, fixed_today=today)
