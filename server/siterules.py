"""The rules of a siting question: which are on, with their distances, limits and classes, those of own layers among them."""

from server.i18n import N_
from server.sitekinds import RULES, RuleKind


def rules(reader, value, own):
    """Every rule that is known, in our order, then those of own layers; own: {"layer:CODE"}."""
    names = ("code", "on", "distance_m", "source", "at_least", "at_most", "classes")
    twice, out = N_("The rule %(code)s is given twice."), []
    asked = reader.coded("rules", value, names, 60, {*RULES, *own}, N_("There is no rule %(code)s."), twice)
    for code in (*RULES, *sorted(own & set(asked))):
        kind = RULES.get(code, RuleKind(code, "near", distance_m=0.0))
        made = {"code": code, "on": kind.on, "distance_m": kind.distance_m, "source": ""}
        made |= {"at_least": kind.at_least, "at_most": kind.at_most, "classes": []}
        if code in asked:
            k, row = asked[code]
            made |= _rule(reader, f"rules[{k}]", kind, made | row)
        out.append(made)
    return out


def _rule(reader, field, kind, row):
    out = {"on": reader.flag(f"{field}.on", row["on"])}
    out["distance_m"] = reader.number(
        f"{field}.distance_m",
        row["distance_m"],
        0,
        100_000,
        blank=kind.law or kind.kind == "limit" or kind.kind == "classes",
    )
    out["at_least"] = reader.number(f"{field}.at_least", row["at_least"], -1e6, 1e6, blank=True)
    out["at_most"] = reader.number(f"{field}.at_most", row["at_most"], -1e6, 1e6, blank=True)
    entered = kind.law and out["distance_m"] is not None and out["on"]
    out["source"] = reader.text(f"{field}.source", row["source"], needed=entered)
    if kind.kind == "limit" and out["on"] and out["at_least"] is None and out["at_most"] is None:
        reader.wrong(f"{field}.at_least", N_("Give the least or the most that is allowed."))
    classes = row["classes"]
    if not isinstance(classes, list) or not all(isinstance(c, int) and not isinstance(c, bool) for c in classes):
        reader.wrong(f"{field}.classes", N_("Give the classes as whole numbers."))
        classes = []
    out["classes"] = sorted(set(classes))
    if kind.kind == "classes" and out["on"] and not out["classes"]:
        reader.wrong(f"{field}.classes", N_("Give the classes that may not be used."))
    return out
