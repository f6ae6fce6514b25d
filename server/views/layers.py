"""The layers for those who keep them: what there is, and the rows of one."""

from server import layerpages, layerwords, query
from server.featureedits import EDITORS
from server.layerbook import EDITED
from server.layerdesk import blueprint, book, layer_of, number, page, services
from server.security import allowed

bp = blueprint("layers", __name__)


@bp.get("")
@allowed(*EDITORS)
def overview():
    return page("layers.html", rows=layerpages.overview(book()), kept=layerwords.kept_words())


@bp.get("/<name>/features")
@allowed(*EDITORS)
def features(name):
    layer = layer_of(name)
    if layer.gated:
        return page("layer_gated.html", layer=layer, title=layerwords.title(layer))
    names = [f.name for f in layerpages.columns(layer)]
    q = {
        "q": query.words(),
        "sort": query.choice("sort", ("", *names), ""),
        "dir": query.choice("dir", ("", "desc"), ""),
    }
    made = layerpages.listed(
        book(), layer, typed=q["q"], sort=q["sort"], descending=q["dir"] == "desc", page=number("page")
    )
    removed = number("removed", 0)
    undone = next(
        (v for v in services().store.history(name) if v["version"] == removed and v["source"] == EDITED), None
    )
    return page("layer_features.html", layer=layer, title=layerwords.title(layer), query=q, keep=query.keep,
                removed=undone, removed_key=query.words("key") if undone else "", **made)  # fmt: skip
