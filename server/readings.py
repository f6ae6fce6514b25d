"""Readings of coordinates as people name them, and the one in which a file is placed."""

from geo import crs
from layers.errors import LayerError
from server import placing


class ImportRefused(LayerError):
    """A file that cannot go on without a decision; the sentence says which."""

    code = "import"


def placement_of(diagnosis, reading):
    """The placing.Placement of a file under a reading somebody chose, or None; ImportRefused where one must be chosen."""
    if reading == placing.PARTS:
        if len(diagnosis.parts) < 2:
            raise ImportRefused.of(
                "The file does not hold several systems. {why}", "Tệp không có nhiều hệ tọa độ. {why_vi}",
                why=diagnosis.reason_en, why_vi=diagnosis.reason_vi,
            )  # fmt: skip
        return placing.Placement(tuple(p.first for p in diagnosis.parts), diagnosis.rows)
    if reading is not None:
        return placing.Placement((reading,))
    if diagnosis.verdict == "sure":
        return placing.Placement((diagnosis.first,))
    raise ImportRefused.of(
        "{why} Say which one it is with {choices}.", "{why_vi} Hãy cho biết bằng {choices}.",
        why=diagnosis.reason_en, why_vi=diagnosis.reason_vi, choices=_choices(diagnosis),
    )  # fmt: skip


def _choices(diagnosis):
    tied = [r for part in diagnosis.parts for r in part.tied] or []
    words = list(dict.fromkeys(option(r) for r in tied[:4]))
    words = [PARTS_WORD, *words] if diagnosis.verdict == "mixed" else words
    return " or ".join(f"--crs {w}" for w in words) if words else "--crs CODE"


PARTS_WORD = placing.PARTS


def option(reading):
    """A reading as it is written on the command line: 9210, 9210:swapped, 4326:shifted, parts."""
    if reading == placing.PARTS:
        return PARTS_WORD
    marks = [w for w, on in (("swapped", reading.swapped), ("shifted", reading.shifted)) if on]
    return ":".join([str(reading.epsg), *marks])


def reading_of(text):
    """The reading named by option(); ImportRefused for one that is not known."""
    if text.strip().lower() == PARTS_WORD:
        return placing.PARTS
    code, *marks = text.upper().removeprefix("EPSG:").split(":")
    try:
        return crs.reading(int(code), swapped="SWAPPED" in marks, shifted="SHIFTED" in marks)
    except ValueError as e:
        raise ImportRefused.of(
            "'{text}' is not a reading: {why}", "'{text}' không phải là một cách đọc: {why}", text=text, why=e
        ) from e
