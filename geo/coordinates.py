"""Coordinates as people write them: numbers and angles in text, Vietnamese or English.

A column is read as a whole, because one value can be ambiguous where its neighbours are not:
"597.432" is a decimal number unless another value shows that the full stop parts thousands, and
"N" is north, but where the column also has a Vietnamese "B" (bắc) it may be Nam, south, and is not read.
"""

import re
import unicodedata
from dataclasses import dataclass

import numpy as np

_SIGNS = dict.fromkeys(map(ord, "\ufeff\u200b\u200c\u200d\u200e\u200f\u2060"), None)
_SIGNS |= dict.fromkeys(map(ord, "\u00a0\u2007\u2009\u202f\t\r\n"), " ")
_SIGNS |= dict.fromkeys(map(ord, "′’‘´`ʹ"), "'") | dict.fromkeys(map(ord, "″”“„ʺ"), '"')
_SIGNS |= dict.fromkeys(map(ord, "º˚"), "°") | dict.fromkeys(map(ord, "−–—"), "-")
_BLANK = {"", "-", "--", "---", ".", "?", "na", "n/a", "#n/a", "nan", "none", "null", "không có", "chưa có"}
_LABEL = re.compile(r"^(?:[xyen]|lon|long|longitude|lat|latitude|easting|northing|toạ độ|tọa độ)\s*[:=]\s*")
_WORDS = [  # spelled-out signs; the longer spelling first
    (re.compile(r"(?:độ|degrees?|deg)\.?"), "°"),
    (re.compile(r"(?:phút|minutes?|min)\.?"), "'"),
    (re.compile(r"(?:giây|seconds?|sec)\.?"), '"'),
]
_SIDE = {
    **dict.fromkeys(("b", "bắc", "bac", "north"), "b"),
    **dict.fromkeys(("đ", "đông", "dong", "d", "e", "east"), "e"),
    **dict.fromkeys(("nam", "s", "south"), "s"),
    **dict.fromkeys(("t", "tây", "tay", "w", "west"), "w"),
    "n": "n",
}
_SIDE_NAMES = "|".join(sorted(_SIDE, key=len, reverse=True))
_SIDE_FIRST = re.compile(rf"^({_SIDE_NAMES})[\s.:]*(?=[-+\d])")
_SIDE_LAST = re.compile(rf"(?<=[\d°'\"\sms])({_SIDE_NAMES})\.?$")
_ANGLE = re.compile(
    r"^([-+]?)\s*(\d{1,3})(?:\s*[°d:]\s*|\s+|\s*-\s*)"
    r"(?:(\d{1,2}(?:[.,]\d+)?)(?:\s*['m:]\s*|\s*-\s*|\s+|$)(?:(\d{1,2}(?:[.,]\d+)?)\s*(?:\"|''|s)?)?)?$"
)
_UNIT = re.compile(r"(?<=[\d\s.])(km|m|mét|met)\.?$")
_DEGREES = re.compile(r"^([-+]?\d{1,3}(?:[.,]\d+)?)\s*[°d]$")
_SCIENTIFIC = re.compile(r"^[-+]?\d+(?:[.,]\d+)?e[-+]?\d{1,2}$")
_THOUSANDS = re.compile(r"^([-+]?)(\d{1,3}(?:([ '.,])\d{3})(?:\3\d{3})*)(?:([.,])(\d+))?$")
_DECIMAL = re.compile(r"^[-+]?(?:\d+[.,]?\d*|[.,]\d+)$")
_OPEN = re.compile(r"^[-+]?[1-9]\d{0,2}([.,])\d{3}$")  # 597.432: decimals or thousands?

_PLAIN = re.compile(r"-?\d+\.(?:\d{1,2}|\d{4,})\Z", re.ASCII)

_WHY = {
    "blank": ("ô trống", "the cell is empty"),
    "text": ("không phải là một tọa độ", "this is not one coordinate: write one number or one angle in each cell"),
    "side": ("N là Bắc (tiếng Anh) hay Nam? Cột còn có chữ B", "N: north, or Nam (south)? The column also has a B"),
    "angle": (
        "phút và giây phải nhỏ hơn 60, độ không quá 360",
        "minutes and seconds must be below 60, degrees not above 360",
    ),
    "open": (
        "không rõ dấu chấm, dấu phẩy là phần thập phân hay hàng nghìn, vì cột dùng cả hai cách",
        "decimals or thousands? The column uses both ways: write this value without a thousands separator",
    ),
    "infinite": ("không phải là số hữu hạn", "this is not a finite number"),
}


@dataclass(frozen=True)
class Problem:
    """A value that was not read: row (from 0), the value as received, a code, and sentences for people.

    code: 'blank' (missing, not wrong), 'text', 'angle', 'open' (decimals or
    thousands), 'side' (N beside B) or 'infinite'.
    """

    row: int
    value: object
    code: str
    vi: str
    en: str


def parse_coordinates(values):
    """(floats, problems): one column of coordinates as numbers, NaN where a value could not be read.

    values: numbers or text, in any mixture. Angles become decimal degrees, south and west negative
    (S, Nam, W, Tây, T; B, Bắc, Đ, Đông as well as N, E, before or after); units m and km become metres.
    Read: 20°51'30"N, 20 51 30, 20d51m30s, 20°51.5', 20:51:30, 20 độ 51 phút 30 giây; 2.306.067,77,
    2,306,067.77, 2 306 067; decimal commas. A blank is NaN with a problem of its own code. Nothing is raised.

    >>> numbers, problems = parse_coordinates(["20°51'30\\"B", "106,688", "2.306.067,77", 20.5, "", "ở cảng"])
    >>> numbers.round(5).tolist()
    [20.85833, 106.688, 2306067.77, 20.5, nan, nan]
    >>> [(p.row, p.code) for p in problems]
    [(4, 'blank'), (5, 'text')]
    """
    values = list(values)
    column = Column()
    column.feed(values)
    floats, whys = column.floats()
    return floats, tuple(problem(int(row), values[row], CODES[whys[row]]) for row in np.flatnonzero(whys))


def problem(row, value, code):
    """The Problem of a row (from 0) whose value was not read for the reason `code`."""
    vi, en = _WHY[code]
    return Problem(row, value, code, f"Dòng {row + 1}: {vi}.", f"Row {row + 1}: {en}.")


class Column:
    """A column that comes in pieces and is read as a whole, as parse_coordinates() reads a list.

    Keeps some bytes for each row, not the values. `signs`: what the column has shown so far, "." and ","
    for decimal signs and "b" for a Vietnamese north; a column may begin with the signs of another reading.
    """

    def __init__(self, signs=()):
        self.signs = set(signs)
        self._values, self._marks, self._sides, self._whys = [], [], [], []

    def feed(self, values):
        """Take more values of the column."""
        read = [_read(value) for value in values]
        self.signs |= {sign for _, _, sign, _ in read if sign and len(sign) == 1}
        if any(side == "b" for _, side, _, _ in read):
            self.signs.add("b")
        self._values.append(np.array([r[0] for r in read], dtype=float))
        self._sides.append(np.array([_SIDES.index(r[1] or "") for r in read], dtype=np.uint8))
        self._marks.append(np.array([_MARKS.index(r[2]) if r[2] in _MARKS else 0 for r in read], dtype=np.uint8))
        self._whys.append(np.array([CODES.index(r[3] or "") for r in read], dtype=np.uint8))

    def floats(self):
        """(numbers, whys): NaN where a value could not be read, and there the place in CODES of why, else 0."""
        if not self._values:
            return np.zeros(0), np.zeros(0, dtype=np.uint8)
        values, sides, marks, whys = (
            np.concatenate(parts) for parts in (self._values, self._sides, self._marks, self._whys)
        )
        if self.signs >= {".", ","}:
            whys[marks > 0] = CODES.index("open")
        else:
            for mark, other in ((".?", ","), (",?", ".")):
                if other in self.signs:
                    values[marks == _MARKS.index(mark)] *= 1000
        whys[(whys == 0) & ~np.isfinite(values)] = CODES.index("infinite")
        if "b" in self.signs:
            whys[sides == _SIDES.index("n")] = CODES.index("side")
        below = (sides == _SIDES.index("s")) | (sides == _SIDES.index("w"))
        values[below] = -np.abs(values[below])
        values[whys > 0] = np.nan
        return values, whys


CODES = ("", "blank", "text", "side", "angle", "open", "infinite")
_SIDES, _MARKS = ("", "b", "n", "e", "s", "w"), ("", ".?", ",?")
_SPLIT = re.compile(r"\s*[;|/]\s*|\s*,\s+|(?<=\d)\s+(?=\d{5})|\s+(?=[-+]?\d{1,3}(?:[°.,]|\s*$))")


def split_pair(value):
    """The two coordinates written in one cell, as two texts; None where a cell does not hold two.

    >>> split_pair("20.8449, 106.6881"), split_pair("(20°50.7'; 106°41')"), split_pair("106.6881")
    (('20.8449', '106.6881'), ("20°50.7'", "106°41'"), None)
    """
    if not isinstance(value, str):
        return None
    text = value.translate(_SIGNS).strip().strip("()[]").strip()
    halves = [h for h in _SPLIT.split(text) if h]
    if len(halves) != 2 and text.count(",") == 1 and "." in text:
        halves = [h.strip() for h in text.split(",")]
    if len(halves) != 2 or not all(re.search(r"\d", h) for h in halves):
        return None
    return halves[0], halves[1]


def _read(value):
    """(number, side, decimal sign, why not) of one value. The sign is "." or ",", ".?" or ",?" if open."""
    nothing = np.nan, None, None
    if value is None:
        return *nothing, "blank"
    if isinstance(value, bool | np.bool_):
        return *nothing, "text"
    if not isinstance(value, str):
        try:
            number = float(value)
        except (TypeError, ValueError):
            return *nothing, "text"
        return number, None, None, "blank" if np.isnan(number) else None
    if _PLAIN.match(value):  # most values of most files
        return float(value), None, ".", None
    text = re.sub(" +", " ", unicodedata.normalize("NFC", value).translate(_SIGNS)).strip().lower()
    if text in _BLANK:
        return *nothing, "blank"
    text = re.sub("(?:vĩ|kinh) độ *[:=]?", "", _LABEL.sub("", text)).strip()
    for pattern, sign in _WORDS:
        text = pattern.sub(sign, text)
    text, side = _without_side(text)
    angle = _ANGLE.match(text)
    if angle and not _THOUSANDS.match(text):
        return _angle(angle, side)
    degrees = _DEGREES.match(text)
    if degrees:
        text = degrees[1]
    unit = _UNIT.search(text)
    number, sign, why = _number(_UNIT.sub("", text).strip())
    return number * (1000 if unit and unit[1] == "km" else 1), side, sign, why


def _without_side(text):
    """The text without its hemisphere letter or word, and which side it names (b, n, s, e, w or None)."""
    first = _SIDE_FIRST.match(text)
    if first:
        return text[first.end() :], _SIDE[first[1]]
    last = _SIDE_LAST.search(text)
    if not last:
        return text, None
    body = text[: last.start()].rstrip()
    seconds_letter = last[1] == "s" and re.search(r"m\s*[\d.,]+$", body)
    degree_letter = last[1] == "d" and body == text[: last.start()] and re.fullmatch(r"[-+]?\d+(?:[.,]\d+)?", body)
    return (text, None) if seconds_letter or degree_letter else (body, _SIDE[last[1]])


def _angle(match, side):
    sign, degrees, minutes, seconds = match.groups()
    if seconds and re.search("[.,]", minutes):
        return np.nan, None, None, "text"
    parts = [float((part or "0").replace(",", ".")) for part in (degrees, minutes, seconds)]
    if parts[0] > 360 or max(parts[1:]) >= 60:
        return np.nan, None, None, "angle"
    value = parts[0] + parts[1] / 60 + parts[2] / 3600
    return -value if sign == "-" else value, side, None, None


def _number(text):
    """(number, decimal sign or open mark, why not) of a number without unit, side and angle signs."""
    if _SCIENTIFIC.match(text):
        return float(text.replace(",", ".")), None, None
    if _OPEN.match(text):
        return float(text.replace(",", ".")), _OPEN.match(text)[1] + "?", None
    groups = _THOUSANDS.match(text)
    if groups:
        sign, whole, parting, decimal, rest = groups.groups()
        if parting != decimal:
            known = decimal or {".": ",", ",": "."}.get(parting)
            return float(sign + whole.replace(parting, "") + "." + (rest or "0")), known, None
    if _DECIMAL.match(text):
        mark = re.search("[.,]", text)
        return float(text.replace(",", ".")), mark and mark[0], None
    return np.nan, None, "text"


def parse_numbers(values, signs=()):
    """Measured values written as text, as numbers: decimal commas and thousands separators read as in a column.

    values: texts; anything else, and what is no number, comes back as it is. signs: of a Column that has seen
    the whole column. A text that may be decimals or thousands, where the column uses both ways, gets a "?".

    >>> parse_numbers(["12,5", "1.234,5", "7", None, 3.0, "ít"], {","})
    [12.5, 1234.5, '7', None, 3.0, 'ít']
    """
    return [_measured(v, signs) if isinstance(v, str) and not v.isdecimal() else v for v in values]


def _measured(text, signs):
    number, sign, why = _number(re.sub(" +", " ", text.translate(_SIGNS)).strip())
    if why or not np.isfinite(number):
        return text
    if sign and len(sign) == 2:
        if signs >= {".", ","}:
            return f"{text}?"
        if {".": ",", ",": "."}[sign[0]] in signs:
            return number * 1000
    return number


def decimal_signs(values):
    """Which of "." and "," the texts of a column use as decimal signs for sure, as a set."""
    texts = {v for v in values if isinstance(v, str) and ("," in v or "." in v)}
    return {sign for _, sign, _ in map(_number, (re.sub(" +", " ", t.translate(_SIGNS)).strip() for t in texts))
            if sign and len(sign) == 1}  # fmt: skip
