"""Tiles of a study's rasters: the right cell under the right pixel, meaning of colours, nothing where there is nothing."""

import io
import math

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pyproj import Transformer
from rasterio.transform import from_origin

from server import rastertiles

NORTH, WEST, CELL, SIDE = 2_320_000, 590_000, 50.0, 400


def write(path, cells, nodata):
    with rasterio.open(
        path, "w", driver="GTiff", height=cells.shape[0], width=cells.shape[1], count=1, dtype=cells.dtype, nodata=nodata,
        crs="EPSG:9210", transform=from_origin(WEST, NORTH, CELL, CELL), tiled=True, blockxsize=128, blockysize=128,
    ) as file:  # fmt: skip
        file.write(cells, 1)
    return path


def place(row, column):
    """Longitude, latitude of the middle of a cell."""
    to = Transformer.from_crs("EPSG:9210", "EPSG:4326", always_xy=True)
    return to.transform(WEST + (column + 0.5) * CELL, NORTH - (row + 0.5) * CELL)


def pixel(lon, lat, z):
    """(x, y, column, row): the tile of a place and the pixel in it, by the published formula of web maps."""
    wide = 256 * 2**z
    px = (lon + 180) / 360 * wide
    py = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * wide
    return int(px // 256), int(py // 256), int(px % 256), int(py % 256)


def rgba(body):
    return np.asarray(Image.open(io.BytesIO(body)).convert("RGBA"))


def rgb(colour):
    return tuple(int(colour[k : k + 2], 16) for k in (1, 3, 5))


@pytest.fixture(scope="module")
def rasters(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rasters")
    row, _column = np.mgrid[0:SIDE, 0:SIDE]
    score = (row / SIDE).astype(np.float32)
    score[100:200, 100:200] = np.nan
    reasons = np.zeros((SIDE, SIDE), dtype=np.uint32)
    reasons[100:200, 100:200] |= 4
    reasons[150:250, 150:250] |= 8
    reasons[300:, :] |= 1
    reasons[0:50, 350:] |= 2
    return write(folder / "suitability.tif", score, np.nan), write(folder / "reasons.tif", reasons, None)


@pytest.mark.parametrize(("row", "column"), [(10, 20), (60, 380), (250, 250), (399, 0)])
def test_a_pixel_shows_the_cell_under_it(rasters, row, column):
    z = 16  # a pixel is smaller than a cell: no mean is taken
    x, y, left, top = pixel(*place(row, column), z)
    found = rgba(rastertiles.score_tile(rasters[0], z, x, y))[top, left]
    assert found[3] == 255
    expected = rgb(rastertiles.colour_of(round(row / SIDE * 254) / 254))
    assert np.abs(found[:3].astype(int) - expected).max() <= 1


def test_where_there_is_no_score_the_tile_is_clear(rasters):
    x, y, left, top = pixel(*place(120, 130), 16)
    body = rastertiles.score_tile(rasters[0], 16, x, y)
    assert body == b"" or rgba(body)[top, left, 3] == 0


def test_reasons_are_drawn_only_where_they_hold_and_only_when_asked(rasters):
    z = 13
    x, y, left, top = pixel(*place(120, 120), z)  # the first rule alone
    near = np.s_[max(top - 4, 0) : top + 4, max(left - 4, 0) : left + 4]
    assert rgba(rastertiles.reason_tile(rasters[1], z, x, y, 4))[near][..., 3].min() > 0
    other = rastertiles.reason_tile(rasters[1], z, x, y, 8)
    assert other == b"" or rgba(other)[near][..., 3].max() == 0
    x, y, left, top = pixel(*place(20, 20), z)  # free land
    free = rastertiles.reason_tile(rasters[1], z, x, y, 4 | 8 | 2 | 1)
    assert free == b"" or rgba(free)[top, left, 3] == 0


def test_outside_the_study_area_nothing_is_drawn(rasters):
    x, y, left, top = pixel(*place(320, 20), 13)
    body = rastertiles.reason_tile(rasters[1], 13, x, y, 0xFFFFFFFF)
    assert body == b"" or rgba(body)[top, left, 3] == 0


def test_two_reasons_in_one_place_show_both_colours(rasters):
    z = 14
    x, y, left, top = pixel(*place(175, 175), z)
    window = rgba(rastertiles.reason_tile(rasters[1], z, x, y, 4 | 8))[
        max(top - 8, 0) : top + 8, max(left - 8, 0) : left + 8
    ]
    colours = {tuple(int(v) for v in c[:3]) for c in window.reshape(-1, 4)}
    assert {rgb(rastertiles.look(4)[0]), rgb(rastertiles.look(8)[0])} <= colours


def test_far_away_there_is_an_empty_tile_and_beyond_the_world_none(rasters):
    assert rastertiles.score_tile(rasters[0], 10, 0, 0) == b""
    assert rastertiles.reason_tile(rasters[1], 10, 0, 0, 4) == b""
    for wrong in ((-1, 0, 0), (3, 8, 0), (3, 0, 8), (3, -1, 0), (25, 0, 0)):
        with pytest.raises(rastertiles.NoTile):
            rastertiles.bounds(*wrong)


def test_a_wide_view_is_the_mean_of_what_has_a_value(tmp_path):
    """Cells in stripes of 0 and 1 look like a half from afar; missing cells do not pull the mean down."""
    cells = np.zeros((SIDE, SIDE), dtype=np.float32)
    cells[:, 1::2] = 1.0
    cells[:, 200:] = np.where(np.arange(200) % 2, 1.0, np.nan)
    path = write(tmp_path / "s.tif", cells, np.nan)
    z = 8
    x, y, left, top = pixel(*place(200, 60), z)
    picture = rgba(rastertiles.score_tile(path, z, x, y))
    half = np.array(rgb(rastertiles.colour_of(0.5)))
    assert np.abs(picture[top, left, :3].astype(int) - half).max() <= 24
    x, y, left, top = pixel(*place(200, 300), z)
    assert (
        np.abs(
            rgba(rastertiles.score_tile(path, z, x, y))[top, left, :3].astype(int) - rgb(rastertiles.colour_of(1))
        ).max()
        <= 6
    )


def test_neighbouring_tiles_meet_without_a_seam(rasters):
    """One tile is the same picture as its four children seen from twice as far, in the share that is drawn."""
    z, (x, y, _, _) = 12, pixel(*place(250, 250), 12)
    whole = rgba(rastertiles.score_tile(rasters[0], z, x, y))[..., 3] > 0
    parts = [[_drawn(rasters[0], z + 1, 2 * x + i, 2 * y + j) for i in (0, 1)] for j in (0, 1)]
    assert abs(whole.mean() - np.mean([p.mean() for row in parts for p in row])) < 0.01


def _drawn(path, z, x, y):
    body = rastertiles.score_tile(path, z, x, y)
    return rgba(body)[..., 3] > 0 if body else np.zeros((256, 256), dtype=bool)


@given(st.floats(0, 1), st.floats(0, 1))
def test_better_is_never_lighter(a, b):
    low, high = sorted((a, b))
    assert rastertiles.oklab(rastertiles.colour_of(high))[0] <= rastertiles.oklab(rastertiles.colour_of(low))[0] + 0.004


def test_the_steps_of_lightness_are_even():
    light = [rastertiles.oklab(rastertiles.colour_of(k / 8))[0] for k in range(9)]
    steps = -np.diff(light)
    assert steps.min() > 0.03 and steps.max() / steps.min() < 2.2


def test_hatches_run_on_from_tile_to_tile_and_differ():
    seen = set()
    for _colour, lines in (*rastertiles.HATCHES, rastertiles.UNKNOWN_LOOK):
        cells = rastertiles.hatch(lines)
        assert 0.03 < cells.mean() < 0.5
        seen.add(cells.tobytes())
    assert len(seen) == len(rastertiles.HATCHES) + 1
    assert rastertiles.SIDE % rastertiles.PATTERN == 0


def test_tiles_are_made_once_and_again_for_a_new_file(rasters, tmp_path, monkeypatch):
    made = []
    real = rastertiles.score_tile
    monkeypatch.setattr(rastertiles, "score_tile", lambda *a: made.append(a) or real(*a))
    tiles = rastertiles.Tiles()
    x, y, *_ = pixel(*place(20, 20), 12)
    assert tiles.get(rasters[0], 12, x, y) == tiles.get(rasters[0], 12, x, y) != b""
    assert len(made) == 1
    other = write(tmp_path / "suitability.tif", np.full((SIDE, SIDE), 0.5, dtype=np.float32), np.nan)
    assert tiles.get(other, 12, x, y) != tiles.get(rasters[0], 12, x, y)
    with pytest.raises(rastertiles.NoTile):
        tiles.get(rasters[0], 3, 99, 0)


def test_a_large_raster_gets_smaller_copies_beside_it_and_stays_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(rastertiles, "LARGE", 300)
    monkeypatch.setattr(rastertiles, "SIDE", 64)
    cells = np.zeros((SIDE, SIDE), dtype=np.float32)
    cells[:, 1::2] = 1.0
    path = write(tmp_path / "suitability.tif", cells, np.nan)
    before = path.read_bytes()
    rastertiles.Tiles().get(path, 12, *pixel(*place(20, 20), 12)[:2])
    assert path.read_bytes() == before
    assert sorted(f.name for f in tmp_path.iterdir()) == ["suitability.tif", "suitability.tif.ovr"]
    with rasterio.open(path) as file:
        assert file.overviews(1) and abs(file.read(1, out_shape=(50, 50)).mean() - 0.5) < 0.01
