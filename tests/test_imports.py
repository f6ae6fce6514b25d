"""A file on its way into a layer: the doctor is asked, columns are matched, nothing is written before it is said."""

import csv
from datetime import date
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyproj
import pytest
import shapely

from layers import starter
from server import cli, imports

FILL = {"source": "survey 2026", "confidence": "high", "geometry_quality": "surveyed"}


@pytest.fixture(scope="module")
def wards():
    rows = pd.read_csv(starter.TABLES / "wards.csv", dtype={"code": str})
    return rows[rows["old_district_code"].notna()].iloc[:20]


def spoiled(path, wards, epsg, *, names, swapped=False, mark=";", decimal="."):
    """Points at the ward centres in a VN-2000 or other system, as a department's list might hold them."""
    to = pyproj.Transformer.from_crs(4326, epsg, always_xy=True)
    e, n = to.transform(wards["centre_lon"].to_numpy(), wards["centre_lat"].to_numpy())
    table = pd.DataFrame(
        {"Mã": [f"T{i}" for i in range(len(wards))], "Tên": "Điểm", "Giai đoạn": "Tiếp nhận", "media": "water"}
    )
    if names:
        table["Phường"] = wards["name_vi"].to_numpy()
    table["X"], table["Y"] = (n, e) if swapped else (e, n)
    table.to_csv(path, sep=mark, decimal=decimal, index=False, encoding="utf-8-sig", float_format="%.3f")
    return path


@pytest.mark.parametrize("epsg", [9210, 9209, 3405, 32648, 3857, 4326])
def test_names_of_wards_tell_the_system_and_points_land_where_they_belong(filled, tmp_path, wards, epsg):
    path = spoiled(
        tmp_path / "x.csv", wards, epsg, names=True, swapped=epsg in (9210, 9209), decimal="," if epsg == 3405 else "."
    )
    try:
        prepared = imports.prepare(filled, "hotspots", path, fill=FILL)
    except imports.ImportRefused as e:
        # 224 m between VN-2000 and WGS 84 are less than a schematic ward can tell: asking is right, guessing is not
        assert epsg in (3405, 32648, 4326) and "--crs" in str(e)
        prepared = imports.prepare(filled, "hotspots", path, fill=FILL, reading=imports.reading_of(str(epsg)))
    got = prepared.checked().rows.geometry
    away = pyproj.Geod(ellps="WGS84").inv(got.x, got.y, wards["centre_lon"], wards["centre_lat"])[2]
    assert max(away) < 0.2 * (500 if epsg == 4326 else 1) + 1
    assert len(prepared.trial.new) == 20 and prepared.left_out == ["Phường"]


def test_without_names_two_meridians_are_asked_never_guessed(filled, tmp_path, wards):
    path = spoiled(tmp_path / "x.csv", wards.iloc[:6], 9210, names=False)
    before = filled.stamp()
    with pytest.raises(imports.ImportRefused, match="--crs 92"):
        imports.prepare(filled, "hotspots", path, fill=FILL)
    assert filled.stamp() == before


def test_a_wrong_prj_is_told_and_not_believed(filled, tmp_path, wards):
    points = gpd.GeoSeries(gpd.points_from_xy(wards["centre_lon"], wards["centre_lat"]), crs=4326).to_crs(9209)
    frame = gpd.GeoDataFrame(
        {"code": [f"T{i}" for i in range(20)], "name_vi": wards["name_vi"].to_numpy(), "stage": "received", "media": "water"},
        geometry=points.set_crs(9210, allow_override=True).to_numpy(), crs=9210,
    )  # fmt: skip
    frame.to_file(tmp_path / "x.gpkg")
    prepared = imports.prepare(filled, "hotspots", tmp_path / "x.gpkg", fill=FILL)
    assert prepared.diagnosis.declared_wrong and prepared.diagnosis.first.epsg == 9209
    assert any("is wrong" in n for n in prepared.notes)


def test_points_of_another_continent_are_refused(filled, tmp_path):
    (tmp_path / "x.csv").write_text(
        "code;name_vi;stage;media;lon;lat\nA;B;received;water;2.35;48.85\n", encoding="utf-8"
    )
    with pytest.raises(imports.ImportRefused, match="No reading"):
        imports.prepare(filled, "hotspots", tmp_path / "x.csv", fill=FILL)


def test_the_live_file_itself_is_refused(filled):
    with pytest.raises(imports.ImportRefused, match="own live file"):
        imports.prepare(filled, "hotspots", filled.path)


def test_text_of_old_fonts_is_brought_to_unicode(filled, tmp_path):
    rows = ["KC1;kªnh cã n\u00adíc ®en;received;water", "KC2;cèng x¶ n\u00adíc th¶i;received;water"]
    (tmp_path / "x.csv").write_text("\n".join(["code;name_vi;stage;media", *rows]), encoding="utf-8")
    prepared = imports.prepare(filled, "hotspots", tmp_path / "x.csv", fill=FILL)
    assert prepared.checked().rows["name_vi"].tolist() == ["kênh có nước đen", "cống xả nước thải"]
    assert any("tcvn3" in n for n in prepared.notes)


def test_an_upsert_keeps_what_the_file_does_not_speak_of(filled, tmp_path):
    before = filled.snapshot("waste_sites").set_index("code")
    one, two = before.index[:2]
    same = before.at[two, "kind"]
    (tmp_path / "x.csv").write_text(f"code;kind\n{one};dump\n{two};{same}\n", encoding="utf-8")
    prepared = imports.prepare(filled, "waste_sites", tmp_path / "x.csv")
    assert prepared.trial.changed == {(one,): {"kind": (before.at[one, "kind"], "dump")}} and prepared.trial.same == 1
    assert imports.apply(filled, prepared, who="somebody")
    after = filled.snapshot("waste_sites").set_index("code")
    assert len(after) == len(before) and after.at[one, "kind"] == "dump"
    assert after.at[one, "source"] == before.at[one, "source"]
    assert after.geometry[one].equals(before.geometry[one])
    filled.restore("waste_sites", 1)
    assert filled.history("waste_sites")[0]["sha256"] == filled.history("waste_sites")[-1]["sha256"]


@pytest.mark.parametrize("mode", ["upsert", "replace", "append"])
def test_new_rows_are_filed_under_boundaries_and_the_trial_says_so(filled, tmp_path, mode):
    known = filled.snapshot("waste_sites").set_index("code")["filed_under"]
    first = known.index[known.isna()][0]
    rows = ["N1;;", "N2;2023;", "N3;;Lê Chân"] + ([f"{first};2023;"] if mode != "append" else [])
    lines = ["code;source_date;district_old;name_vi;kind", *(f"{r};Bãi;dump" for r in rows)]
    (tmp_path / "x.csv").write_text("\n".join(lines), encoding="utf-8")
    fill = FILL | {"geometry_quality": "none"}
    with imports.prepare(
        filled, "waste_sites", tmp_path / "x.csv", fill=fill, mode=mode, today=date(2026, 11, 22)
    ) as prepared:
        assert not prepared.trial.refused, prepared.trial.refused
        made = prepared.checked().rows.set_index("code")["filed_under"]
        assert made[["N1", "N2"]].tolist() == ["2025-07", "2024"] and pd.isna(made["N3"])
        assert mode == "append" or pd.isna(made[first]), "a row that is known keeps what it has"
        told = " ".join(n + n.vi for n in prepared.notes)
        assert (
            "2024 (1), 2025-07 (1)" in told
            and "1 new rows was filed" in told.replace("were", "was")
            and "hôm nay" in told
        )
        assert imports.apply(filled, prepared, who="x", mode=mode)
    assert filled.snapshot("waste_sites").set_index("code").at["N2", "filed_under"] == "2024"


def test_the_quality_that_is_given_for_all_speaks_of_places_that_the_file_brings(filled, tmp_path):
    known = filled.snapshot("waste_sites").set_index("code")
    stays, moves = known.index[known.geometry.geom_type == "Point"][:2]
    bare = known.index[known.geometry.isna()][0]
    x, y = known.geometry[stays].x, known.geometry[stays].y
    rows = [
        f"{stays};Bãi;dump;{x!r};{y!r}",
        f"{moves};Bãi;dump;106.7;20.8",
        f"{bare};Bãi;dump;;",
        "N1;Bãi;dump;106.6;20.9",
        "N2;Bãi;dump;;",
    ]
    (tmp_path / "x.csv").write_text("\n".join(["code;name_vi;kind;lon;lat", *rows]), encoding="utf-8")
    reading = imports.reading_of("4326")
    with imports.prepare(filled, "waste_sites", tmp_path / "x.csv", fill=FILL, reading=reading) as prepared:
        assert not prepared.trial.refused, prepared.trial.refused
        made = prepared.checked().rows.set_index("code")["geometry_quality"]
    assert made[[moves, "N1"]].tolist() == ["surveyed"] * 2 and made["N2"] == "none"
    assert made[stays] == known.at[stays, "geometry_quality"] and made[bare] == known.at[bare, "geometry_quality"]


def test_a_file_that_says_the_boundaries_is_believed(filled, tmp_path):
    (tmp_path / "x.csv").write_text("code;name_vi;kind;filed_under\nN1;Bãi;dump;\nN2;Bãi;dump;2024\n", encoding="utf-8")
    fill = FILL | {"geometry_quality": "none"}
    with imports.prepare(filled, "waste_sites", tmp_path / "x.csv", fill=fill, today=date(2026, 11, 22)) as prepared:
        made = prepared.checked().rows.set_index("code")["filed_under"]
    assert pd.isna(made["N1"]) and made["N2"] == "2024" and not any("boundaries" in n for n in prepared.notes)


def test_hotspots_are_not_replaced_by_a_file(filled, tmp_path):
    (tmp_path / "x.csv").write_text("code;name_vi\nHS01;Tên\n", encoding="utf-8")
    for layer, mode in (("hotspots", "replace"), ("hotspots", "append"), ("hotspot_events", "upsert")):
        with pytest.raises(imports.ImportRefused, match="register"):
            imports.prepare(filled, layer, tmp_path / "x.csv", mode=mode)


def test_replacing_a_layer_says_what_goes(filled, tmp_path):
    rows = filled.snapshot("planning_norms").iloc[:70]
    rows.to_csv(tmp_path / "x.csv", index=False)
    prepared = imports.prepare(filled, "planning_norms", tmp_path / "x.csv", mode="replace")
    assert prepared.trial.missing_count == 5 and prepared.trial.same + prepared.trial.changed_count == 70
    assert imports.apply(filled, prepared, who="x", mode="replace") and len(filled.snapshot("planning_norms")) == 70


def test_refused_rows_come_back_with_their_reasons(filled, tmp_path):
    text = "code;name_vi;stage;media;source;confidence;geometry_quality\nA;B;clean;water;s;high;none\nC;D;received;;s;high;none\n"
    (tmp_path / "x.csv").write_text(text, encoding="utf-8")
    prepared = imports.prepare(filled, "hotspots", tmp_path / "x.csv")
    assert imports.write_refused(prepared, tmp_path / "back.csv") == 2
    with open(tmp_path / "back.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["code"], r["row"]) for r in rows] == [("A", "1"), ("C", "2")]
    assert "'clean' is not one of" in rows[0]["reason"] and "media is missing" in rows[1]["reason"]
    assert not imports.apply(filled, prepared, who="x")


def test_the_command_shows_first_and_writes_on_request(filled, tmp_path, wards, capsys):
    path = spoiled(tmp_path / "x.csv", wards, 9209, names=True, swapped=True)
    words = ["import", "hotspots", str(path), "--data", str(filled.data_dir), "--source", "s", "--confidence", "high",
             "--quality", "surveyed"]  # fmt: skip
    assert cli.main(words) == 0
    out = capsys.readouterr().out
    assert "20 new, 0 changed" in out and "Nothing was written" in out and "EPSG:9209" in out
    assert len(filled.snapshot("hotspots")) == 29
    assert cli.main([*words, "--apply"]) == 0
    out = capsys.readouterr().out
    assert "20 new cases, 0 changed" in out and "second person" in out
    assert len(filled.snapshot("hotspots")) == 29  # in the register, and not yet public
    assert cli.main([*words, "--apply"]) == 0
    assert "0 new, 0 changed, 20 the same" in capsys.readouterr().out


def test_the_command_writes_a_layer_as_one_version_that_can_be_put_back(filled, tmp_path, capsys):
    (tmp_path / "x.csv").write_text(
        f"code;kind\n{filled.snapshot('waste_sites')['code'].iloc[0]};dump\n", encoding="utf-8"
    )
    words = ["import", "waste_sites", str(tmp_path / "x.csv"), "--data", str(filled.data_dir), "--apply"]
    assert cli.main(words) == 0
    assert "--put-back 1" in capsys.readouterr().out and filled.versions()["waste_sites"] == 2


def test_the_command_makes_codes_and_leaves_columns_out(filled, tmp_path, capsys):
    (tmp_path / "x.csv").write_text("Tên;Ghi chú;lon;lat\nBãi A;x;106.7;20.8\nBãi B;y;106.6;20.9\n", encoding="utf-8")
    words = ["import", "waste_sites", str(tmp_path / "x.csv"), "--data", str(filled.data_dir), "--source", "s", "--crs", "4326",
             "--confidence", "high", "--quality", "surveyed", "--fill", "code=BAI-#", "--fill", "kind=dump", "--map", "Ghi chú="]  # fmt: skip
    assert cli.main([*words, "--apply"]) == 0
    assert "Left out: Ghi chú" in capsys.readouterr().out
    rows = filled.snapshot("waste_sites").set_index("code")
    assert rows.loc[["BAI-0001", "BAI-0002"], "name_vi"].tolist() == ["Bãi A", "Bãi B"]
    assert rows.loc[["BAI-0001", "BAI-0002"], "note_vi"].isna().all()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["hotspots", "no.csv"], "no file"),
        (["hotspots", "x.csv", "--map", "a"], "COLUMN=FIELD"),
        (["hotspots", "x.csv", "--map", "z=code"], "no column 'z'"),
        (["hotspots", "x.csv", "--map", "code=colour"], "no field 'colour'"),
        (["hotspots", "x.csv", "--fill", "a"], "FIELD=VALUE"),
        (["hotspots", "x.csv", "--fill", "colour=red"], "no field 'colour'"),
        (["hotspots", "x.csv", "--crs", "moon"], "not a reading"),
        (["hotspots", "x.csv", "--crs", "2154"], "not a reading"),
    ],
)
def test_a_wrong_call_changes_nothing_and_is_told(filled, tmp_path, capsys, words, said):
    (tmp_path / "x.csv").write_text("code;lon;lat\nA;106.7;20.8\n", encoding="utf-8")
    words = [str(tmp_path / w) if Path(w).suffix == ".csv" else w for w in words]
    assert cli.main(["import", *words, "--data", str(filled.data_dir)]) == 1
    err = capsys.readouterr().err.splitlines()
    assert said in err[-1]
    assert filled.versions()["hotspots"] == 1


def test_real_shapes_keep_their_form_through_the_doctor(filled, tmp_path):
    box = shapely.box(106.70, 20.80, 106.72, 20.82)
    gpd.GeoDataFrame({"code": ["S1"], "name_vi": ["Vùng"], "plant": ["WW01"]}, geometry=[box], crs=4326).to_crs(
        9210
    ).to_file(tmp_path / "x.gpkg")
    prepared = imports.prepare(
        filled, "service_areas", tmp_path / "x.gpkg", fill=FILL, reading=imports.reading_of("9210")
    )
    got = prepared.checked().rows.geometry.iloc[0]
    assert shapely.hausdorff_distance(got, box) < 1e-8
