"""Recorded sources as readers can read them: a list of titles, web addresses with their host and a short path."""

import re

_ADDRESS = re.compile(r"(?:https?://)?((?:[a-z0-9-]+\.)+[a-z]{2,})(/[^\s\"<>]*)?(?: \((.+)\))?", re.IGNORECASE)
_TAIL = re.compile(r"\.(?:html?|htm|aspx?|php|chn|vgp|ldo|epi|pdf)$", re.IGNORECASE)
LONGEST = 72


def source_items(recorded):
    """The sources of a record's field, "a | b": dicts title, host, path, url, note; all but title may be None.

    >>> source_items("vneconomy.vn/tram-moi.htm | Decision 1516/QĐ-TTg")[0]["path"]
    'tram moi'
    >>> source_items("bad.example/x-...-1.html")[0]["url"] is None
    True
    """
    return [_item(part.strip()) for part in str(recorded or "").split(" | ") if part.strip()]


def _item(written):
    found = _ADDRESS.fullmatch(written)
    if not found:
        return {"title": written, "host": None, "path": None, "url": None, "note": None}
    host, rest, note = found.groups()
    whole = "..." not in written and "…" not in written  # a shortened address leads nowhere
    return {
        "title": written,
        "host": host.removeprefix("www."),
        "path": _readable(rest or ""),
        "url": f"https://{host}{rest or ''}" if whole else None,
        "note": note,
    }


def _readable(rest):
    """The telling piece of a path, dashes as spaces: the longest, without its ending, cut at a word."""
    pieces = [_TAIL.sub("", piece) for piece in rest.split("?")[0].split("/") if piece]
    if not pieces:
        return None
    best = max(pieces, key=len)
    words = re.sub(r"[-_]+", " ", best).strip() or best
    if len(words) > LONGEST:
        words = words[:LONGEST].rsplit(" ", 1)[0] + " …"
    return words
