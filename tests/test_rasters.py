"""The raster slots: what fits is brought into shape, what does not is refused in a sentence, the one before is kept."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from layers import audit, rasters
from layers.errors import LayerError

WEST, NORTH, CELL = 105.95, 21.35, 0.02
SHAPE = (90, 110)  # the whole city with its island


def tiff(path, values, *, crs="EPSG:4326", transform=None, nodata=None, **more):
    values = np.asarray(values)
    values = values if values.ndim == 3 else values[None]
    transform = from_origin(WEST, NORTH, CELL, CELL) if transform is None else transform
    profile = {"driver": "GTiff", "width": values.shape[2], "height": values.shape[1], "count": len(values),
               "dtype": values.dtype, "crs": crs, "transform": transform, "nodata": nodata}  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(values)
        for name, value in more.items():
            setattr(file, name, value)
    return path


@pytest.fixture
def heights():
    """5 m in the west rising to 60 m, -9999 in the north."""
    out = np.tile(np.linspace(5, 60, SHAPE[1]), (SHAPE[0], 1)).astype("float32")
    out[:3] = -9999
    return out


def test_heights_are_kept_as_they_are_over_the_city(filled, tmp_path, heights):
    facts, notes = rasters.try_slot(
        filled, "elevation", tiff(tmp_path / "dem.tif", heights, nodata=-9999), tmp_path / "t.tif"
    )
    assert notes == [] and facts["crs"] == "EPSG:4326" and facts["land_covered"] > 0.99
    with rasterio.open(tmp_path / "t.tif") as made:
        x, y = 106.68, 20.86
        (got,) = next(made.sample([(x, y)]))
        with rasterio.open(tmp_path / "dem.tif") as given:
            assert got == next(given.sample([(x, y)]))[0]
        assert made.count == 1 and np.isnan(made.nodata)
        assert made.tags()["unit"] == "m"


def test_another_crs_is_kept_and_cut_to_the_city(filled, tmp_path):
    values = np.full((400, 500), 7, dtype="int16")
    path = tiff(tmp_path / "utm.tif", values, crs="EPSG:32648", transform=from_origin(400_000, 2_500_000, 1_000, 1_000))
    facts, _ = rasters.try_slot(filled, "elevation", path, tmp_path / "t.tif")
    assert facts["crs"] == "EPSG:32648" and facts["cell"] == 1_000 and facts["columns"] < 260
    assert (facts["least"], facts["most"]) == (7, 7)


def test_feet_and_forgotten_nodata_are_told(filled, tmp_path, heights):
    heights[10:13] = -9999  # inside the city, where the first rows are not
    path = tiff(tmp_path / "ft.tif", heights, units=["ft"])
    facts, notes = rasters.try_slot(filled, "elevation", path, tmp_path / "t.tif")
    plain, _ = rasters.try_slot(filled, "elevation", tiff(tmp_path / "m.tif", heights), tmp_path / "t.tif")
    assert facts["most"] == pytest.approx(plain["most"] * 0.3048) and facts["least"] > 1
    assert "read as unknown" in notes[0] and "-9999" in notes[0] and "feet" in notes[1]
    assert "chưa biết" in notes[0].vi and "mét" in notes[1].vi
    assert facts["land_covered"] < 0.99 and "of the city's land is covered" in notes[2]


def test_classes_of_land_cover_are_counted(filled, tmp_path):
    values = np.full(SHAPE, 10, dtype="uint8")
    values[:, :55] = 50
    facts, _ = rasters.try_slot(filled, "land_cover", tiff(tmp_path / "lc.tif", values), tmp_path / "t.tif")
    assert set(facts["classes"]) == {"10", "50"} and sum(facts["classes"].values()) == pytest.approx(1, abs=1e-3)
    with rasterio.open(tmp_path / "t.tif") as made:
        assert made.dtypes[0] == "uint16" and made.nodata == 65_535


ZEROS = np.zeros(SHAPE, dtype="float32")


@pytest.mark.parametrize(
    ("slot", "values", "more", "said"),
    [
        ("elevation", ZEROS, {"crs": None}, "no coordinate reference system"),
        ("elevation", np.stack([ZEROS, ZEROS]), {}, "2 bands"),
        ("elevation", ZEROS + 12_000, {}, "heights in metres"),
        ("elevation", ZEROS, {"transform": from_origin(10, 50, CELL, CELL)}, "no known cell over the city"),
        ("elevation", ZEROS, {"nodata": 0}, "no known cell over the city"),
        ("elevation", ZEROS, {"transform": rasterio.Affine(0.02, 0.01, 106, 0.01, -0.02, 21)}, "turned"),
        ("elevation", ZEROS.astype("complex64"), {}, "plain numbers"),
        ("land_cover", ZEROS + 0.5, {}, "whole class number"),
        ("land_cover", np.arange(ZEROS.size, dtype="uint16").reshape(SHAPE), {}, "different values"),
        ("population", ZEROS, {"crs": None}, "no CRS"),
    ],
)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_what_does_not_fit_is_refused_and_changes_nothing(filled, tmp_path, slot, values, more, said):
    path = tiff(tmp_path / "x.tif", values, **more)
    with pytest.raises(LayerError, match=said) as caught:
        rasters.take(filled, path, slot, who="somebody")
    assert caught.value.vi
    assert not rasters.slot_path(filled.data_dir, slot).exists() and rasters.history(filled, slot) == []
    assert [p.name for p in Path(filled.data_dir).iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize(
    "content", [b"", b"II*\x00", b"MM\x00*\x00\x00", b"GIF89a", b"<VRTDataset/>", b"II*\x00" + b"\xff" * 500]
)
def test_no_raster_however_odd_breaks_the_door(filled, tmp_path, content):
    (tmp_path / "x.tif").write_bytes(content)
    for slot in rasters.SLOTS:
        with pytest.raises(LayerError, match="cannot be read"):
            rasters.take(filled, tmp_path / "x.tif", slot)


def test_a_population_keeps_its_people_and_the_one_before_can_be_put_back(filled, tmp_path):
    path = rasters.slot_path(filled.data_dir, "population")
    rasters.make_population(filled, path)
    before = path.read_bytes()
    values = np.zeros((200, 240), dtype="float32")
    values[50:100, 60:160] = 2
    brought = tiff(tmp_path / "worldpop.tif", values, transform=from_origin(106.4, 21.0, 0.002, 0.002), nodata=-1)
    number, facts, _ = rasters.take(filled, brought, "population", who="planner")
    assert number == 2 and facts["people"] == pytest.approx(10_000, abs=2)
    assert path.read_bytes() != before
    told = rasters.history(filled, "population")
    assert [(h["version"], h["who"], h["source"], h["kept"]) for h in told] == [
        (2, "planner", "worldpop.tif", True),
        (1, "system", "as it was before", True),
    ]
    assert rasters.put_back(filled, "population", 1, who="planner") == 3
    assert path.read_bytes() == before
    with filled.reading() as con:
        assert audit.verify(con) == []
    with pytest.raises(LayerError, match="not kept"):
        rasters.put_back(filled, "population", 9)


def test_the_first_raster_taken_back_leaves_its_place_empty(filled, tmp_path, heights, monkeypatch):
    path = rasters.slot_path(filled.data_dir, "elevation")
    rasters.take(filled, tiff(tmp_path / "a.tif", heights, nodata=-9999), "elevation")
    first, stamp = path.read_bytes(), rasters.stamp(path)
    assert rasters.put_back(filled, "elevation", 0, who="planner") == 2
    assert not path.exists() and rasters.stamp(path) == "" != stamp
    newest = rasters.history(filled, "elevation")[0]
    assert (newest["version"], newest["who"], newest["empty"], newest["kept"], newest["sha256"]) == (
        2,
        "planner",
        True,
        True,
        None,
    )
    assert rasters.put_back(filled, "elevation", 1) == 3 and path.read_bytes() == first
    assert rasters.put_back(filled, "elevation", 2) == 4 and not path.exists(), "an empty version is a version too"
    number, *_ = rasters.take(filled, tiff(tmp_path / "b.tif", heights + 1, nodata=-9998), "elevation")
    assert number == 5 and path.read_bytes() != first
    with filled.reading() as con:
        assert audit.verify(con) == []

    def breaks(*_, **__):
        raise RuntimeError("power cut")

    second = path.read_bytes()
    monkeypatch.setattr(rasters.audit, "append", breaks)
    with pytest.raises(RuntimeError, match="power cut"):
        rasters.put_back(filled, "elevation", 0)
    assert path.read_bytes() == second


def test_the_raster_of_people_is_never_taken_out(filled):
    path = rasters.slot_path(filled.data_dir, "population")
    rasters.make_population(filled, path)
    with pytest.raises(LayerError, match="figures need"):
        rasters.put_back(filled, "population", 0)
    assert path.exists() and rasters.history(filled, "population") == []


def test_a_row_that_cannot_be_noted_leaves_the_raster(filled, tmp_path, heights, monkeypatch):
    rasters.take(filled, tiff(tmp_path / "a.tif", heights, nodata=-9999), "elevation")
    path = rasters.slot_path(filled.data_dir, "elevation")
    before = path.read_bytes()

    def breaks(*_, **__):
        raise RuntimeError("power cut")

    monkeypatch.setattr(rasters.audit, "append", breaks)
    with pytest.raises(RuntimeError, match="power cut"):
        rasters.take(filled, tiff(tmp_path / "b.tif", heights + 1, nodata=-9998), "elevation")
    assert path.read_bytes() == before


def test_only_some_earlier_rasters_are_kept(filled, tmp_path, heights):
    for i in range(rasters.KEPT + 3):
        rasters.take(filled, tiff(tmp_path / f"{i}.tif", heights + i, nodata=-9999 + i), "elevation")
    told = rasters.history(filled, "elevation")
    assert len(told) == rasters.KEPT + 3 and [h["kept"] for h in told] == [True] * (rasters.KEPT + 1) + [False, False]
