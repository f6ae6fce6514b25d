"""The advanced part of a question: how finely and how hard to look, what is tried with other weights, sites of one's own.

Everything in it has a value that serves; nobody has to open it. Shares stand in the fields as per cent.
"""

from dataclasses import asdict

from geo.plans import Effort
from server import planplaces
from server.i18n import N_, number, percent
from server.i18n import gettext as _

EFFORTS = {
    "quick": Effort(gap=0.01, rounds=150, trials=200, kicks=1, kernel_pairs=6_000, outright_pairs=3_000,
                    unlimited_pairs=40_000, looks=5_000, nodes=500),
    "usual": Effort(),
    "thorough": Effort(gap=1e-5, rounds=1_500, trials=5_000, kicks=12, kernel_pairs=40_000, outright_pairs=20_000,
                       unlimited_pairs=300_000, looks=300_000, nodes=20_000),
}  # fmt: skip
HOW = {
    "quick": N_("Quick: gap up to 1 %%, a third of the time"),
    "usual": N_("Usual: gap up to 0.1 %%"),
    "thorough": N_("Thorough: proven where it can be, 2 to 10 times as long"),
    "own": N_("Values of your own, below"),
}
COUNTS = {
    "rounds": (N_("Rounds of the bound"), N_("Each round tightens what no choice can exceed.")),
    "trials": (N_("Exchanges weighed in each search"), N_("One site taken out, another put in.")),
    "kicks": (N_("Fresh starts"), N_("Searches that begin again from a disturbed choice; time grows with them.")),
    "kernel_pairs": (
        N_("Pairs of the core that is solved exactly"),
        N_("Pairs of homes and sizes of sites within reach, the most promising first."),
    ),
    "outright_pairs": (
        N_("Solved exactly up to so many pairs"),
        N_("A larger question is searched, with the gap told."),
    ),
    "unlimited_pairs": (N_("The same where no capacity binds"), N_("Such a question is easier.")),
    "looks": (
        N_("Choices of few plants looked through"),
        N_("To prove that no other choice of up to a handful of plants serves more; 0: leave it out."),
    ),
    "nodes": (N_("Branches of each exact solution, at most"), N_("Blank: no limit, which may take very long.")),
    "seconds": (
        N_("Seconds of each exact solution, at most"),
        N_("Blank: none. With a limit the answer depends on the machine, and a replay may differ."),
    ),
}


def effort_of(effort):
    """The name of an effort among HOW: one of EFFORTS, or "own"."""
    return next((name for name, known in EFFORTS.items() if asdict(known) == asdict(Effort()) | effort), "own")


def read(typed):
    """Put what a form says of the advanced part into typed.document. typed: as in server/planforms.py."""
    d, form = typed.document, typed.form
    for name in ("count", "apart_m"):
        d["candidates"][name] = typed.number(f"candidates.{name}", d["candidates"][name], whole=name == "count")
    robust = d["robustness"]
    for name in ("runs", "top"):
        if f"robustness.{name}" in form:
            robust[name] = typed.number(f"robustness.{name}", robust[name], whole=True)
    if "robustness.spread" in form:
        robust["spread"] = _share(typed, "robustness.spread", robust["spread"], 100)
    how = typed.text("effort.how", 20)
    if how in EFFORTS:
        d["effort"] = asdict(EFFORTS[how])
    elif how == "own":
        effort = d["effort"]
        effort["gap"] = _share(typed, "effort.gap", effort["gap"], 50)
        for name in COUNTS:
            effort[name] = typed.number(f"effort.{name}", effort[name], whole=name != "seconds")
    if "seed" in form:
        d["seed"] = typed.number("seed", d["seed"], whole=True)
    if "given" in form:
        _given(typed, d)


def _share(typed, name, before, most):
    """A share 0..1 typed as per cent."""
    value = typed.number(name)
    if name in typed.errors:
        return before
    if value is None or not 0 <= value <= most:
        typed.errors[name] = _("This must be 0 to %(most)s per cent.", most=most)
        return before
    return round(value / 100, 9)


def _given(typed, d):
    rows, wrong = planplaces.listed(typed.form.get("given", "")[:200_000])
    if wrong:
        typed.errors["given"] = " ".join(wrong[:5])
        return
    gone = {g["code"] for g in d["given"]} - {row["code"] for row in rows}
    d["given"] = rows
    d["force"] = [code for code in d["force"] if code not in gone]


def shown(spec, f, form=None, errors=None):
    """What templates/_plan_advanced.html shows: said (the whole part in one sentence), the fields, and `open` where one
    of them is wrong. f: makes a field, as in server/planpage.py."""
    errors, effort, robust = errors or {}, spec["effort"], spec["robustness"]
    typed_given = form is not None and "given" in form
    how = form.get("effort.how") if form is not None and "effort.how" in form else effort_of(effort)
    own = [
        f(f"effort.{name}", effort[name], kind="number", label=_(words), hint=_(hint))
        for name, (words, hint) in COUNTS.items()
    ]
    ours = ("cell_m", "demand.square_m", "candidates.", "robustness.", "effort.", "seed", "given")
    return {
        "said": said(spec), "open": any(name.startswith(ours) for name in errors),
        "how": {"name": "effort.how", "value": how, "error": errors.get("effort.how")},
        "efforts": [(name, _(words)) for name, words in HOW.items()], "own_effort": how == "own",
        "effort": [f("effort.gap", effort["gap"] * 100, kind="number", unit="%", label=_("Content with a gap of"),
                     hint=_("Between the best found and what no choice can exceed; 0: prove it.")), *own],
        "robust": [
            f("robustness.runs", robust["runs"], kind="number", label=_("Runs with weights drawn anew"),
              hint=_("0: leave it out. 10,000 take about a second; 20,000 at most.")),
            f("robustness.spread", robust["spread"] * 100, kind="number", unit="%", label=_("Each weight is moved by up to ±"),
              hint=_("50: a weight of 4 becomes something between 2 and 6.")),
            f("robustness.top", robust["top"], kind="number", label=_("A site is robust when it stays among the first"),
              hint=_("Choose about as many as you would look at more closely.")),
        ],
        "seed": f("seed", spec["seed"], kind="number", label=_("Seed of the random numbers"),
                  hint=_("The same seed gives the same answer. Another one shows whether the search was lucky.")),
        "given": {"name": "given", "value": form.get("given", "") if typed_given else planplaces.lines(spec["given"]),
                  "error": errors.get("given")},
    }  # fmt: skip


def said(spec):
    """The settings of the advanced part in one sentence."""
    robust, candidates = spec["robustness"], spec["candidates"]
    parts = [
        _("cells of %(m)s m", m=number(spec["cell_m"])),
        _("up to %(n)s sites to choose from, at least %(m)s m apart", n=number(candidates["count"], 0), m=number(candidates["apart_m"], 0)),
        effort_word(spec["effort"]),
        robust_word(robust),
    ]  # fmt: skip
    if spec["given"]:
        parts.append(_("%(n)s sites of your own", n=len(spec["given"])))
    text = "; ".join(parts)
    return text[:1].upper() + text[1:] + "."


def effort_word(effort):
    """An effort in a few words."""
    short = {"quick": _("a quick search"), "usual": _("the usual search"), "thorough": _("a thorough search")}
    return short.get(effort_of(effort)) or _(
        "a search that is content with a gap of %(gap)s", gap=percent(effort["gap"], 2)
    )


def robust_word(robust):
    """What is tried with other weights, in a few words."""
    if not robust["runs"]:
        return _("no runs with other weights")
    return _("%(n)s runs with weights moved by up to ± %(spread)s, first %(top)s sites", n=number(robust["runs"], 0),
             spread=percent(robust["spread"]), top=robust["top"])  # fmt: skip
