"""What the views of layers, versions and rows share: the layer of an address, the book of versions, pages of the staff."""

from flask import Blueprint, abort, current_app, render_template

from layers.catalogue import ALL
from layers.errors import LayerError
from server import desk, layerwords, office
from server.errors import answer
from server.featureedits import NotHere
from server.i18n import gettext as _
from server.layerbook import book_of
from server.security import user


def blueprint(name, module):
    """A Blueprint below /admin/layers that answers what a layer or the register refuses."""
    bp = Blueprint(name, module, url_prefix="/admin/layers")
    bp.register_error_handler(NotHere, not_here)
    bp.register_error_handler(LayerError, refused)
    return bp


def services():
    return current_app.extensions["cangxanh"]


def book():
    return book_of(current_app.extensions, services().store)


def layer_of(name):
    return ALL.get(name) or abort(404)


def editable(name):
    """The layer of an address where rows and versions are changed here; NotHere for one behind the gate."""
    layer = layer_of(name)
    if layer.gated:
        raise NotHere(name)
    return layer


def page(template, status=200, **values):
    return render_template(template, staff=desk.frame(user(), office.ward_names(services())), **values), status


def not_here(_error):
    return answer(403, sentence=_("This layer changes through the register of cases only; it is not edited here."))


def refused(error):
    return answer(409, sentence=" ".join(layerwords.sentence(p) for p in error.problems))
