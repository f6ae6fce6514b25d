"""The key of a row as one part of an address, and back."""

from datetime import date

_ESCAPED = {"~": "~2", "/": "~1", "\\": "~3"}
_MEANT = {"1": "/", "2": "~", "3": "\\", "4": "."}


def key_text(key):
    """A key as one part of an address: ~ begins a mark, ~- parts, ~0 is a blank part.

    >>> key_text(("A/1", None)), key_of("A~11~-~0")
    ('A~11~-~0', ('A/1', None))
    """
    return "~-".join("~0" if part is None else _escaped(str(part)) for part in key)


def _escaped(part):
    text = "".join(_ESCAPED.get(c, c) for c in part)
    return "~4" + text[1:] if text.startswith(".") else text


def key_of(text):
    """The key, as texts and None, that key_text wrote; ValueError for a text of another form."""
    return tuple(None if part == "~0" else _meant(part) for part in text.split("~-"))


def key_in(layer, text):
    """The key of a row as rows.keys gives it, from its address; ValueError where it cannot be one."""
    parts = key_of(text)
    kinds = [layer.by_name[k].kind for k in layer.key]
    read = {"date": date.fromisoformat, "number": float, "integer": int, "text": str}
    return tuple(None if p is None else read[kind](p) for p, kind in zip(parts, kinds, strict=True))


def _meant(part):
    first, *rest = part.split("~")
    if any(r[:1] not in _MEANT for r in rest):
        raise ValueError(part)
    return first + "".join(_MEANT[r[0]] + r[1:] for r in rest)
