"""News of the hotspots as an Atom feed (RFC 4287): entries in, bytes out.

Identifiers are made of the hotspot's code and the event's number alone, so that they stay the same
whatever name the server has, in both languages and whatever was filtered.
"""

import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree import ElementTree

ATOM = "http://www.w3.org/2005/Atom"
MIMETYPE = "application/atom+xml"
NEWEST = 50
_SPACE = uuid.UUID("5f0d8a3e-9f5c-5c57-9a1b-2f7f6d1c5e10")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

ElementTree.register_namespace("", ATOM)


@dataclass(frozen=True)
class Entry:
    """One public event. at: an aware datetime, when it was published. link: absolute."""

    code: str
    number: int
    title: str
    link: str
    at: datetime
    summary: str
    author: str
    categories: tuple[str, ...] = ()


def identifier(*parts):
    """A stable identifier of a feed or an entry.

    >>> identifier("HS01", 3) == identifier("HS01", "3") != identifier("HS01", 4)
    True
    """
    return uuid.uuid5(_SPACE, "/".join(str(p) for p in parts)).urn


def atom(entries, *, key, title, subtitle, home, itself, changed, language):
    """The feed as UTF-8 bytes, newest first, at most NEWEST entries.

    key: what the feed is about, for its identifier. home, itself: absolute addresses of the page and of
    the feed. changed: an aware datetime, used where there is no entry. Signs that XML cannot hold are left out.
    """
    shown = sorted(entries, key=lambda e: (e.at, e.code, e.number), reverse=True)[:NEWEST]
    feed = ElementTree.Element(f"{{{ATOM}}}feed", {"{http://www.w3.org/XML/1998/namespace}lang": language})
    _add(feed, "id", identifier("feed", key))
    _add(feed, "title", title)
    _add(feed, "subtitle", subtitle)
    _add(feed, "updated", _moment(shown[0].at if shown else changed))
    _add(feed, "link", rel="alternate", type="text/html", href=home)
    _add(feed, "link", rel="self", type=MIMETYPE, href=itself)
    _add(_add(feed, "author"), "name", "Cảng Xanh")
    for e in shown:
        entry = _add(feed, "entry")
        _add(entry, "id", identifier(e.code, e.number))
        _add(entry, "title", e.title)
        _add(entry, "updated", _moment(e.at))
        _add(entry, "published", _moment(e.at))
        _add(entry, "link", rel="alternate", type="text/html", href=e.link)
        _add(_add(entry, "author"), "name", e.author)
        for term in e.categories:
            _add(entry, "category", term=term)
        _add(entry, "summary", e.summary, type="text")
    return ElementTree.tostring(feed, encoding="utf-8", xml_declaration=True)


def _add(parent, name, text=None, **attributes):
    made = ElementTree.SubElement(parent, f"{{{ATOM}}}{name}", {k: _clean(v) for k, v in attributes.items()})
    made.text = None if text is None else _clean(text)
    return made


def _clean(text):
    return _NOT_XML.sub("", str(text))


def _moment(at):
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
