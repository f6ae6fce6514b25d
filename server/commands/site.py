"""run.py site: a siting study without a browser, and the same one again from its replay file."""

import json
import sys
import tempfile
from pathlib import Path

from geo.grids import GridError
from geo.studies import StudyError
from server.console import CommandError, open_services
from server.i18n import N_
from server.loadwords import unchecked_name
from server.sitewords import said, word


def add(command):
    sub = command("site", run, "Find sites for treatment works: run a study, or repeat one from its replay file.")
    sub.add_argument("spec", nargs="?", type=Path, metavar="SPEC.json", help="the question (see --example)")
    sub.add_argument(
        "--out", type=Path, metavar="DIR", help="folder for the answer (default: the name of the question)"
    )
    sub.add_argument(
        "--replay", type=Path, metavar="FILE", help="repeat a study from its replay file; needs no data folder"
    )
    sub.add_argument("--example", action="store_true", help="print a question for this city, to be changed and run")
    sub.add_argument("--language", choices=("vi", "en"), default="en", help="of what is printed")


def run(arguments):
    if sum(map(bool, (arguments.spec, arguments.replay, arguments.example))) != 1:
        raise CommandError("give one of SPEC.json, --replay FILE or --example")
    if arguments.example:
        from server.sitespec import default

        print(json.dumps(default(open_services(arguments)), ensure_ascii=False, indent=1))
        return 0
    try:
        return _replay(arguments) if arguments.replay else _run(arguments)
    except (GridError, StudyError) as e:
        raise CommandError(str(e)) from e


def _run(arguments):
    from server import sitedata, sitespec, sitework

    try:
        text = arguments.spec.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise CommandError(f"{arguments.spec} cannot be read: {e}") from e
    spec = sitespec.read(text)
    services = open_services(arguments)
    folder = _folder(arguments.out or arguments.spec.with_suffix(""))
    data = sitedata.gather(services, spec)
    try:
        result = sitework.answer(spec, data, folder, tell=_Progress())
    finally:
        data.close()
    _print(result, folder, arguments.language)
    return 1 if result["infeasible"] else 0


def _replay(arguments):
    from server import sitefiles, sitework

    spec, data, digest = sitefiles.read_replay(arguments.replay)
    if arguments.out:
        return _again(arguments, spec, data, digest, _folder(arguments.out), sitework.answer)
    with tempfile.TemporaryDirectory() as folder:
        return _again(arguments, spec, data, digest, Path(folder), sitework.answer)


def _again(arguments, spec, data, digest, folder, answer):
    from server import sitefiles

    result = answer(spec, data, folder, tell=_Progress())
    same = sitefiles.fingerprint(result) == digest
    _print(result, folder if arguments.out else None, arguments.language)
    if same:
        print("Replay: the same tables.")
        return 0
    raise CommandError("the replay gives other tables than the file was written with; compare result.json of both")


def _folder(path):
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise CommandError(f"the folder {path} cannot be made: {e}") from e
    return path


class _Progress:
    """A line on stderr for each step, and on a terminal the share done."""

    def __init__(self):
        self.last = None

    def __call__(self, share, words="", **values):
        if words and words != self.last:
            self.last = words
            print(f"{share:4.0%}  {words % values}", file=sys.stderr, flush=True)
        elif sys.stderr.isatty():
            print(f"{share:4.0%}", end="\r", file=sys.stderr, flush=True)


def _print(result, folder, language):
    """The answer in a few lines: the plan, the sites, what was not checked, where the files are."""
    for note in result["notes"]:
        print(note[language])
    for item in result["unchecked"]:
        name = unchecked_name(item, language, result["spec"]["layers"], load=result["unit"])
        whys = "; ".join(word("why", code, language) for code in item["why"])
        print(f"{word('status', 'unchecked', language)}: {name} ({whys})")
    print()
    if result["infeasible"]:
        print(result["infeasible"][language])
    plan = result["plan"]
    if plan:
        values = {name: round(plan[name]) for name in ("served_m3_day", "people", "gain_m3_day")}
        values |= {"unit": word("unit", result["unit"], language), "status": word("status", plan["status"], language)}
        print(
            said(
                N_(
                    "%(served_m3_day)s %(unit)s of %(people)s people served, %(gain_m3_day)s of it gained (gap to what is possible %(gap)s %%: %(status)s)."
                ),
                gap=round(100 * plan["gap"], 3),
                **values,
            )[language]
        )
        print("    site            lon        lat      capacity    used     gain     safe m  people inside")
        for site in result["sites"]:
            card = site["card"]
            inside, metres = card["people_inside"]["now"]["people"], card["law"]["distance_m"]
            print(f"{site['label']:>3} {site['code']:<14} {site['lon']:.5f}  {site['lat']:.5f}  {site['capacity_m3_day']:>9,.0f}"
                  f"{site['used_m3_day']:>9,.0f}{site.get('gain_m3_day') or 0:>9,.0f}{_shown(metres):>9}{_shown(inside):>12}")  # fmt: skip
    if folder is not None:
        print(f"\n{folder}: {', '.join(sorted(p.name for p in folder.iterdir() if p.is_file()))}")


def _shown(value):
    return "–" if value is None else f"{value:,.0f}"
