"""Units of measured values, and the way from one to another of the same dimension.

Factors are exact decimals, so that 300 µg/L is 0.3 mg/L and not a hair more. What is not in the table is
refused: ppm (of mass, or of volume?), dB without its weighting, µg/m³ against a limit per normal cubic
metre (which needs the temperature and the pressure), MPN against CFU (two methods).
"""

import unicodedata
from decimal import Decimal

# dimension: base unit and what each unit is in it
_TABLE = {
    "mass per volume": (
        "mg/L",
        {"g/L": "1000", "kg/m3": "1000", "mg/L": "1", "g/m3": "1", "mg/dm3": "1", "µg/L": "0.001", "mg/m3": "0.001",
         "µg/mL": "1", "mg/mL": "1000", "ng/mL": "0.001", "µg/m3": "0.000001", "ng/L": "0.000001"},
    ),
    "mass per normal volume": (
        "µg/Nm3", {"µg/Nm3": "1", "mg/Nm3": "1000", "g/Nm3": "1000000", "ng/Nm3": "0.001"},
    ),
    "mass per dry mass": (
        "mg/kg", {"mg/kg": "1", "µg/g": "1", "µg/kg": "0.001", "g/kg": "1000", "ng/g": "0.001", "mg/kg dw": "1",
                  "mg/kg dry": "1", "mg/kg khô": "1", "mg/kg đất khô": "1"},
    ),
    "MPN": ("MPN/100mL", {"MPN/100mL": "1", "MPN/mL": "100", "MPN/L": "0.1"}),
    "CFU": ("CFU/100mL", {"CFU/100mL": "1", "CFU/mL": "100", "CFU/L": "0.1"}),
    "count": ("count/100mL", {"count/100mL": "1", "count/mL": "100", "count/L": "0.1"}),
    "none": ("-", {"-": "1", "": "1", "pH": "1"}),
    "temperature": ("°C", {"°C": "1", "oC": "1", "degC": "1", "C": "1"}),
    "colour": ("Pt-Co", {"Pt-Co": "1", "PtCo": "1", "Pt/Co": "1", "TCU": "1"}),
    "activity": ("Bq/L", {"Bq/L": "1", "mBq/L": "0.001", "pCi/L": "0.037"}),
    "sound level": ("dBA", {"dBA": "1", "dB(A)": "1"}),
    "fibres": ("fibre/m3", {"fibre/m3": "1", "fiber/m3": "1", "sợi/m3": "1"}),
}  # fmt: skip
_EITHER = {
    "MPN or CFU/100mL": ("MPN/100mL", "CFU/100mL"),
    "CFU or MPN/100mL": ("MPN/100mL", "CFU/100mL"),
}


class UnitError(ValueError):
    """A unit that is not known, or cannot be turned into the other. code: unit_missing, unit_unknown or unit_differs."""

    def __init__(self, code, message):
        self.code = code
        super().__init__(message)


def _key(unit):
    text = unicodedata.normalize("NFKC", unit).replace("μ", "u").replace("lít", "l").replace("lit", "l")
    return "".join(text.split()).replace("mcg", "ug").lower()


_UNITS = {_key(u): (d, Decimal(f)) for d, (_base, units) in _TABLE.items() for u, f in units.items()}
_EITHER_BY_KEY = {_key(u): ways for u, ways in _EITHER.items()}


def known():
    """The units that are understood, by dimension, base unit first: what a form may offer.

    >>> known()["MPN"]
    ('MPN/100mL', 'MPN/mL', 'MPN/L')
    """
    return {d: tuple(dict.fromkeys([base, *(u for u in units if u)])) for d, (base, units) in _TABLE.items()}


def exact(number):
    """Decimal of a number as it is written: 0.1 is one tenth."""
    return number if isinstance(number, Decimal) else Decimal(repr(float(number)))


def convert(value, unit, to):
    """value given in `unit` as a Decimal in `to`. Upper and lower case, blanks, µ and u, ³ and 3 are the same.

    `to` may allow two methods ("MPN or CFU/100mL"): either is taken. Raises UnitError.

    >>> convert(300, "µg/L", "mg/L") == Decimal("0.3"), convert(5, "MPN/mL", "MPN or CFU/100mL")
    (True, Decimal('500.0'))
    >>> convert(1, "ppm", "mg/L")
    Traceback (most recent call last):
    geo.units.UnitError: The unit 'ppm' is not known.
    """
    ways = _EITHER_BY_KEY.get(_key(to), (to,))
    if not _key(unit) and "" not in map(_dimensionless, ways):
        raise UnitError("unit_missing", f"The unit is missing: the limit is in {to}.")
    if _key(unit) in _EITHER_BY_KEY:
        unit = _EITHER_BY_KEY[_key(unit)][0] if len(ways) > 1 else unit
    if _key(unit) not in _UNITS:
        raise UnitError("unit_unknown", f"The unit {unit!r} is not known.")
    dimension, factor = _UNITS[_key(unit)]
    for way in ways:
        if way_of := _UNITS.get(_key(way)):
            if way_of[0] == dimension:
                return exact(value) * factor / way_of[1]
        elif _key(way):
            raise UnitError("unit_unknown", f"The unit {way!r} of the limit is not known.")
    raise UnitError("unit_differs", f"{unit} is {dimension}; the limit is in {to}.")


def _dimensionless(unit):
    return "" if _UNITS.get(_key(unit), ("",))[0] == "none" else unit
