"""The plants of a scenario and its unit costs, as values."""

from dataclasses import dataclass

FIRST_YEAR, LAST_YEAR = 2025, 2035
YEARS = tuple(range(FIRST_YEAR, LAST_YEAR + 1))
SHOWN_YEARS = (*range(2025, 2031), 2035)  # the phases of the plans, and what comes later
SERVES = ("wards", "zones", "all")
MOST_SOURCE = 400  # letters of the source of an entered distance


@dataclass(frozen=True)
class Plant:
    """A new plant of a scenario. enclosed: True, False, or None where the technology leaves no choice or nobody said.

    exposed: upstream of a water source or upwind of houses. serves: of SERVES. cost: in the scenario's money, sewer_km:
    both None where they follow from unit costs and the shortest tree. flows: ((unit, m³/day), ...) of a study.
    own_m: a safety distance that the planner entered, with own_source; None: only the law's counts.
    """

    number: int
    name: str
    lon: float
    lat: float
    year: int
    capacity_m3d: float
    technology: str
    enclosed: bool | None = None
    exposed: bool = False
    within_m: float = 5000.0
    serves: str = "wards"
    cost: float | None = None
    sewer_km: float | None = None
    study: str = ""
    site: str = ""
    flows: tuple = ()
    own_m: float | None = None
    own_source: str = ""

    @property
    def code(self):
        return f"P{self.number}"


@dataclass(frozen=True)
class Money:
    """The user's own unit costs, all in one currency; None is not given, never zero.

    build: per m³/day of capacity; operation: per m³ treated; sewer: per km; years: over which what was built is paid
    for; interest: per cent a year, 0 where none.
    """

    currency: str = ""
    build: float | None = None
    operation: float | None = None
    sewer: float | None = None
    years: int | None = None
    interest: float = 0.0

    def yearly(self, spent):
        """What a sum costs per year of use: spent × i / (1 − (1 + i)^−n), or spent / n without interest.

        >>> Money(years=10).yearly(100.0), round(Money(years=20, interest=5.0).yearly(100.0), 3)
        (10.0, 8.024)
        """
        if spent is None or not self.years:
            return None
        i = self.interest / 100
        return spent / self.years if i == 0 else spent * i / (1 - (1 + i) ** -self.years)
