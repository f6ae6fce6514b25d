"""What a citizen sends, checked at the door: every problem together, each with its field."""

import math
import re
import unicodedata
import uuid
from dataclasses import dataclass
from datetime import date, timedelta

from server.i18n import N_

# kind: (words, media of the register, what belongs to it)
KINDS = {
    "water": (N_("Dirty or coloured water"), ("water",), N_("foam, black water, a pipe that should not be there")),
    "fish": (N_("Dead fish"), ("water",), N_("in a river, canal, pond or at the shore")),
    "oil": (N_("Oil on water or ground"), ("water", "soil"), N_("a coloured film, thick black patches")),
    "waste": (N_("Dumped rubbish"), ("solid_waste",), N_("heaps, burnt rubbish, building rubble")),
    "drums": (N_("Chemicals, drums, hazardous waste"), ("soil", "solid_waste"), N_("do not touch; keep away")),
    "odour": (N_("Bad smell"), ("odour",), N_("from a canal, a plant, a farm or a dump")),
    "smoke": (N_("Smoke or dust"), ("air",), N_("chimneys, burning, trucks, ship loading")),
    "noise": (N_("Noise"), ("noise",), N_("machines, night work")),
    "other": (N_("Something else"), (), N_("describe it in your words")),
}
MISTAKE = "mistake"  # in a figure of ours: it has a page instead of a place, and a form of its own
KINDS[MISTAKE] = (N_("Mistake in a figure"), (), "")
COLOURS = {
    "black": N_("black"), "grey": N_("grey"), "brown": N_("brown"), "red": N_("red or pink"),
    "orange": N_("orange or rusty"), "green": N_("green"), "blue": N_("blue"), "white": N_("milky white"),
    "rainbow": N_("oily, all colours"),
}  # fmt: skip
SMELLS = {
    1: N_("none or hardly any"), 2: N_("weak"), 3: N_("clear"), 4: N_("strong"), 5: N_("unbearable"),
}  # fmt: skip
FIELDS = ("key", "kind", "smell", "colour", "words", "lon", "lat", "accuracy_m", "ward", "place", "seen_on", "language",
          "same_as")  # fmt: skip
MAX_WORDS, MAX_PLACE, MAX_PHOTOS = 2000, 200, 5
OLDEST = timedelta(days=3650)
# the city with its islands, Bạch Long Vĩ and Long Châu among them, and some water round them
WEST, SOUTH, EAST, NORTH = 106.0, 19.9, 108.1, 21.4
_SHA = re.compile(r"[0-9a-f]{64}")
_PAGE = re.compile(r"/(?!/)[\w\-./?=&%+:;,]{0,180}", re.ASCII)
_REF = re.compile(r"[0-9a-z]{10}")
_FORBIDDEN = {"Cc", "Cs", "Co", "Cn"}  # control, half characters, private and unassigned ones
_TURNS = dict.fromkeys(map(ord, "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"))  # reverse what is read


@dataclass(frozen=True)
class Draft:
    """One report as it was sent. key: made by the sender once, so that sending again is not a second report.

    lon, lat: degrees or None; accuracy_m: of the phone's position. ward: unit code or "". place: words.
    photos: checksums of the photos that will follow. same_as: ref of a report that says the same.
    """

    key: str
    kind: str
    smell: int | None = None
    colour: str = ""
    words: str = ""
    lon: float | None = None
    lat: float | None = None
    accuracy_m: float | None = None
    ward: str = ""
    place: str = ""
    seen_on: date | None = None
    language: str = "vi"
    photos: tuple[str, ...] = ()
    same_as: str = ""


class DraftError(Exception):
    """What cannot be taken. problems: {field: (sentence, values)}, sentences for gettext."""

    def __init__(self, problems):
        self.problems = problems
        super().__init__(" ".join(sentence % values for sentence, values in problems.values()))


def clean(text, limit):
    """Text from people as it is kept: composed, without control and direction signs, at most `limit` letters."""
    text = unicodedata.normalize("NFC", str(text or "").replace("\r\n", "\n").replace("\r", "\n"))
    text = "".join(c for c in text.translate(_TURNS) if c in "\n\t" or unicodedata.category(c) not in _FORBIDDEN)
    return re.sub(r"\n{3,}", "\n\n", text).strip()[:limit].strip()


def draft(form, *, today, wards):
    """The Draft of a form (anything with get), or DraftError with every problem.

    today: the date in the city; a day in the future or ten years back is not known.
    wards: the unit codes that exist.
    """
    problems = {}

    def wrong(field, sentence, **values):
        problems.setdefault(field, (sentence, values))

    photos = _photos(form, wrong)
    # what is no plain value (JSON may hold anything) was not given
    form = {f: str(v) for f in FIELDS if isinstance(v := form.get(f), str | int | float)}
    kind = form.get("kind") or ""
    if kind not in KINDS or kind == MISTAKE:
        wrong("kind", N_("Choose what you saw."))
    smell = form.get("smell") or None
    if smell is not None and smell not in map(str, SMELLS):
        wrong("smell", N_("Choose how strong the smell is, from 1 to 5."))
    colour = form.get("colour") or ""
    if colour and colour not in COLOURS:
        wrong("colour", N_("Choose a colour from the list."))
    if len(form.get("words", "")) > MAX_WORDS + 200:
        wrong("words", N_("Your text has more than %(limit)s letters. Shorten it."), limit=MAX_WORDS)
    words, place = clean(form.get("words"), MAX_WORDS), clean(form.get("place"), MAX_PLACE).replace("\n", " ")
    ward = form.get("ward") or ""
    if ward and ward not in wards:
        wrong("ward", N_("Choose a ward or commune from the list."))
    lon, lat = _position(form, wrong)
    if lon is None and not ward and "place" not in problems:
        wrong("place", N_("Say where it is: put the pin on the map or choose the ward or commune."))
    if kind == "other" and not words:
        wrong("words", N_("Describe in a few words what you saw."))
    seen_on = _seen_on(form, today, wrong)
    if problems:
        raise DraftError(problems)
    return Draft(
        key=_key(form), kind=kind, smell=int(smell) if smell else None, colour=colour, words=words, lon=lon, lat=lat,
        accuracy_m=_number(form.get("accuracy_m"), 0, 100_000) if lon is not None else None, ward=ward, place=place,
        seen_on=seen_on, language="en" if form.get("language") == "en" else "vi", photos=photos,
        same_as=ref if _REF.fullmatch(ref := form.get("same_as", "")) else "",
    )  # fmt: skip


def mistake(form, *, today):
    """The Draft of a report on a wrong figure; DraftError without words. about: the path of our page."""
    words, about = clean(form.get("words"), MAX_WORDS), page_of(form.get("about"))
    if not words:
        raise DraftError({"words": (N_("Say what is wrong and, if you can, where the right figure stands."), {})})
    language = "en" if form.get("language") == "en" else "vi"
    return Draft(_key(form), MISTAKE, words=words, place=about, seen_on=today, language=language)


def page_of(path):
    """A path on this site as it was given, or "" for anything else."""
    return path if path and _PAGE.fullmatch(path) else ""


def _number(value, low, high):
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and low <= number <= high else None


def _position(form, wrong):
    given = [form.get(name) for name in ("lon", "lat")]
    if all(v in (None, "") for v in given):
        return None, None
    lon, lat = _number(given[0], WEST, EAST), _number(given[1], SOUTH, NORTH)
    if lon is None or lat is None:
        wrong("place", N_("The pin does not lie in the city or its waters. Move it, or choose the ward instead."))
        return None, None
    return round(lon, 6), round(lat, 6)


def _seen_on(form, today, wrong):
    given = form.get("seen_on")
    if not given:
        return today
    try:
        day = date.fromisoformat(given)
    except ValueError:
        wrong("seen_on", N_("Give the day as a date."))
        return None
    if not today - OLDEST <= day <= today + timedelta(days=1):
        return None  # the clock of a phone may be wrong, which is no reason to refuse a report
    return min(day, today)


def _photos(form, wrong):
    given = form.get("photos") or ()
    given = [str(s).lower() for s in given] if isinstance(given, list | tuple) else []
    if any(not _SHA.fullmatch(s) for s in given):
        wrong("photos", N_("The photos cannot be read. Choose them again."))
    found = tuple(dict.fromkeys(given))
    if len(found) > MAX_PHOTOS:
        wrong("photos", N_("At most %(limit)s photos can be sent with one report."), limit=MAX_PHOTOS)
    return found


def _key(form):
    """The sender's key, or a fresh one where none that can be used was sent."""
    try:
        return str(uuid.UUID(form.get("key", "")))
    except ValueError:
        return str(uuid.uuid4())
