"""The layers for those who keep them: what there is, and the rows of one, on pages and as a file."""

from flask import url_for

from server import downloads, layerpages, layerwords, query
from server.featureedits import EDITORS, NotHere
from server.layerbook import EDITED
from server.layerdesk import blueprint, book, layer_of, page, services
from server.security import allowed, user

bp = blueprint("layers", __name__)


@bp.get("")
@allowed(*EDITORS)
def overview():
    return page("layers.html", rows=layerpages.overview(book()), kept=layerwords.kept_words())


def asked(layer):
    """The settings of the list of rows."""
    names = [f.name for f in layerpages.columns(layer)]
    return {
        "q": query.words(),
        "sort": query.choice("sort", ("", *names), ""),
        "dir": query.choice("dir", ("", "desc"), ""),
    }


@bp.get("/<name>/features")
@allowed(*EDITORS)
def features(name):
    layer = layer_of(name)
    if layer.gated:
        return page("layer_gated.html", layer=layer, title=layerwords.title(layer))
    q = asked(layer)
    made = layerpages.listed(book(), layer, q, page=query.number("page"))
    removed = query.number("removed", 0)
    undone = next(
        (v for v in services().store.history(name) if v["version"] == removed and v["source"] == EDITED), None
    )
    address = url_for("layers.features", name=name)
    box = downloads.box(layer, address, made["found"], internal=True, keep=[(k, v) for k, v in q.items() if v])
    return page("layer_features.html", layer=layer, title=layerwords.title(layer), query=q, keep=query.keep,
                removed=undone, removed_key=query.words("key") if undone else "", download=box, **made)  # fmt: skip


@bp.get("/<name>/features.<kind>")
@allowed(*EDITORS)
def features_file(name, kind):
    """The rows of the list as a file, in its order, with the fields of the staff."""
    layer = layer_of(name)
    if layer.gated:
        raise NotHere(name)
    number, held, found = layerpages.chosen(book(), layer, asked(layer))
    return downloads.staff_layer(services(), user(), layer, kind, held.frame.iloc[found], stem=f"{name}-v{number}")
