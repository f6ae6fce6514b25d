"""The plan of the house: who may import whom, and who may open the live file with GDAL.

A new file is put on a floor here, in a line that a reviewer sees.
"""

import ast
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Lowest first. A file imports from sets above its own line only, never from its own set.
FLOORS = [
    {
        "geo.systems",
        "geo.coordinates",
        "geo.distances",
        "geo.units",
        "geo.programs",
        "geo.knapsacks",
        "geo.grids",
        "geo.nearness",
    },
    {
        "geo.crs",
        "geo.encoding",
        "geo.coverage",
        "geo.cells",
        "geo.places",
        "geo.projection",
        "geo.population",
        "geo.exposure",
        "geo.limits",
        "geo.quality",
        "geo.indices",
        "geo.waterways",
        "geo.ahp",
        "geo.studies",
        "geo.candidates",
        "geo.robustness",
        "geo.network",
        "geo.flows",
        "geo.crosswalk",
        "geo.indicators",
    },
    {
        "geo.priority",
        "geo.suitability",
        "geo.explanation",
        "geo.lagrange",
        "geo.locations",
        "geo.plans",
        "geo.choices",
        "geo.additions",
    },
    {"geo.enumeration", "geo.exchange", "geo.medians"},
    {"geo.siting"},
    {"layers.errors", "layers.letters", "layers.wholefiles", "layers.parquetpages", "layers.pulse", "layers.strokes"},
    {
        "layers.rules",
        "layers.catalogue",
        "layers.geopackage",
        "layers.audit",
        "layers.standards",
        "layers.kml",
        "layers.mvt",
        "layers.shapefile",
        "layers.workbook",
        "layers.parquet",
        "layers.parcels",
        "layers.sheets",
        "layers.geojson",
    },
    {"layers.checks", "layers.rows", "layers.columns", "layers.surfaces", "layers.vectors"},
    {"layers.migrations", "layers.archive", "layers.staging", "layers.tables"},
    {"layers.packing"},
    {"layers.store", "layers.trials"},
    {"layers.boundaries", "layers.asof"},
    {"layers.starter", "layers.export", "layers.rasters", "layers.ingest", "layers.stations"},
    {"layers.formats"},
    {"server.citytime", "server.unitwords", "server.vocabulary"},
    {"server.nameforms", "server.typed"},
    {"server.matches"},
    {
        "server.assets",
        "server.settings",
        "server.i18n",
        "server.signs",
        "server.addresses",
        "server.search",
        "server.workdays",
        "server.estimates",
        "server.coveragerows",
        "server.ledgerinputs",
        "server.codes",
        "server.pace",
        "server.gallery",
        "server.totp",
        "server.vault",
        "server.filecache",
        "server.tablecolumns",
    },
    {"server.post", "server.bulletins", "server.noticebook", "server.cql2tokens", "server.cql2tree"},
    {
        "server.situation",
        "server.drafts",
        "server.mailbag",
        "server.nearby",
        "server.reportbook",
        "server.passwords",
        "server.people",
        "server.cql2shapes",
    },
    {
        "server.sieve",
        "server.cql2",
        "server.proofs",
        "server.effects",
        "server.stepforms",
        "server.clocks",
        "server.sessions",
        "server.tries",
    },
    {
        "server.remediation",
        "server.accounts",
        "server.handling",
        "server.vicinity",
        "server.casebook",
        "server.files",
        "server.photos",
        "server.papers",
    },
    {"server.security", "server.oidc", "server.publication", "server.samples", "server.reportdesk", "server.notices"},
    {"server.thread", "server.reports"},
    {"server.docket"},
    {"server.dossier"},
    {
        "server.words",
        "server.records",
        "server.errors",
        "server.charts",
        "server.bars",
        "server.maps",
        "server.figures",
        "server.cases",
        "server.priorities",
        "server.tiles",
    },
    {
        "server.caserows",
        "server.query",
        "server.flows",
        "server.atlas",
        "server.cards",
        "server.register",
        "server.directory",
        "server.answers",
        "server.trackpages",
        "server.doorstep",
        "server.ledgers",
        "server.collections",
        "server.history",
        "server.stageguide",
        "server.boundaryguide",
        "server.feeds",
        "server.desk",
        "server.casefile",
        "server.caseforms",
        "server.ranking",
        "server.drawing",
        "server.outlines",
        "server.forms",
        "server.plancharts",
    },
    {"server.casedesk", "server.editforms", "server.timeline", "server.replies"},
    {"server.office", "server.intake"},
    {"server.casepage", "server.problems", "server.corners", "server.rowkeys", "server.quantities"},
    {"server.sitewords", "server.sitekinds", "server.planplaces"},
    {
        "server.docreader",
        "server.loadwords",
        "server.citations",
        "server.layeruses",
        "server.siteparts",
        "server.siterules",
        "server.siteweights",
    },
    {"server.sitespec", "server.placing", "server.blanks"},
    {"server.sitelaw", "server.sitedata", "server.readings"},
    {
        "server.sitedemands",
        "server.siteshapes",
        "server.arrivals",
        "server.ownlayers",
        "server.scenarioplants",
        "server.scenarioground",
        "server.sitetables",
    },
    {
        "server.jobs",
        "server.imports",
        "server.importdoor",
        "server.importmemory",
        "server.changes",
        "server.featureforms",
        "server.tokens",
        "server.siteworld",
        "server.scenariolaw",
        "server.papertable",
    },
    {
        "server.featureedits",
        "server.layerbook",
        "server.importdesk",
        "server.importtrial",
        "server.importrasters",
        "server.sitecards",
        "server.sitefiles",
        "server.downloads",
        "server.listings",
    },
    {
        "server.siting",
        "server.scenarioledger",
        "server.studyplants",
        "server.siteland",
        "server.siteplaces",
        "server.sitechoice",
        "server.sitetold",
    },
    {"server.scenariobook", "server.scenarioforms"},
    {"server.scenarios"},
    {"server.leftovers"},
    {"server.services", "server.parameters", "server.documents", "server.layerwords"},
    {
        "server.openapi",
        "server.dcat",
        "server.featurepages",
        "server.scenariopages",
        "server.paper",
        "server.tiledoor",
    },
    {
        "server.importwords",
        "server.explain",
        "server.status",
        "server.whereabouts",
        "server.accountpages",
        "server.planadvanced",
    },
    {
        "server.layerpages",
        "server.layermaps",
        "server.versionpages",
        "server.rowpages",
        "server.layerdesk",
        "server.planforms",
        "server.planwords",
        "server.scenariomaps",
        "server.scenariofiles",
        "server.rastertiles",
        "server.sheets",
        "server.sitework",
        "server.importwork",
        "server.putbacks",
        "server.importcases",
        "server.importcolumns",
        "server.importplaces",
        "server.importsteps",
        "server.importtables",
    },
    {"server.planpage", "server.planlayers", "server.plansites", "server.studyshapes"},
    {"server.planmap", "server.planwhy", "server.plantables", "server.studytables"},
    {"server.planresult", "server.studysheets"},
    {"server.views.*"},
    {"server.app"},
    {"server.console", "server.worker", "server.backups"},
    {"server.commands.*"},
    {"server.cli"},
    {"run"},
]

# What a folder must not import, also inside functions. A dotted name bans that part only.
BANNED = {
    "geo": {
        *("flask", "sqlalchemy", "sqlite3", "folium", "requests", "httpx", "urllib", "http", "socket", "ssl"),
        *("time", "os.environ", "os.getenv"),
    },
    "layers": {"flask", "werkzeug", "jinja2", "markupsafe", "folium", "branca"},
    "server/views": {"geopandas", "pandas", "shapely", "pyogrio", "rasterio", "sqlalchemy", "sqlite3"},
}
CLOCKS = {
    ("datetime", "now"),
    ("datetime", "today"),
    ("datetime", "utcnow"),
    ("date", "today"),
    ("Timestamp", "now"),
    ("Timestamp", "today"),
    ("Timestamp", "utcnow"),
}

# (importing file, imported module), * for any: a step out of order that is known, with its reason.
EXCEPTIONS = {
    (
        "server/i18n.py",
        "server.words",
    ): "install() hands the word lists to the templates when the app is made",
}

# (file, function): why GDAL may open a file there. The live file is never among them.
GDAL_ALLOWED = {
    ("layers/vectors.py", "open_vector"): "reads a file from outside; server/imports.py refuses the live file before",
    ("layers/vectors.py", "_features"): "as open_vector",
    ("layers/vectors.py", "_gdal"): "as open_vector",
    ("layers/rasters.py", "try_slot"): "reads a GeoTIFF from outside, by its first bytes, and the one made of it",
    ("layers/rasters.py", "_shaped"): "reads the raster that was just made",
    ("layers/rasters.py", "_write"): "writes a raster beside the store",
    ("layers/rasters.py", "_over"): "reckons with cells; no file is opened",
    ("layers/rasters.py", "_share_of_land"): "reckons with cells; no file is opened",
    ("layers/formats.py", "_flatgeobuf"): "writes to bytes in memory; no file is opened",
    ("server/sitedata.py", "_on_grid"): "reads a raster of the city, a file of its own beside the store",
    ("server/sitedemands.py", "_of_wards"): "burns shapes into an array; no file is opened",
    ("server/siteland.py", "__init__"): "writes the rasters of a run into the run's own folder",
    ("server/siteland.py", "write"): "names a window of such a raster; no file is opened",
    ("server/sitefiles.py", "_excluded"): "reads the rasters of a run from the run's own folder",
    ("server/studysheets.py", "_excluded"): "reads the rasters of a run from the run's own folder",
    ("server/rastertiles.py", "_read"): "reads a finished run's rasters, which lie in a folder of their own",
    ("server/rastertiles.py", "_smaller"): "makes smaller copies beside a finished run's raster",
}
GDAL = {"pyogrio", "fiona", "duckdb", "osgeo", "rasterio"}
GDAL_OF_GEOPANDAS = {"read_file", "list_layers", "from_file", "to_file"}


def sources(root=ROOT, folders=("geo", "layers", "server")):
    files = [root / "run.py"] if root == ROOT else []
    for folder in folders:
        files += sorted((root / folder).rglob("*.py"))
    return {f.relative_to(root).as_posix(): f.read_text(encoding="utf-8") for f in files}


def module_of(path):
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def floor_of(module):
    for i, names in enumerate(FLOORS):
        if module in names or module.rpartition(".")[0] + ".*" in names:
            return i
    return None


def imported(text):
    """Dotted names that a source imports, wherever the import stands; `from a import b` gives a and a.b."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the floor"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def plan_problems(files):
    out = []
    packages = {module_of(f) for f in files if f.endswith("__init__.py")}
    modules = {module_of(f) for f in files} - packages
    for path, text in files.items():
        me = module_of(path)
        if path.endswith("__init__.py"):
            if text.strip():
                out.append(f"{path} is not empty")
            continue
        floor = floor_of(me)
        if floor is None:
            out.append(f"{path} is on no floor")
            continue
        for name in sorted(set(imported(text)) & modules):
            if floor_of(name) is not None and floor_of(name) >= floor and not exceptions_for(path, name):
                out.append(f"{path} imports {name}, which is not below it")
        out += [f"{path} uses {what}" for what in sorted(banned_in(path, text))]
    return out


def exceptions_for(path, name):
    return [e for e in EXCEPTIONS if fnmatch(path, e[0]) and fnmatch(name, e[1])]


def banned_in(path, text):
    banned = set().union(*(names for folder, names in BANNED.items() if path.startswith(folder + "/")))
    found = set()
    for name in imported(text):
        found |= {b for b in banned if name == b or name.startswith(b + ".")}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute):
            found |= {ast.unparse(node)} & banned
            if path.startswith("geo/"):
                owner = ast.unparse(node.value).rpartition(".")[2]
                found |= {f"{o}.{a}" for o, a in {(owner, node.attr)} & CLOCKS}
    return found


def gdal_calls(text):
    """(function, what) of every call that opens a file through GDAL or DuckDB; '' is the module level."""
    tree = ast.parse(text)
    names = {}  # local name -> what it stands for
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}

    def full(node):
        if isinstance(node, ast.Name):
            return names.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            return f"{full(node.value)}.{node.attr}"
        return "?"

    def visit(node, function):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function = node.name
        if isinstance(node, ast.Call):
            what = full(node.func)
            last = what.rpartition(".")[2]
            if what.partition(".")[0] in GDAL or last in GDAL_OF_GEOPANDAS:
                yield function, what
        for child in ast.iter_child_nodes(node):
            yield from visit(child, function)

    return list(visit(tree, ""))


def test_the_house_follows_the_plan():
    assert plan_problems(sources()) == []


def test_exceptions_and_plan_name_each_module_once():
    planned = [m for names in FLOORS for m in names]
    assert len(planned) == len(set(planned))
    used = {e for path, text in sources().items() for name in imported(text) for e in exceptions_for(path, name)}
    assert used == set(EXCEPTIONS), "an exception that nobody needs any more"


def test_nobody_opens_the_live_file_with_gdal():
    found = {
        (path, function): what
        for path, text in sources(folders=("layers", "server")).items()
        for function, what in gdal_calls(text)
    }
    assert {where: what for where, what in found.items() if where not in GDAL_ALLOWED} == {}
    assert set(GDAL_ALLOWED) <= set(found), "an allowance that nobody needs any more"


# --- the checkers themselves, on small bad houses ---


@pytest.mark.parametrize(
    ("path", "text", "problem"),
    [
        ("geo/coverage.py", "def f():\n    from layers import store\n", "imports layers.store"),
        ("geo/coverage.py", "import geo.cells\n", "imports geo.cells"),
        ("geo/coverage.py", "from geo.cells import fit_weights\n", "imports geo.cells"),
        ("layers/catalogue.py", "from layers import geopackage\n", "imports layers.geopackage"),
        ("layers/store.py", "from server import figures\n", "imports server.figures"),
        ("geo/coverage.py", "from flask import request\n", "uses flask"),
        ("geo/coverage.py", "import urllib.request\n", "uses urllib"),
        ("geo/coverage.py", "import os\nX = os.environ['A']\n", "uses os.environ"),
        (
            "geo/coverage.py",
            "from datetime import date\ndef f():\n    return date.today()\n",
            "uses date.today",
        ),
        ("geo/coverage.py", "import pandas as pd\nX = pd.Timestamp.now()\n", "uses Timestamp.now"),
        ("layers/store.py", "import folium\n", "uses folium"),
        ("server/views/home.py", "import geopandas as gpd\n", "uses geopandas"),
        ("server/views/home.py", "import server.views.map\n", "imports server.views.map"),
        ("server/maps.py", "def f():\n    from server.app import data_response\n", "imports server.app"),
        ("server/helpers.py", "", "is on no floor"),
        ("geo/__init__.py", "from geo import coverage\n", "is not empty"),
    ],
)
def test_the_plan_checker_sees(path, text, problem):
    files = "geo/coverage geo/cells layers/store layers/geopackage layers/catalogue server/figures server/app"
    house = dict.fromkeys([f"{f}.py" for f in [*files.split(), "server/views/map"]], "")
    assert plan_problems(house) == []
    found = plan_problems(house | {path: text})
    assert len(found) == 1 and problem in found[0]


@pytest.mark.parametrize(
    "text",
    [
        "import geopandas as gpd\ndef f(p):\n    return gpd.read_file(p)\n",
        "from geopandas import read_file as r\ndef f(p):\n    return r(p)\n",
        "def f(p):\n    import pyogrio\n    return pyogrio.list_layers(p)\n",
        "def f(p):\n    from pyogrio import read_dataframe\n    return read_dataframe(p)\n",
        "import pyogrio.raw as raw\ndef f(p):\n    return raw.read(p)\n",
        "import rasterio\ndef f(p):\n    with rasterio.open(p) as src:\n        return src\n",
        "def f(frame, p):\n    frame.to_file(p)\n",
        "import geopandas as gpd\ndef f(p):\n    return gpd.GeoDataFrame.from_file(p)\n",
        "import duckdb\ndef f(p):\n    return duckdb.connect(p)\n",
    ],
)
def test_the_gdal_checker_sees(text):
    assert [function for function, _ in gdal_calls(text)] == ["f"]


def test_the_gdal_checker_leaves_others_alone():
    assert gdal_calls("import geopandas as gpd\nx = gpd.GeoDataFrame()\nwith open('a') as f:\n    f.read()\n") == []
