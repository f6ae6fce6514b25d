"""What stands in the mails to readers: two short lines and a link for each thing that happened.

Outside a request: the language is given, and so is the address of the site.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, parseaddr

from layers.catalogue import ALL
from server.i18n import MONTHS, N_, translations


class _Policy(EmailPolicy):
    """Addresses of one-click headers stay on one line: some mail programs do not join folded ones."""

    def fold(self, name, value):
        return f"{name}: {value}{self.linesep}" if name.startswith("List-") else super().fold(name, value)

    def fold_binary(self, name, value):
        return self.fold(name, value).encode("ascii") if name.startswith("List-") else super().fold_binary(name, value)


POLICY = _Policy(linesep="\r\n")
MOST = 8  # things told one by one; the rest is counted
SHORT = 110  # letters of a text that is quoted


@dataclass(frozen=True)
class News:
    """One public step of one hotspot. km: distance from the nearest place of the reader.

    public: whether the hotspot still has a page; one that was withdrawn has not.
    """

    code: str
    number: int
    name_vi: str
    name_en: str
    km: float
    day: date
    action: str
    text_vi: str | None
    text_en: str | None
    office_vi: str | None
    office_en: str | None
    deadline: date | None = None
    deadline_for_vi: str | None = None
    deadline_for_en: str | None = None
    watch_until: date | None = None
    public: bool = True


def say(language, message, **values):
    return translations(language).gettext(message) % values


def day_words(language, day):
    """22/11/2026 or 22 Nov 2026."""
    return f"{day:%d/%m/%Y}" if language == "vi" else f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def km_words(language, km):
    written = f"{km:.1f}".removesuffix(".0") if km >= 0.05 else "0"
    return (written.replace(".", ",") if language == "vi" else written) + " km"


def _either(thing, name, language):
    other = "en" if language == "vi" else "vi"
    return getattr(thing, f"{name}_{language}") or getattr(thing, f"{name}_{other}") or ""


def _flat(text, most=SHORT):
    """One line of signs that can be printed, cut at a word."""
    text = "".join(c for c in " ".join(text.split()) if c.isprintable())
    return text if len(text) <= most else text[:most].rsplit(" ", 1)[0] + " …"


def what_happened(language, action):
    return ALL["hotspot_events"].words("action", action, language)


def lines_of(steps, language, address):
    """(lines, link) of the steps of one hotspot, oldest first: what and where; until when and who says so."""
    last = steps[-1]
    done = list(dict.fromkeys(what_happened(language, n.action) for n in steps))[-4:]
    km = km_words(language, last.km)
    first = f"{_flat(_either(last, 'name', language), 70)} ({km}): {', '.join(done)}, {day_words(language, last.day)}."
    second = []
    told = _flat(_either(last, "text", language))
    if told:
        second.append(told.rstrip("."))
    if last.deadline:
        wanted = _flat(_either(last, "deadline_for", language), 60)
        due = say(language, N_("Deadline %(date)s"), date=day_words(language, last.deadline))
        second.append(f"{due}: {wanted}" if wanted else due)
    elif last.watch_until:
        second.append(say(language, N_("Watched until %(date)s"), date=day_words(language, last.watch_until)))
    office = _flat(_either(last, "office", language), 80)
    if office:
        second.append(say(language, N_("Says: %(office)s"), office=office))
    link = f"{address}/hotspots/{last.code}" if last.public else f"{address}/hotspots"
    return [first, ". ".join(second) + "."] if second else [first], link


def digest(news, language, address, token):
    """(subject, text) of the mail of one day: a block for each hotspot, the one with the newest step first."""
    spots = {}
    for one in sorted(news, key=lambda n: (n.day, n.number)):
        spots.setdefault(one.code, []).append(one)
    blocks = sorted(spots.values(), key=lambda steps: (-steps[-1].day.toordinal(), steps[-1].km))
    last = blocks[0][-1]
    if len(blocks) == 1:
        subject = f"{_flat(_either(last, 'name', language), 70)}: {what_happened(language, last.action)}"
    else:
        subject = say(language, N_("News of %(count)s hotspots near you"), count=len(blocks))
    out = []
    for steps in blocks[:MOST]:
        lines, link = lines_of(steps, language, address)
        out += [*lines, link, ""]
    if len(blocks) > MOST:
        out += [say(language, N_("And %(count)s more:"), count=len(blocks) - MOST), f"{address}/hotspots", ""]
    out += ["-- ", say(language, N_("You get this because you asked for news of a place. Change or stop:")),
            f"{address}/subscribe/mine/{token}"]  # fmt: skip
    return subject, "\n".join(out) + "\n"


def confirmation(place, language, address, token, days):
    """(subject, text) of the mail that asks whether the address is theirs. place: label and radius in words."""
    return say(language, N_("Please confirm: news of hotspots near %(place)s"), place=_flat(place, 60)), "\n".join(
        [
            say(language, N_("Somebody, probably you, asked for news of hotspots: %(place)s."), place=_flat(place)),
            say(language, N_("To get them, open this address and press the button:")),
            f"{address}/subscribe/confirm/{token}",
            "",
            say(language, N_("If it was not you, do nothing: after %(days)s days this request is deleted."), days=days),
            "",
        ]
    )


def known_already(place, language, address, token):
    """(subject, text) of the mail to somebody who asks for a place a second time."""
    return say(language, N_("You already get news of hotspots near %(place)s"), place=_flat(place, 60)), "\n".join(
        [
            say(language, N_("You asked for news that you get already: %(place)s."), place=_flat(place)),
            say(language, N_("To see, change or stop what you get:")),
            f"{address}/subscribe/mine/{token}",
            "",
        ]
    )


def too_many(count, language, address, token):
    """(subject, text) of the mail to somebody who has as many places as one may have."""
    return say(language, N_("Your news of hotspots: no room for one more place")), "\n".join(
        [
            say(
                language,
                N_("You asked for news of %(count)s places, which is the most one person may have."),
                count=count,
            ),
            say(language, N_("To take one away and make room:")),
            f"{address}/subscribe/mine/{token}",
            "",
        ]
    )


def message(*, sender, to, subject, text, message_id, at, language, stop=None):
    """The mail. stop: the address that ends everything by one click (RFC 8058), or None."""
    made = EmailMessage(policy=POLICY)
    name, plain = parseaddr(sender)
    made["From"] = Address(display_name=name, addr_spec=plain)
    made["To"] = Address(addr_spec=to)
    made["Subject"] = _flat(subject, 200)
    made["Date"] = format_datetime(at.astimezone(UTC) if isinstance(at, datetime) else at)
    made["Message-ID"] = message_id
    made["Auto-Submitted"] = "auto-generated"
    if stop:
        made["List-Unsubscribe"] = f"<{stop}>"
        made["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    made.set_content(text, cte="quoted-printable")
    made["Content-Language"] = language
    return made
