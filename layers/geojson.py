"""GeoJSON feature by feature, so that a large file is never in memory as a whole (RFC 7946)."""

import json

from layers.errors import LayerError

_BLOCK = 1 << 20
_MOST = 200_000_000  # characters of one feature
_decode = json.JSONDecoder().raw_decode


class Other(Exception):
    """JSON, but no FeatureCollection."""


class Features:
    """The features of a file, walked once: dicts as they stand there. `crs`: the old "crs" member, after the walk."""

    def __init__(self, path, shown):
        self.crs, self._path, self._shown = None, path, shown

    def __iter__(self):
        """Raises Other before the first feature where this is none, LayerError where the text breaks off."""
        with open(self._path, encoding="utf-8-sig", errors="strict") as file:
            text = _Text(file, self._shown)
            try:
                yield from self._members(text)
            except UnicodeDecodeError as e:
                raise _broken(self._shown, "the text is not UTF-8") from e

    def _members(self, text):
        if text.next() != "{":
            raise Other
        text.skip(1)
        found = there = False
        while text.next() != "}":
            if found and text.next() == ",":
                text.skip(1)
            name = text.value()
            if text.next() != ":" or not isinstance(name, str):
                raise _broken(self._shown, "no name and value")
            text.skip(1)
            if name == "features" and text.next() == "[":
                there = True
                yield from self._features(text)
            else:
                value = text.value()
                if name == "type" and value != "FeatureCollection":
                    raise Other
                if name == "crs":
                    self.crs = value
            found = True
        if not there:
            raise Other

    def _features(self, text):
        text.skip(1)
        while text.next() != "]":
            feature = text.value()
            if not isinstance(feature, dict) or feature.get("type", "Feature") != "Feature" or "attributes" in feature:
                raise Other
            yield feature
            if text.next() == ",":
                text.skip(1)
            elif text.next() != "]":
                raise _broken(self._shown, "no comma between features")
        text.skip(1)


class _Text:
    """A window on the text that moves on."""

    def __init__(self, file, shown):
        self._file, self._shown, self._held, self._at = file, shown, "", 0

    def _more(self):
        block = self._file.read(max(_BLOCK, len(self._held) - self._at))
        self._held, self._at = self._held[self._at :] + block, 0
        if len(self._held) > _MOST:
            raise _broken(self._shown, "one feature is too large")
        return bool(block)

    def next(self):
        """The next sign that is no space, not taken."""
        while True:
            while self._at < len(self._held) and self._held[self._at] in " \t\r\n":
                self._at += 1
            if self._at < len(self._held):
                return self._held[self._at]
            if not self._more():
                raise _broken(self._shown, "it breaks off")

    def skip(self, count):
        self._at += count

    def value(self):
        """The next JSON value."""
        self.next()
        while True:
            try:
                value, end = _decode(self._held, self._at)
                if end < len(self._held):
                    self._at = end
                    return value
            except (json.JSONDecodeError, RecursionError) as e:
                if isinstance(e, RecursionError) or not self._more():
                    ended = self._held.rstrip().endswith("}")
                    raise _broken(self._shown, getattr(e, "msg", "too deep") if ended else "it breaks off") from e
                continue
            if not self._more():
                raise _broken(self._shown, "it breaks off")


def _broken(shown, why):
    return LayerError.of(
        "{name} cannot be read as GeoJSON ({why}).", "{name} không đọc được dạng GeoJSON ({why}).", name=shown, why=why
    )
