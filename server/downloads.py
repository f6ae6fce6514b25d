"""Downloads of lists and maps: one form on the page, one kind of answer, the same names of files everywhere.

A list is described as a layer of the catalogue is (server/listings.py has those that are not layers). What the
page was asked for travels with the form, so that a file holds exactly the rows that are shown.
"""

from dataclasses import dataclass

from flask import Response, abort, request
from werkzeug.exceptions import NotFound

from geo.systems import SYSTEMS
from layers import audit, formats, parquet
from layers.errors import LayerError
from server.answers import data_response
from server.errors import Refused
from server.i18n import N_, language
from server.i18n import gettext as _
from server.records import unit_word

OWN = ("lang", "crs", "columns", "outlines", "v")  # parameters of the download itself, not of the list
_NOTES = {"xlsx": N_("for Excel"), "gpkg": N_("for QGIS")}


class NotGivenOut(NotFound):
    """A format in which a list is not given out; `sentence`, in the reader's language, names those in which it is."""

    def __init__(self, sentence):
        super().__init__(str(sentence))
        self.sentence = str(sentence)


@dataclass(frozen=True)
class Choice:
    """What is asked of a file. columns: names, () for all. outlines: shapes as WKT in CSV and Excel."""

    crs: int
    columns: tuple
    outlines: bool


def asked(layer, *, internal=False):
    """The Choice of this request; whatever cannot be given is refused."""
    names = tuple(n for value in request.args.getlist("columns") for n in value.split(",") if n)
    there = [f.name for f in layer.fields if f.public or internal]
    for name in names:
        if name not in there:
            raise Refused(_("There is no column “%(name)s”. There are: %(names)s.",
                            name=name[:60], names=", ".join(there)))  # fmt: skip
    return Choice(_system(), tuple(dict.fromkeys(names)), request.args.get("outlines") == "yes")


def _system():
    text = request.args.get("crs") or "4326"
    if text not in map(str, formats.CRS):
        allowed = ", ".join(map(str, formats.CRS))
        raise Refused(_("“%(name)s” must be one of: %(allowed)s.", name="crs", allowed=allowed))
    return int(text)


def file_name(stem, layer, kind, crs):
    """The name of a file: what it holds, and its system where that is not longitude and latitude."""
    there = crs != 4326 and layer.geometry and not formats.KINDS[kind].only_degrees
    return f"cang-xanh-{stem}{f'-{crs}' if there else ''}.{kind}"


def known(layer, kind):
    """Go on only with a kind in which this list is given out; else 404, with the kinds that there are."""
    there = formats.kinds_for(layer)
    if kind in there:
        return
    if kind == "parquet" and not parquet.available():
        raise NotGivenOut(
            _("GeoParquet is not made on this server (the package pyarrow is missing). There are: %(names)s.",
              names=", ".join(formats.KINDS[k].label for k in there))
        )  # fmt: skip
    if kind in formats.KINDS:
        raise NotGivenOut(
            _("“%(list)s” has no places and is not given out as %(kind)s. There are: %(names)s.",
              list=getattr(layer, language()), kind=formats.KINDS[kind].label,
              names=", ".join(formats.KINDS[k].label for k in there))
        )  # fmt: skip
    abort(404)


def written(table, kind, choice):
    """The bytes of a Table; a text that does not fit the format is refused with its row."""
    try:
        return formats.write(table, kind, choice.crs, language=language(), outlines=choice.outlines)
    except LayerError as e:
        raise Refused(e.vi if language() == "vi" else e.en) from e


def mimetype(kind):
    return formats.KINDS[kind].mimetype + ("; charset=utf-8" if kind == "csv" else "")


def public_file(layer, kind, records, *, stem, version):
    """The answer with a list that anybody may have. records: plain values by field name, and "geometry"."""
    known(layer, kind)
    choice = asked(layer)
    body = written(formats.listed(layer, records, choice.columns), kind, choice)
    tag = f"{version} {stem} {kind} {language()} {choice}"
    return data_response(body, mimetype(kind), version=tag, filename=file_name(stem, layer, kind, choice.crs))


def staff_file(services, user, layer, kind, records, *, stem):
    """The answer with a list of the staff, noted in the journal: who took how many rows of what, and how asked."""
    return _noted(services, user, layer, kind, len(records), stem,
                  lambda columns: formats.listed(layer, records, columns, internal=True))  # fmt: skip


def staff_layer(services, user, layer, kind, frame, *, stem):
    """As staff_file, with rows of a layer as the store has them, fields that are not public too."""
    return _noted(services, user, layer, kind, len(frame), stem,
                  lambda columns: formats.table(layer, frame, columns, internal=True))  # fmt: skip


def _noted(services, user, layer, kind, count, stem, make):
    known(layer, kind)
    choice = asked(layer, internal=True)
    body = written(make(choice.columns), kind, choice)
    told = {"rows": count, "kind": kind, "asked": {k: v for k, v in request.args.items() if k != "lang"}}
    with services.store.transaction() as con:
        audit.append(con, at=services.now(), who=user.name, who_id=user.id or None, role=user.role, action="download",
                     thing=f"list:{layer.name}", new=told)  # fmt: skip
    response = Response(body, mimetype=mimetype(kind))
    response.headers.set("Content-Disposition", "attachment", filename=file_name(stem, layer, kind, choice.crs))
    return response


# --- the form ---


def box(layer, address, count, *, name=None, title=None, internal=False, keep=None, open_columns=False):
    """What download_box() of _downloads.html shows.

    address: of the file without its kind. count: rows. name: distinguishes several boxes of a page. keep: pairs of
    parameters that choose the rows; None takes those of this page.
    """
    if keep is None:
        keep = [(k, v) for k, v in request.args.items(multi=True) if k not in (*OWN, "page") and v]
    fields = [f for f in layer.fields if f.public or internal]
    return {
        "id": name or layer.name,
        "title": title or _("Download what is shown"),
        "address": address,
        "count": count,
        "keep": keep,
        "kinds": [
            {"kind": k, "label": formats.KINDS[k].label, "note": _(_NOTES[k]) if k in _NOTES else ""}
            for k in formats.kinds_for(layer)
        ],
        "systems": [(c, system_words(c)) for c in formats.CRS] if layer.geometry else [],
        "crs": next((c for c in formats.CRS if str(c) == request.args.get("crs")), 4326),
        "outlines": layer.geometry not in (None, "Point"),
        "columns": [{"name": f.name, "label": getattr(f, language()), "unit": unit_word(f.unit)} for f in fields],
        "open": open_columns,
    }


def system_words(code):
    """A coordinate system in words, with its code."""
    name = SYSTEMS[code].name_vi if language() == "vi" else SYSTEMS[code].name_en
    return f"{name}, EPSG:{code}"
