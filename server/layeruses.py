"""What a study does with the layers that it brings along: each use in both languages, and how a layer is drawn.

Map, printed sheet and files draw and name a layer alike.
"""

from dataclasses import dataclass

from server.i18n import N_
from server.sitewords import LAYER, said

COLOURS = ("#7a1fa2", "#005f99", "#8a5200", "#b0005e", "#33602a", "#4038c7")
DASHES = ("", "8 4", "2 4", "10 3 2 3")


@dataclass(frozen=True)
class Look:
    """How the k-th layer of a study is drawn. dash: of lines and outlines, px; 24 layers look each like no other."""

    colour: str
    dash: str
    form: int  # of points: 0 full, 1 ring, 2 small, 3 large ring

    @property
    def rgb(self):
        return tuple(bytes.fromhex(self.colour[1:]))


def look(number):
    """The Look of a layer by its place in the study."""
    form = (number + number // len(COLOURS)) % len(DASHES)
    return Look(COLOURS[number % len(COLOURS)], DASHES[form], form)


def uses(spec, code):
    """[{"en", "vi"}]: what a layer is for in a question; [] where it is not used."""
    own, out = LAYER + code, []
    rule = next((r for r in spec["rules"] if r["code"] == own and r["on"]), None)
    if rule:
        out.append(said(N_("keep away by %(metres)s m"), metres=rule["distance_m"]))
    if spec["network"] and spec["network"]["layer"] == code:
        out.append(said(N_("distances run along it")))
    criterion = next((c for c in spec["criteria"] if c["code"] == own and c["weight"] > 0), None)
    if criterion:
        (_first, near), (_last, far) = criterion["curve"][0], criterion["curve"][-1]
        out.append(said(N_("nearer is better") if near > far else N_("farther is better")))
    return out
