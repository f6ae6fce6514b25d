"""The pages of siting studies but for the answer: rows of the list, and what each step shows. Documents in, plain rows out."""

from contextlib import suppress
from datetime import date
from itertools import combinations

from flask import url_for

from layers.errors import LayerError
from layers.letters import fold
from server import planadvanced, plancharts, planforms, sitedata, sitelaw, sitespec, siteweights, siteworld
from server.i18n import date as day
from server.i18n import gettext as _
from server.i18n import language, m3, moment, number, percent
from server.i18n import text as both
from server.planwords import IMPORTANCE, load_word, object_word, source_word, technology_word, unchecked_words, words_of
from server.quantities import quantity, shown
from server.sitekinds import RULES, SOLID, technologies

UNIT_KINDS = ("special_zone", "ward", "commune")


def row(study):
    """One study for the list."""
    summary = study["summary"] or {}
    return {
        "code": study["code"], "name": study["name"], "state": study["state"],
        "state_word": words_of("state", study["state"]), "stale": study["stale"], "revision": study["revision"],
        "gain": summary.get("gain_m3_day"), "gap": summary.get("gap"), "sites": summary.get("sites"),
        "infeasible": bool(summary.get("infeasible")), "status_word": words_of("status", summary.get("status") or ""),
        "who": study["created_name"], "changed": moment(study["changed_at"]), "changed_iso": study["changed_at"],
        "technology": technology_word(study["spec"]["facility"]["technology"]),
        "question": question(study["spec"]), "unit": siteworld.load_unit(study["spec"]), "unit_word": load_word(study["spec"]),
    }  # fmt: skip


def question(spec):
    """The question in one short line."""
    if spec["model"] == "covering" or (spec["model"] == "cheapest" and spec["number"] is None):
        many = _("as few as needed") if spec["model"] == "covering" else _("as many as needed")
    elif spec["number"] is not None:
        many = _("at most %(n)s new", n=number(spec["number"], 0))
    else:
        many = _("budget %(sum)s %(money)s", sum=number(spec["budget"]), money=spec["money"])
    sizes = " / ".join(m3(s["capacity_m3_day"]) for s in spec["sizes"])
    return _(
        "%(many)s, %(sizes)s %(unit)s, within %(km)s km",
        many=many,
        sizes=sizes,
        unit=load_word(spec),
        km=number(spec["within_m"] / 1000),
    )


def job_of(services, study, user):
    """The job of a study that runs or has failed, where this person may see it; None else."""
    if not study["job"] or study["state"] == "done":
        return None
    try:
        job = services.jobs.get(study["job"])
    except KeyError:
        return None
    return job if job.who_id == user.id or user.role == "administrator" else None


# --- fields ---


def field(form, errors, name, value, *, kind="text", **more):
    """One field as templates/desk_macros.html draws it: what was typed, else the value as people write it."""
    typed = form is not None and name in form
    held = form.get(name) if typed else shown(value, language())
    if kind == "check":
        held = (form.get(name) == "yes") if form is not None else bool(value)
    return {"name": name, "kind": kind, "value": held, "error": errors.get(name), **more}


def step(services, study, name, form=None, errors=None):
    """What a step of a study shows; see the templates plan_goal.html, plan_rules.html, plan_weights.html, plan_run.html."""
    make = {"goal": _goal, "rules": _rules, "weights": _weights, "run": _run}[name]
    spec = study["spec"]

    def f(field_name, value, **more):
        return field(form, errors or {}, field_name, value, **more)

    made = make(services, study, spec, f, form)
    return made | {"advanced_part": planadvanced.shown(spec, f, form, errors)} if name == "goal" else made


def _goal(services, study, spec, f, form):
    kinds, load = {}, siteworld.load_unit(spec)
    for t in technologies(date.fromisoformat(spec["as_of"])):
        kinds.setdefault(t["kind"], []).append((t["technology"], technology_word(t["technology"])))
    area = form.get("area") if form is not None else next(iter(spec["area"]), "")
    units = set(form.getlist("area.units")) if form is not None else set(spec["area"].get("units", ()))
    rows = sorted(dict.fromkeys(range(len(spec["sizes"]) + 2)) | dict.fromkeys(_typed_rows(form)))
    sizes = [
        [
            f(f"sizes[{k}].{n}", spec["sizes"][k][n] if k < len(spec["sizes"]) else None, kind="number")
            for n in ("capacity_m3_day", "cost")
        ]
        for k in rows
    ]
    return {
        "f": f, "spec": spec, "sizes": sizes, "area": area or "", "units": unit_choices(services), "chosen_units": units,
        "groups": [(words_of("group", kind), options) for kind, options in kinds.items()],
        "models": [(m, words_of("model", m)) for m in sitespec.MODELS],
        "goals": [(g, words_of("goal", g, load=load)) for g in sitespec.GOALS],
        "law": law(spec), "standing": standing(services, spec, f), "waste": spec["facility"]["kind"] in SOLID,
    }  # fmt: skip


def _typed_rows(form):
    found = (n.partition("]")[0].removeprefix("sizes[") for n in form or () if n.startswith("sizes["))
    return [int(k) for k in found if k.isdecimal() and int(k) < 20]


def unit_choices(services):
    """[(old district, [(code, name)])] of the wards, communes and special zones a study can be held to."""
    admin = services.store.snapshot("admin_units")
    rows = admin[admin["kind"].isin(UNIT_KINDS)]
    named = {r["code"]: both(r, "name") for r in admin[admin["kind"] == "district"].to_dict("records")}
    out = {}
    for r in rows.to_dict("records"):
        heading = named.get(r["district_old"]) or _("Others")
        out.setdefault(heading, []).append((r["code"], both(r, "name")))
    return [
        (heading, sorted(pairs, key=lambda p: fold(p[1])))
        for heading, pairs in sorted(out.items(), key=lambda o: fold(o[0]))
    ]


def standing(services, spec, f):
    """The standing plants with their spare capacity: those with room or with a capacity first."""
    rows = []
    plants = sitedata._plants(services, date.fromisoformat(spec["as_of"]), spec)
    for plant in plants.drop(columns="geometry").reset_index(names="code").to_dict("records"):
        given = spec["plants"]["spare"].get(plant["code"])
        rows.append(
            {
                "code": plant["code"], "title": both(plant, "name") or plant["code"], "state": plant["state"],
                "capacity": _known(plant["capacity_m3_day"]), "spare": plant["spare_m3_day"], "why": words_of("why", plant["why"]),
                "field": f(f"plants.spare.{plant['code']}", given, kind="number"),
            }
        )  # fmt: skip
    return sorted(rows, key=lambda r: (-r["spare"], r["capacity"] is None, fold(r["title"])))


def _known(value):
    return None if value is None or value != value else value


def law(spec):
    """What the regulation asks of each size, written."""
    out = []
    for d in planforms.law(spec):
        if d["problem"]:
            out.append({"capacity": m3(d["capacity"]), "problem": d["problem"][language()]})
            continue
        out.append(
            {
                "capacity": number(d["capacity"]), "problem": None, "state": d["state"],
                "state_word": words_of("status", d["state"]),
                "distance": None if d["state"] != "established" else number(d["distance_m"]),
                "factor": None if d["factor"] == 1 else number(d["factor"]), "base": number(d["base_m"]),
                "to": object_word(d["to_object"]),
                "regulation": "" if d["reference"].startswith(d["regulation"]) else d["regulation"], "reference": source_word(d["reference"]), "rows": ", ".join(d["rows"]),
                "confidence": words_of("confidence", d["confidence"]),
                "valid": _validity(d["valid_from"], d["valid_until"]),
                "cautions": [c[language()] for c in d["cautions"]],
            }
        )  # fmt: skip
    return out


def law_asked(asked):
    """{"lines": law() of what was typed into the step "goal" so far, "unit" of its capacities, "waste": whether it is about
    solid waste}. ValueError where the day is no date."""
    flags = {"yes": True, "no": False}
    sizes = []
    for typed in asked.getlist("capacity")[:20]:
        with suppress(ValueError):
            sizes.append({"capacity_m3_day": quantity(typed.strip(), language())})
    facility = {"technology": asked.get("facility.technology", ""), "entries": []}
    facility |= {n: flags.get(asked.get(f"facility.{n}")) for n in ("enclosed", "upstream")}
    facility["upwind"] = asked.get("facility.upwind") == "yes"
    spec = {"as_of": date.fromisoformat(asked.get("as_of", "")).isoformat(), "facility": facility, "sizes": sizes}
    made = law(spec)
    kinds = {t["technology"]: t["kind"] for t in technologies(date.fromisoformat(spec["as_of"]))}
    kind = kinds.get(facility["technology"], "")
    unit = load_word({"facility": {"kind": kind}})
    for line in made:
        line["unit"] = unit
        if not line["problem"]:
            named = _("row %(rows)s", rows=line["rows"]) if line["rows"] else ""
            parts = (line["regulation"], line["reference"], named, line["valid"], line["confidence"])
            line["source"] = " · ".join(filter(None, parts))
    return {"lines": made, "unit": unit, "waste": kind in SOLID}


def _validity(start, end):
    if start and end:
        return _("in force %(start)s to %(end)s", start=day(start), end=day(end))
    return _("in force from %(start)s", start=day(start)) if start else ""


def _rules(services, study, spec, f, form):
    there = said_of(services, spec)
    rows = []
    for k, rule in enumerate(spec["rules"]):
        at, kind = f"rules[{k}]", RULES.get(rule["code"])
        made = {
            "code": rule["code"], "title": words_of("rule", rule["code"], spec["layers"]), "on": f(f"{at}.on", rule["on"], kind="check"),
            "kind": kind.kind if kind else "near", "law": bool(kind and kind.law), "said": there.get(rule["code"]),
            "unit": words_of("unit", kind.unit) if kind else "m", "fields": [],
        }  # fmt: skip
        if made["kind"] in ("near", "far"):
            label = (
                _("At most so far")
                if made["kind"] == "far"
                else _("Own distance")
                if made["law"]
                else _("Distance to keep")
            )
            hint = _("Blank: the distance of the regulation, above.") if made["law"] else None
            made["fields"].append(
                f(f"{at}.distance_m", rule["distance_m"], kind="number", label=label, unit="m", hint=hint)
            )
        if rule["code"] == "houses":
            made["fields"].append(f(f"{at}.at_least", rule["at_least"], kind="number", label=_("Land counts as lived on from"),
                                    unit=_("people per ha")))  # fmt: skip
        if made["kind"] == "limit":
            made["fields"] += [
                f(f"{at}.at_least", rule["at_least"], kind="number", label=_("At least"), unit=made["unit"]),
                f(f"{at}.at_most", rule["at_most"], kind="number", label=_("At most"), unit=made["unit"]),
            ]
        if made["kind"] == "classes":
            made["fields"].append(f(f"{at}.classes", ", ".join(map(str, rule["classes"])), label=_("Classes that may not be used"),
                                    hint=_("Whole numbers of the land cover raster, such as 50, 80.")))  # fmt: skip
        made["folded"] = _folded(rule, made)
        made["fields"].append(f(f"{at}.source", rule["source"], label=_("Source of your value"), most=400,
                                required=False))  # fmt: skip
        rows.append(made)
    entries = []
    for k in range(len(spec["facility"]["entries"]) + 1):
        entry = spec["facility"]["entries"][k] if k < len(spec["facility"]["entries"]) else {}
        at = f"facility.entries[{k}]"
        entries.append([f(f"{at}.distance_m", entry.get("distance_m"), kind="number"), f(f"{at}.enclosed", entry.get("enclosed")),
                        f(f"{at}.source", entry.get("source", ""))])  # fmt: skip
    facility = spec["facility"]
    return {
        "f": f, "spec": spec, "rules": rows, "law": law(spec), "entries": entries, "technology": technology_word(facility["technology"]),
        "enclosed": facility["enclosed"], "land": land(spec),
        "land_fields": [
            f("facility.ha_per_1000", facility["ha_per_1000"], kind="number", label=_("Own plot"), unit=_("ha per 1,000 %(unit)s", unit=load_word(spec))),
            f("facility.belt_m", facility["belt_m"], kind="number", label=_("Own green belt"), unit="m"),
            f("facility.land_source", facility["land_source"], label=_("Source of your values")),
        ],
    }  # fmt: skip


def _folded(rule, made):
    """The values of a rule in a few words, for when its fields are folded up."""
    unit = made["unit"]
    if made["kind"] == "limit":
        low, high = rule["at_least"], rule["at_most"]
        parts = [_("at least %(value)s", value=f"{number(low)} {unit}")] if low is not None else []
        parts += [_("at most %(value)s", value=f"{number(high)} {unit}")] if high is not None else []
        return ", ".join(parts)
    if made["kind"] == "classes":
        return ", ".join(map(str, rule["classes"]))
    if rule["distance_m"] is None:
        return ""
    if made["kind"] == "far":
        return _("at most %(value)s", value=f"{number(rule['distance_m'])} m")
    return f"{number(rule['distance_m'])} m" if rule["distance_m"] else _("not on it")


def land(spec):
    """The land of the largest size, written; None where the law cannot be asked."""
    capacity = max(size["capacity_m3_day"] for size in spec["sizes"])
    try:
        need = sitelaw.law(spec, capacity).land
    except sitespec.SpecError:
        return None
    return {
        "capacity": m3(capacity), "plot": number(need.plot_ha), "belt": number(need.belt_m, 0), "all": number(need.with_belt_ha),
        "rows": ", ".join(need.rows), "known": bool(need.rows),
    }  # fmt: skip


def world(services, spec):
    """(siteworld.World, None), or (None, sentence) where the question cannot be asked of the data as they are."""
    try:
        return siteworld.world_now(services, spec), None
    except (LayerError, ValueError) as e:
        return None, getattr(e, language(), "") or str(e)


def said_of(services, spec):
    """{code: {"state": "checked" | "coarse" | "unchecked" | "off", "words"}} of rules and criteria, by the data of now."""
    found, _problem = world(services, spec)
    if found is None:
        return {}
    rules = [(r.code, r.status, r.why) for r in found.rules]
    criteria = [(c if isinstance(c, str) else c.code, status, why) for c, status, why in found.criteria]
    out = {}
    for prefix, rows in (("", rules), ("c:", criteria)):
        for code, status, why in rows:
            words = "; ".join(words_of("why", w) for w in why)
            if status == "unchecked":
                words = _("Not checked: %(why)s. Missing is not clean: check it on the ground.", why=words)
            elif words:
                words = _("Checked roughly: %(why)s.", why=words)
            out[prefix + code] = {"state": status if not (status == "checked" and why) else "coarse", "words": words}
    return out


def curve_picture(points, title, unit):
    low, high = (number(points[0][0]), number(points[-1][0])) if points else ("", "")
    desc = "; ".join(f"{number(m)} {unit}: {number(v)}" for m, v in points)
    return plancharts.value_curve(points, title=title, desc=desc, low=low, high=high, unit=unit)


def _weights(services, study, spec, f, form):
    there, load = said_of(services, spec), siteworld.load_unit(spec)
    shares, _found = siteweights.weights(spec)
    rows = []
    for k, c in enumerate(spec["criteria"]):
        at = f"criteria[{k}]"
        unit = words_of("unit", siteworld.unit_of(c["code"], spec))
        title = words_of("criterion", c["code"], spec["layers"], load)
        points = [*c["curve"], *([[None, None]] * max(0, min(2, 6 - len(c["curve"]))))]
        rows.append(
            {
                "code": c["code"], "title": title, "unit": unit, "said": there.get("c:" + c["code"]), "at": at,
                "weight": f(f"{at}.weight", c["weight"], kind="number", label=_("Weight")), "share": shares.get(c["code"], 0.0),
                "picture": curve_picture(c["curve"], _("Value of %(what)s", what=title.lower()), unit),
                "points": [[f(f"{at}.curve[{i}].{n}", p[j], kind="number") for j, n in enumerate("mv")]
                           for i, p in enumerate(points)],
            }
        )  # fmt: skip
    used = [r["code"] for r in rows if spec["criteria"][rows.index(r)]["weight"] > 0]
    titles = {r["code"]: r["title"] for r in rows}
    answers = spec["pairs"] or {}
    pairs = []
    for a, b in combinations(used, 2):
        key = f"{a}|{b}"
        value = form.get(f"pairs.{key}") if form is not None else planforms.answer_of(answers.get(key))
        pairs.append({"name": f"pairs.{key}", "key": key, "a": titles[a], "b": titles[b], "value": value})
    by = form.get("by") if form is not None else ("pairs" if spec["pairs"] else "typed")
    typed = {p["key"]: planforms.times_of(p["value"]) for p in pairs}
    return {
        "f": f, "spec": spec, "criteria": rows, "pairs": pairs, "by": by, "scale": scale(), "used": used,
        "weighed": weighed_words(used, typed, titles),
    }  # fmt: skip


def scale():
    """The answers of a pair question: (value, words with {a} and {b})."""
    more = [(str(n), "a", _(IMPORTANCE[n])) for n in range(9, 1, -1)]
    less = [(f"1/{n}", "b", _(IMPORTANCE[n])) for n in range(2, 10)]
    return [*more, ("1", "", _(IMPORTANCE[1])), *less]


def weighed_words(names, answers, titles=None):
    """What answers on pairs say so far, written: said, weights [{code, title, share, written}], state, odd."""
    titles = titles or {}
    found = planforms.weighed(names, answers)

    def title(code):
        return titles.get(code) or words_of("criterion", code)

    if found["weights"] is None:
        said = _("%(n)s of %(all)s questions answered.", n=found["answered"], all=found["asked"])
        return {"state": "open", "said": said, "weights": [], "odd": "", "ratio": None}
    ratio = number(found["ratio"], 2)
    good = _("Consistency ratio %(ratio)s: the answers agree well enough (up to 0.10 is accepted).", ratio=ratio)
    bad = _("Consistency ratio %(ratio)s: the answers contradict each other (up to 0.10 is accepted).", ratio=ratio)
    odd = found["odd"]
    said_odd = "" if odd is None else _(
        "Most at odds with the others: “%(a)s” beside “%(b)s”. You answered %(given)s; the others together say about %(others)s.",
        a=title(odd["first"]), b=title(odd["second"]), given=_times(odd["answered"]), others=_times(odd["others_say"]),
    )  # fmt: skip
    return {
        "state": "good" if found["accepted"] else "bad", "said": good if found["accepted"] else bad, "odd": said_odd,
        "ratio": found["ratio"],
        "weights": [{"code": c, "title": title(c), "share": w, "written": percent(w)} for c, w in found["weights"].items()],
    }  # fmt: skip


def _times(value):
    written = number(round(max(value, 1 / value), 1))
    return _("%(n)s times", n=written) if value >= 1 else _("1/%(n)s", n=written)


def _size(size, spec):
    capacity = f"{number(size['capacity_m3_day'])} {load_word(spec)}"
    if size["cost"] is None:
        return _("%(size)s, cost not entered", size=capacity)
    return _("%(size)s for %(cost)s %(money)s", size=capacity, cost=number(size["cost"]), money=spec["money"])


def _run(services, study, spec, f, form):
    asked, problem = world(services, spec)
    on = [r for r in spec["rules"] if r["on"]]
    shares, _found = siteweights.weights(spec)
    layers, load = spec["layers"], siteworld.load_unit(spec)
    area = spec["area"]
    names = dict(pair for _heading, pairs in unit_choices(services) for pair in pairs)
    where = _("the whole city")
    if "units" in area:
        where = ", ".join(names.get(c, c) for c in area["units"])
    elif "wkt" in area:
        where = _("an outline of your own")
    facility = spec["facility"]
    enclosed = {True: _("enclosed, odour treated"), False: _("open"), None: ""}[facility["enclosed"]]
    lines = [
        (_("Question"), f"{words_of('model', spec['model'])}; {words_of('goal', spec['goal'], load=load)}", "goal"),
        (_("Kind of works"), ", ".join(filter(None, (technology_word(facility["technology"]), enclosed))), "goal"),
        (_("Sizes"), "; ".join(_size(size, spec) for size in spec["sizes"]), "goal"),
        (_("How many"), question(spec), "goal"),
        (_("Where"), where, "goal"),
        (_("Standing plants"), _("kept, with their spare capacity") if spec["plants"]["keep"] else _("left out"), "goal"),
        (_("Law"), _("as of %(day)s", day=day(spec["as_of"])), "rules"),
        (_("Constraints"), ", ".join(words_of("rule", r["code"], layers) for r in on) or _("none"), "rules"),
        (_("Weights"), ", ".join(f"{words_of('criterion', c, layers, load)} {percent(w)}" for c, w in shares.items()), "weights"),
        (_("Advanced"), planadvanced.said(spec), "goal"),
    ]  # fmt: skip
    return {
        "spec": spec, "lines": lines, "unchecked": unchecked_words(asked.unchecked, layers, load) if asked else [], "problem": problem,
        "blocks": [{"number": k, **b, "place": f"{b['lat']:.5f}, {b['lon']:.5f}", "radius": number(b["radius_m"], 0)}
                   for k, b in enumerate(spec["block"])],
        "given": [{**g, "forced": g["code"] in spec["force"], "place": f"{g['lat']:.5f}, {g['lon']:.5f}"} for g in spec["given"]],
        "forced_only": [c for c in spec["force"] if all(g["code"] != c for g in spec["given"])],
        "law_open": [line for line in law(spec) if line["problem"] or line["state"] != "established"],
        "edit": lambda where: url_for("plan.edit", code=study["code"], step=where),
    }  # fmt: skip
