"""Bringing an older store to the present schema: one step per version, all in one transaction.

A step is written in plain SQL as of its own time and never looks at the catalogue, which goes on
changing. The caller has made a copy of the file before.
"""

import hashlib
import json
import zlib

_HOTSPOT_FIELDS_1 = (
    *("code", "name_vi", "name_en", "media", "medium_vi", "medium_en", "pollutants_vi", "pollutants_en"),
    *("report_year", "measured_values_vi", "measured_values_en", "responsible_unit_vi", "responsible_unit_en"),
    *("cause_vi", "cause_en", "remediation_vi", "remediation_en", "remediation_known", "stage", "stage_basis_vi"),
    *("stage_basis_en", "severity_class", "past_event", "geometry_quality", "coord_accuracy_m", "coord_source"),
    *("district_old", "valid_from", "valid_to", "source", "source_date", "confidence", "note_vi", "note_en", "geom"),
)
_WATER_FIELDS_1 = (
    *("code", "name_vi", "name_en", "geometry_quality", "coord_accuracy_m", "coord_source", "district_old"),
    *("valid_from", "valid_to", "source", "source_date", "confidence", "note_vi", "note_en", "geom"),
)
_HOTSPOT_COLUMNS_2 = {
    "class_reason_vi": "TEXT", "class_reason_en": "TEXT", "facility": "TEXT", "receiving_water_vi": "TEXT",
    "receiving_water_en": "TEXT", "authority_vi": "TEXT", "authority_en": "TEXT", "opened_on": "DATE",
    "stage_since": "DATE", "deadline": "DATE", "deadline_for_vi": "TEXT", "deadline_for_en": "TEXT",
    "decision_no": "TEXT", "watch_until": "DATE", "relapses": "INTEGER",
}  # fmt: skip


def run(con, found, wanted):
    """Take a store from schema `found` to `wanted`. con: a SQLAlchemy connection that holds the write lock."""
    for number in range(found, wanted):
        _STEPS[number](con)
    con.exec_driver_sql("UPDATE cx_meta SET value=? WHERE key='schema_version'", (str(wanted),))


def _to_2(con):
    """The register: hotspots get public fields, archived rows say which fields they hold."""
    con.exec_driver_sql('ALTER TABLE water_bodies ADD COLUMN "tidal" TEXT')
    for name, kind in _HOTSPOT_COLUMNS_2.items():
        con.exec_driver_sql(f'ALTER TABLE hotspots ADD COLUMN "{name}" {kind}')
    for layer, names in (("hotspots", _HOTSPOT_FIELDS_1), ("water_bodies", _WATER_FIELDS_1)):
        archived = con.exec_driver_sql("SELECT version, rows FROM cx_archive WHERE layer=?", (layer,)).all()
        for version, packed in archived:
            body = {"fields": list(names), "rows": json.loads(zlib.decompress(packed))}
            packed = zlib.compress(json.dumps(body, ensure_ascii=False).encode(), 6)
            con.exec_driver_sql("UPDATE cx_archive SET rows=? WHERE layer=? AND version=?", (packed, layer, version))


def _to_3(con):
    """Data in and out: the archive in parts; boundary versions."""
    _archive_in_parts(con)
    _boundaries(con)


def _archive_in_parts(con):
    """Versions move from one blob each to parts of at most 2,000 rows that all say which fields they hold."""
    con.exec_driver_sql("ALTER TABLE cx_archive RENAME TO cx_archive_whole")
    con.exec_driver_sql(
        "CREATE TABLE cx_archive (layer TEXT NOT NULL, version INTEGER NOT NULL, part INTEGER NOT NULL, "
        "rows BLOB NOT NULL, PRIMARY KEY (layer, version, part))"
    )
    for layer, version in con.exec_driver_sql("SELECT layer, version FROM cx_archive_whole").all():
        packed = con.exec_driver_sql(
            "SELECT rows FROM cx_archive_whole WHERE layer=? AND version=?", (layer, version)
        ).scalar()
        body = json.loads(zlib.decompress(packed))
        if isinstance(body, list):  # rows alone: the order of the table's columns, the geometry last
            names = [r[1] for r in con.exec_driver_sql(f'PRAGMA table_info("{layer}")') if r[1] != "fid"]
            body = {"fields": sorted(names, key=lambda n: n == "geom"), "rows": body}
        for part, at in enumerate(range(0, max(len(body["rows"]), 1), 2_000)):
            some = {"fields": body["fields"], "rows": body["rows"][at : at + 2_000]}
            packed = zlib.compress(json.dumps(some, ensure_ascii=False).encode(), 6)
            con.exec_driver_sql("INSERT INTO cx_archive VALUES (?,?,?,?)", (layer, version, part, packed))
    con.exec_driver_sql("DROP TABLE cx_archive_whole")


_PLACED_2 = (
    *("admin_units", "industrial_zones", "treatment_plants", "service_areas", "waste_sites", "port_areas", "hotspots"),
    *("stations", "water_bodies", "land", "intakes", "receptors", "built_up", "protected_areas"),
)
_CROSSWALK_COLUMNS_3 = {"share_low": "DOUBLE", "share_high": "DOUBLE", "valid_from": "DATE", "valid_to": "DATE"}


def _boundaries(con):
    """Records say which boundaries they were filed under, links between old and new units their ends and period."""
    for layer in _PLACED_2:
        con.exec_driver_sql(f'ALTER TABLE "{layer}" ADD COLUMN "filed_under" TEXT')
    for name, kind in _CROSSWALK_COLUMNS_3.items():
        con.exec_driver_sql(f'ALTER TABLE crosswalk ADD COLUMN "{name}" {kind}')


def _to_4(con):
    """Parts are kept once, under the hash of their text; versions list theirs, and say what their hash is made of."""
    con.exec_driver_sql("ALTER TABLE layer_versions ADD COLUMN scheme INTEGER DEFAULT '1' NOT NULL")
    con.exec_driver_sql("ALTER TABLE cx_archive RENAME TO cx_archive_alone")
    con.exec_driver_sql(
        "CREATE TABLE cx_parts (id INTEGER NOT NULL PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE, rows INTEGER NOT NULL, "
        "body BLOB NOT NULL)"
    )
    con.exec_driver_sql(
        "CREATE TABLE cx_archive (layer TEXT NOT NULL, version INTEGER NOT NULL, part INTEGER NOT NULL, "
        "content INTEGER NOT NULL REFERENCES cx_parts (id), first INTEGER, last INTEGER, "
        "PRIMARY KEY (layer, version, part))"
    )
    con.exec_driver_sql("CREATE INDEX ix_cx_archive_content ON cx_archive (content)")
    listed = "SELECT layer, version, part FROM cx_archive_alone ORDER BY layer, version, part"
    one = "SELECT rows FROM cx_archive_alone WHERE layer=? AND version=? AND part=?"
    for key in con.exec_driver_sql(listed).all():
        packed = con.exec_driver_sql(one, tuple(key)).scalar()
        text = zlib.decompress(packed)
        digest, count = hashlib.sha256(text).hexdigest(), len(json.loads(text)["rows"])
        con.exec_driver_sql(
            "INSERT OR IGNORE INTO cx_parts (sha256, rows, body) VALUES (?,?,?)", (digest, count, packed)
        )
        con.exec_driver_sql(
            "INSERT INTO cx_archive (layer, version, part, content) SELECT ?,?,?,id FROM cx_parts WHERE sha256=?",
            (*key, digest),
        )
    con.exec_driver_sql("DROP TABLE cx_archive_alone")


_STEPS = {1: _to_2, 2: _to_3, 3: _to_4}
