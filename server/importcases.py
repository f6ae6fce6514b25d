"""The cases of the register that an import touched, for the page of its outcome."""

from layers.catalogue import ALL
from server.i18n import N_, language, text
from server.i18n import gettext as _

MOST_CASES = 500  # shown of an import into the register
_DID = {"registered": N_("opened by this import"), "edit": N_("facts changed by this import"),
        "reject": N_("rejected when the import was taken back"), "undo": N_("taken up again when it was put back")}  # fmt: skip
STAYED = N_("it stayed as it is when the rest was taken back")


def register(one, book):
    """The cases that an import touched, or None: dicts of code, name, stage, did, able, why, and how many go back."""
    if not one.gated or not one.written:
        return None
    rows = {r["code"]: r for r in book.touched(one.mark(1))}
    for r in rows.values():
        words = _DID[r["action"]]
        r["did"] = _(words)
    if one.restored:
        now = {r["code"]: r for r in book.touched(one.mark(one.restored))}
        for code, r in rows.items():
            r |= {k: now[code][k] for k in ("able", "why")} if code in now else {"able": False, "why": STAYED}
    for r in rows.values():
        words = r["why"]
        r |= {"name": text(r, "name"), "stage": ALL[one.layer].words("stage", r["stage"], language())}
        r |= {"why": _(words) if words else ""}
    told = list(rows.values())
    return {"rows": told[:MOST_CASES], "all": len(told), "able": sum(r["able"] for r in told)}
