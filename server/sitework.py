"""The answer to a siting study: suitability in windows, candidates, plan, robustness, reason cards; and the job that does it.

answer(spec, data, folder) needs no server: the same question, data and seed give the same result.json byte for byte.

result.json ("cangxanh-siting-result/1"):
    study        name, as_of, unit (m3_day; t_day for solid waste: of everything called m3_day), spec (the whole question),
                 prints (versions and checksums of the data), sources, notes
    grid         rows, columns, cell_m, crs, bounds (EPSG:9210), bounds_lonlat; area_ha, free_ha (smallest size)
    excluded     [{code, ha, share, source}] of the smallest size, most land first; a place may have several reasons
    rules        [{code, kind, status, why, bit (of reasons.tif, null if not used), distance_m and source by size,
                 features}]; criteria [{code, weight, unit, curve, status, why}]; ahp (ratio, accepted, odd) or null
    laws         by size: capacity_m3_day, cost, law, open, enclosed (each as sitelaw.told), land, candidates
    unchecked    [{kind, code, why}]: what was asked for and could not be looked at
    demand       count, m3_day, people, unknown_m3_day, unplaced, not_known; demands [{code, unit, lon, lat, m3_day,
                 people, served_m3_day}]
    plants       [{code, name_vi, name_en, kind, state, lon, lat, capacity_m3_day, flow_m3_day, spare_m3_day, why, used_m3_day}]
    candidates   [{code, label, lon, lat, x, y, ward, score, rank, given, forced, chosen, options (capacities that the
                 rules allow), criteria}]; refused: given sites that no size may stand on, with what they break
    plan         model, goal, status, value, bound, gap, served_m3_day, people, standing_*, gain_*, unserved_m3_day, cost
    sites        the chosen ones in the order of building: candidate and plan columns, card, cost_class, robustness
    curve        [{number, site, capacity_m3_day, cost, served_m3_day, people, value, bound}]; chain: the best plan found
                 for each smaller number or budget, never serving less as it grows
    flows        [{facility, demand, unit, m3_day, people, distance_m}]
    robustness   sites, one_at_a_time, turning_points, runs, spread, top
    infeasible   null or {rule, en, vi}
"""


from geo.suitability import Cancelled
from layers import wholefiles
from server import sitechoice, siteland, siteplaces, sitetold, siteworld
from server.i18n import N_
from server.jobs import Stopped
from server.sitedata import gather, packed
from server.sitefiles import write_files
from server.sitespec import read

FORMAT = "cangxanh-siting-result/1"


def job(services, task):
    """The job "site": payload code, run, revision. Gives the summary of the run."""
    code, run = task.payload["code"], task.payload["run"]
    folder = services.studies.folder(code, run)
    spec = read((folder / "spec.json").read_text("utf-8"))
    task.tell(0.0, N_("Reading the data of the city"))
    data = gather(services, spec)
    try:
        result = answer(spec, data, folder, tell=task.tell, stop=task.stop)
    except Cancelled as e:
        raise Stopped from e
    finally:
        data.close()
    for sentence in result["notes"]:
        task.note(sentence["en"])
    summary = summary_of(result)
    services.studies.finished(task.who, code, run, task.payload["revision"], summary)
    return summary


def answer(spec, data, folder, *, tell=lambda share, words="", **values: None, stop=lambda: False):
    """The whole answer as a dict, its files written into `folder` (a Path that exists). Raises SpecError, GridError,
    StudyError, Cancelled; a question without a plan is an answer too, with `infeasible` filled in."""
    tell(0.02, N_("Laying the rules over the map"))
    world = siteworld.build(spec, data)
    made = {"format": FORMAT, "name": spec["name"], "as_of": spec["as_of"], "spec": spec, "seed": spec["seed"]}
    made["unit"] = siteworld.load_unit(spec)
    made |= {"prints": data.prints, "sources": sitetold.sources(world), "notes": sitetold.notes(world)}
    made |= sitetold.of_world(world)
    found, counts = siteland.scored(world, folder, tell, stop)
    made |= siteland.excluded(world, counts)
    tell(0.5, N_("Looking at each candidate"))
    candidates, refused = siteplaces.places(world, found)
    made |= {"refused": refused}
    if stop():
        raise Cancelled
    plan, chain, infeasible = sitechoice.choice(world, candidates, counts, tell, stop)
    if stop():
        raise Cancelled
    tell(0.85, N_("Trying other weights"))
    made["robustness"] = sitetold.of_weights(world, candidates)
    tell(0.88, N_("Writing the reason cards"))
    made |= sitetold.of_plan(world, candidates, plan, chain)
    made["infeasible"] = infeasible
    wholefiles.write(folder / "result.json", packed(made))
    tell(0.95, N_("Writing the files"))
    write_files(made, spec, data, folder)
    tell(1.0, N_("Done"))
    return made


def summary_of(result):
    """What lists show of an answer."""
    plan = result["plan"] or {}
    names = ("model", "goal", "status", "value", "gap", "served_m3_day", "gain_m3_day", "gain_people", "cost")
    out = {name: plan.get(name) for name in names}
    sites = [{k: s[k] for k in ("code", "label", "lon", "lat", "capacity_m3_day", "ward")} for s in result["sites"]]
    out |= {"sites": sites, "free_ha": result["free_ha"], "unchecked": result["unchecked"]}
    return out | {"infeasible": result["infeasible"], "as_of": result["as_of"], "money": result["spec"]["money"]}
