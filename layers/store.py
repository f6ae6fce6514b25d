"""The store: layers and tables of the catalogue, kept in one database.

Reading gives immutable snapshots, one frame per layer and version; writing takes CheckedLayers, adds
a version and is one transaction. Each version's rows are kept in an archive, so that an earlier one
can be put back. Callers know neither SQL nor GeoPackage: what belongs to the embedded file is in
layers/geopackage.py, so that a server database can stand in its place.

Another program, such as QGIS, may edit the file. What it wrote becomes a version when it keeps the
catalogue's promises; otherwise the last good version stays in use and `refused` says why.
"""

import logging
import sqlite3
import tempfile
import threading
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import shapely
import sqlalchemy as sa

from layers import archive, audit, geopackage, migrations, packing, rows, rules, tables, wholefiles
from layers.catalogue import ALL
from layers.checks import CheckedLayer, check
from layers.errors import LayerError, StoreError, said, vietnamese

SCHEMA_VERSION = 4
KEPT_FOR = timedelta(days=30)  # how long an earlier version can be put back
FILE_NAME = "cangxanh.gpkg"
_GATED = (
    "{name} changes through the register only, where a second person approves what becomes public.",
    "{label} chỉ thay đổi qua sổ theo dõi, nơi người thứ hai duyệt nội dung công khai.",
)
log = logging.getLogger("cangxanh")


class Store:
    """One city's data, in the folder `data_dir`. Safe to use from several threads and processes."""

    def __init__(self, data_dir, *, synchronous="FULL"):
        self.data_dir = Path(data_dir)
        self.path = self.data_dir / FILE_NAME
        self._lock = threading.Lock()
        self._snapshots = {}
        self._refused = {}  # layer: (time of change, problems) of an edit by another program
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.data_dir):
                pass
        except OSError as e:
            raise StoreError(
                f"The data folder {self.data_dir} cannot be written ({e.strerror}). "
                "Choose another one with --data DIR, or give yourself the right to write there."
            ) from e
        self._engine = geopackage.engine(self.path, synchronous=synchronous)
        try:
            self._open()
        except StoreError:
            self.close()
            raise
        except sa.exc.DatabaseError as e:
            self.close()
            if "locked" in str(e.orig):
                raise StoreError(f"{self.path} is held by another program. Close that program and start again.") from e
            raise StoreError(
                f"{self.path} cannot be opened as a GeoPackage ({e.orig}). "
                "Move it away to start anew, or put a copy in its place."
            ) from e

    def _open(self):
        with self._writing() as con:
            raw = con.connection.driver_connection
            present = {r[0] for r in raw.execute("SELECT name FROM sqlite_master WHERE type='table'")}
            if "cx_meta" in present:
                found = int(con.scalar(sa.select(tables.meta.c.value).where(tables.meta.c.key == "schema_version")))
                if found > SCHEMA_VERSION:
                    raise StoreError(
                        f"{self.path} was written by a newer version of Cảng Xanh (schema {found}; this one knows "
                        f"{SCHEMA_VERSION}). Update the program."
                    )
                if found == SCHEMA_VERSION:
                    return
                self._keep_copy(con, f"schema-{found}")
                migrations.run(con, found, SCHEMA_VERSION)
            else:
                geopackage.create(raw)
            tables.metadata.create_all(con)
            archive.create(con)
            audit.create(con)
            for layer in ALL.values():
                kind = tables.KIND[layer.geometry] if layer.geometry else None
                geopackage.register_layer(raw, layer.name, layer.name, f"{layer.vi} / {layer.en}", kind)
                tables.index_keys(con, layer.name)
            if "cx_meta" not in present:
                con.execute(tables.meta.insert().values(key="schema_version", value=str(SCHEMA_VERSION)))

    def _keep_copy(self, con, name):
        """A copy of the file in backups/, made before something that cannot be taken back."""
        folder = self.data_dir / "backups"
        folder.mkdir(exist_ok=True)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        with closing(
            sqlite3.connect(self.path)
        ) as reader:  # our own connection holds the write lock: another one reads
            geopackage.copy_to(reader, folder / f"cangxanh-{name}-{stamp}.gpkg")

    @contextmanager
    def _writing(self):
        with self._engine.connect().execution_options(writes=True) as con, con.begin():
            yield con

    @contextmanager
    def transaction(self):
        """A connection that holds the write lock: what is done with it is kept whole, or not at all.

        For the tables that other modules keep beside the layers. Raises StoreError when the disk refuses.
        """
        try:
            with self._writing() as con:
                yield con
        except sa.exc.OperationalError as e:
            raise StoreError.of(
                "Nothing was written: {why}. Check the disk, or that no other program holds the file.",
                "Chưa ghi gì: {why}. Hãy kiểm tra ổ đĩa, hoặc chương trình khác có đang giữ tệp không.",
                why=e.orig,
            ) from e

    @contextmanager
    def reading(self):
        """A connection that sees the file as it is at one moment."""
        with self._engine.connect() as con, con.begin():
            yield con

    def close(self):
        """Let go of the file; what stands in the -wal beside it is brought into it where nobody else reads."""
        with suppress(sa.exc.DatabaseError):
            self.checkpoint()
        self._engine.dispose()

    def checkpoint(self):
        """Bring what stands in the -wal into the file itself, as far as nobody is reading it."""
        with self._engine.connect() as con:
            con.connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    # --- reading ---

    def versions(self):
        """The newest version number of every layer and table that was ever written."""
        return {name: version for name, (version, _) in self._look().items()}

    def stamp(self):
        """A short text that changes with every write to any layer, by us or by another program."""
        self._look()
        return str(self.data_version()[0])

    def refused(self):
        """Edits by other programs that do not keep the catalogue's promises: {layer: problems}."""
        self._look()
        return {name: list(problems) for name, (_, problems) in self._refused.items()}

    def _look(self):
        """Newest version and its time of change by layer, after taking in what other programs wrote."""
        with self._engine.connect() as con, con.begin():
            newest = self._newest(con)
            changes = geopackage.changes(con.connection.driver_connection)
        edited = [
            name
            for name, (_, changed) in newest.items()
            if changes.get(name) != changed and self._refused.get(name, (None,))[0] != changes.get(name)
        ]
        for name in edited:
            self._take_in(name)
        for name in [n for n in self._refused if changes.get(n) == newest[n][1]]:
            del self._refused[name]
        return self._look() if edited else newest

    @staticmethod
    def _newest(con):
        last = sa.select(sa.func.max(tables.versions.c.id)).group_by(tables.versions.c.layer)
        query = sa.select(tables.versions.c.layer, tables.versions.c.version, tables.versions.c.changed).where(
            tables.versions.c.id.in_(last)
        )
        return {layer: (version, changed) for layer, version, changed in con.execute(query)}

    def _take_in(self, name):
        """Make a version of what another program wrote into a layer, or note why not."""
        with self._writing() as con:
            changed = geopackage.changes(con.connection.driver_connection).get(name)
            if self._newest(con)[name][1] == changed:
                return  # another process was quicker
            try:
                self._adopt(con, name)
            except (LayerError, ValueError, TypeError, sa.exc.SQLAlchemyError, shapely.errors.ShapelyError) as e:
                told = e.problems if isinstance(e, LayerError) else [_unreadable(name, e)]
                self._refused[name] = (changed, tuple(told))
                log.warning("an edit of %s by another program is not used: %s", name, " ".join(told))
                return

    def _adopt(self, con, name):
        """The rows as another program left them become a version; LayerError where they cannot."""
        if ALL[name].gated:
            raise LayerError.of(*_GATED, name=name, label=ALL[name].vi)
        there = tables.read(con, name)
        checked = check(ALL[name], there)
        packer = packing.checked(con, checked.layer, there, checked.rows)
        note = " ".join(checked.repairs) or None
        self._add_version(con, checked.layer, packer, "another program", "edit of the file", note)

    def history(self, name=None):
        """Versions, newest first: layer, version, at (UTC, ISO), who, source, rows, sha256, note."""
        query = sa.select(tables.versions).order_by(tables.versions.c.id.desc())
        if name:
            query = query.where(tables.versions.c.layer == name)
        with self._engine.connect() as con:
            return [dict(row) for row in con.execute(query).mappings()]

    def data_version(self):
        """One number that grows with every write to any layer, and the time of the last one (UTC, ISO)."""
        query = sa.select(sa.func.max(tables.versions.c.id), sa.func.max(tables.versions.c.at))
        with self._engine.connect() as con:
            number, at = con.execute(query).one()
        return number or 0, at

    def snapshot(self, name):
        """The newest version of a layer as a frame indexed by row; do not write into it.

        A layer gives a GeoDataFrame in EPSG:4326 (None where a record has no position), a table a
        DataFrame. Numbers are float (NaN = missing), dates datetime64 (NaT), text str or None.
        """
        version = self._look().get(name, (0,))[0]
        with self._lock:
            held = self._snapshots.get(name)
        if held and held[0] == version:
            return held[1]
        with self._engine.connect() as con, con.begin():
            version = self._newest(con).get(name, (0,))[0]
            parts = archive.standing(con, ALL[name], version)
            frame = self._from_held(con, name, parts)
            frame = self.current(con, name) if frame is None else frame
        with self._lock:
            self._snapshots[name] = (version, frame, parts)
        return frame

    def _from_held(self, con, name, parts):
        """The frame of some archive.Parts out of the snapshot at hand; None where they have too little in common."""
        with self._lock:
            held = self._snapshots.get(name)
        return packing.derived(con, ALL[name], parts, held[1:] if held else None)

    def version(self, name, number):
        """An earlier version of a layer, as snapshot() gives the newest; StoreError where it is no longer kept."""
        with self._engine.connect() as con, con.begin():
            frame = self._from_held(con, name, archive.parts(con, name, number))
            return self._archived(con, name, number) if frame is None else frame

    def apart(self, name, older, newer):
        """Two versions of a layer without the rows that they share by whole parts: (frame, frame, number of shared rows).

        Version 0 is the empty layer. Raises StoreError where one is no longer kept.
        """
        with self._engine.connect() as con, con.begin():
            found = packing.apart(con, name, older, newer)
            if found is None:
                raise self._not_kept(name, newer if older in archive.kept(con, name) | {0} else older)
            *alone, shared = found
            if shared:
                was, now = (archive.joined(ALL[name], archive.frames(con, ALL[name], side)) for side in alone)
                return was, now, shared
        return self._whole(name, older), self._whole(name, newer), 0

    def _whole(self, name, number):
        if number == 0:
            return rows.frame_of(ALL[name], [])
        if self._look().get(name, (0,))[0] == number:
            frame = self.snapshot(name)
            with self._lock:
                if self._snapshots[name][0] == number:
                    return frame
        return self.version(name, number)

    def faults(self, name=None):
        """Versions whose kept rows are not those that were written, by their hashes: a sentence each, none when all is well."""
        out = []
        for v in self.history(name):
            with self._engine.connect() as con, con.begin():
                if not archive.sound(con, ALL[v["layer"]], v["version"], v["rows"], v["sha256"], v["scheme"]):
                    told = said(
                        "The rows of version {number} of {name} are not those that were written.",
                        "Các dòng của phiên bản {number} của {label} không phải là các dòng đã ghi.",
                        number=v["version"], name=v["layer"], label=ALL[v["layer"]].vi,
                    )  # fmt: skip
                    out.append(told)
        return out

    def kept(self, name):
        """Numbers of the versions of a layer whose rows are still there."""
        with self._engine.connect() as con:
            return archive.kept(con, name)

    def version_at(self, name, moment):
        """Number of the version of a layer that was in use at a moment (time with zone); 0 where it was still empty.

        Raises StoreError before the first version of the whole store.
        """
        at = _iso(moment.astimezone(UTC))
        with self._engine.connect() as con:
            mine = sa.and_(tables.versions.c.layer == name, tables.versions.c.at <= at)
            number = con.scalar(sa.select(sa.func.max(tables.versions.c.version)).where(mine))
            first = con.scalar(sa.select(sa.func.min(tables.versions.c.at)))
        if number is None and (first is None or at < first):
            raise StoreError(
                said(
                    "There were no data yet at {at}; the first ones are of {first}.",
                    "Lúc {at} chưa có dữ liệu nào; dữ liệu đầu tiên có từ {first}.",
                    at=at, first=first or "–",
                )
            )  # fmt: skip
        return number or 0

    def as_of(self, name, moment):
        """The rows of a layer that were in use at a moment (time with zone), as snapshot() gives the newest.

        Raises StoreError before the first version of the store, and where the rows are no longer kept.
        """
        number = self.version_at(name, moment)
        if number in (0, self._look().get(name, (0,))[0]):
            return self._whole(name, number)
        if number not in self.kept(name):
            raise StoreError(
                said(
                    "At {at} version {number} of {name} was in use. Its rows are no longer kept: those of earlier versions "
                    "stay for {days} days.",
                    "Lúc {at}, {name} dùng phiên bản {number}. Các dòng của phiên bản ấy không còn được lưu: phiên bản cũ "
                    "chỉ được lưu {days} ngày.",
                    at=_iso(moment.astimezone(UTC)), number=number, name=name, days=KEPT_FOR.days,
                )
            )  # fmt: skip
        return self.version(name, number)

    def _archived(self, con, name, number):
        frame = archive.frame(con, ALL[name], number)
        if frame is None:
            raise self._not_kept(name, number)
        return frame

    @staticmethod
    def _not_kept(name, number):
        return StoreError.of(
            "Version {number} of {name} is not kept.", "Không còn giữ phiên bản {number} của {label}.",
            number=number, name=name, label=ALL[name].vi,
        )  # fmt: skip

    def within(self, name, west, south, east, north, *, most=None):
        """Records whose bounding box meets a box in degrees, found through the R*Tree; not cached. most: any so many."""
        fids = sa.text(
            f"fid IN (SELECT id FROM rtree_{name}_{geopackage.GEOMETRY_COLUMN} "
            "WHERE maxx >= :w AND minx <= :e AND maxy >= :s AND miny <= :n LIMIT :most)"
        ).bindparams(w=west, s=south, e=east, n=north, most=-1 if most is None else most)
        with self._engine.connect() as con:
            return tables.read(con, name, fids)

    # --- writing ---

    def write(self, checked, *, source, who="system", note=None, mode="replace"):
        """Write one CheckedLayer as a new version; see write_all."""
        self.write_all([checked], source=source, who=who, note=note, mode=mode)

    def write_all(self, layers, *, source, who="system", note=None, mode="replace", meta=None, once=None):
        """Write several CheckedLayers in one transaction: either all of them are in, or none.

        mode: `replace` the whole layer, `append`, or `upsert` by the layer's key. source says where
        the data come from, who is the person or program. meta: {key: value} kept in the same
        transaction. once: a key of meta; where it is kept already nothing is written. Returns
        whether anything was written. Raises StoreError when an appended key is there already or
        the disk refuses.
        """
        with self.transaction() as con:
            if once and con.scalar(sa.select(tables.meta.c.key).where(tables.meta.c.key == once)):
                return False
            self.write_in(con, layers, source=source, who=who, note=note, mode=mode)
            for key, value in (meta or {}).items():
                con.execute(tables.meta.delete().where(tables.meta.c.key == key))
                con.execute(tables.meta.insert().values(key=key, value=value))
        return True

    def write_in(self, con, layers, *, source, who="system", note=None, mode="replace"):
        """As write_all, inside a transaction() that does other things too."""
        for checked in layers:
            self._write_one(con, checked, source, who, note, mode)

    def current(self, con, name):
        """As snapshot(), as a transaction() or reading() sees the layer."""
        version, changed = self._newest(con).get(name, (0, None))
        live = version == 0 or geopackage.changes(con.connection.driver_connection).get(name) == changed
        return tables.read(con, name) if live else self._archived(con, name, version)

    def row_in(self, con, name, key):
        """The row of a key as a transaction() sees it after settle_in(), as a frame of one row, or of none."""
        return tables.Finder(con, ALL[name]).row(key)

    def settle_in(self, con, name):
        """Make a version of what another program wrote into a layer, inside a transaction(), so that current() has it.

        Raises StoreError where it cannot be used.
        """
        self._settle_edit(con, ALL[name])

    def version_in(self, con, name):
        """The number of the newest version of a layer as a transaction() or reading() sees it; 0 where there is none."""
        return self._newest(con).get(name, (0, None))[0]

    def write_parts(
        self, layer, parts, *, source, who="system", note=None, mode="replace", expected=None, step=None, then=None
    ):
        """Write one version from CheckedLayers of one layer that come one after the other.

        Only some rows are in memory at once; the rows of all parts are in, or none. The keys of the parts
        must differ. expected: the version that this was made for; StoreError with code "changed" where the
        layer has another one by now. step(count): told how many rows are kept in the archive so far.
        then(con): called at the end of the transaction, for what must be kept together with the version.
        """
        with self.transaction() as con:
            if expected is not None and self._newest(con).get(layer.name, (0,))[0] != expected:
                error = StoreError.of(
                    "{layer} was changed meanwhile; nothing was written. Look at it again.",
                    "{label} đã bị thay đổi trong lúc đó; chưa ghi gì. Hãy xem lại.",
                    layer=layer.name,
                    label=layer.vi,
                )
                error.code = "changed"
                raise error
            self._write_parts(con, layer, parts, source, who, note, mode, step)
            if then is not None:
                then(con)

    def _write_one(self, con, checked, source, who, note, mode):
        if not isinstance(checked, CheckedLayer):
            raise TypeError("only what layers.checks.check has passed is written")
        self._write_parts(con, checked.layer, [checked], source, who, note, mode)

    def _write_parts(self, con, layer, parts, source, who, note, mode, step=None):
        table = tables.of[layer.name]
        if mode not in ("replace", "append", "upsert"):
            raise ValueError(f"mode '{mode}' is not replace, append or upsert")
        if mode == "replace":
            con.execute(table.delete())
        else:
            self._settle_edit(con, layer)
        blank = con.scalar(sa.select(table.c.fid).limit(1)) is None
        packer = archive.Packer(con, layer) if blank else None  # nothing comes before: packed as it comes in
        finder, removed = tables.Finder(con, layer), []
        for checked in parts:
            if not blank:
                keys = rows.keys(layer, checked.rows)
                if mode == "upsert":
                    removed += finder.delete(keys)
                elif there := finder.fids(keys):
                    raise StoreError([_is_there(layer, key) for key in there])
            for packed in rows.pieces(layer, checked.rows, tables.PIECE):
                fids = tables.insert(con, layer, packed)
                if blank:
                    packer.feed(packed, fids)
        finder.close()
        self._end_version(con, layer, packer, removed, source, who, note, step)

    def delete_in(self, con, name, keys, *, source, who="system", note=None):
        """Take the rows of some keys out of a layer as a new version, inside a transaction()."""
        layer = ALL[name]
        self._settle_edit(con, layer)
        finder = tables.Finder(con, layer)
        removed = finder.delete(keys)
        finder.close()
        self._end_version(con, layer, None, removed, source, who, note)

    def _end_version(self, con, layer, packer, removed, source, who, note, step=None):
        packer = packer or packing.packed(con, layer, self.version_in(con, layer.name), removed, step)
        geopackage.touch(con.connection.driver_connection, layer.name)
        self._add_version(con, layer, packer, who, source, note)

    def _settle_edit(self, con, layer):
        """An edit by another program becomes a version before ours, or does not come in with our rows."""
        version, changed = self._newest(con).get(layer.name, (0, None))
        if version == 0 or geopackage.changes(con.connection.driver_connection).get(layer.name) == changed:
            return
        if not layer.gated:
            try:
                return self._adopt(con, layer.name)
            except LayerError as e:
                raise StoreError.of(
                    "{layer} was edited by another program in a way that is not used; mend that edit, or put "
                    "the last version back, before writing to the layer. {why}",
                    "{label} đã bị chương trình khác sửa theo cách không dùng được; hãy sửa lại, hoặc khôi phục phiên bản "
                    "cuối, trước khi ghi vào lớp. {why_vi}",
                    layer=layer.name, label=layer.vi, why=e.problems[0], why_vi=vietnamese(e.problems[0]),
                ) from e  # fmt: skip
        good = check(layer, self._archived(con, layer.name, version), repair=False)
        con.execute(tables.of[layer.name].delete())
        for packed in rows.pieces(layer, good.rows, tables.PIECE):
            tables.insert(con, layer, packed)
        archive.forget_places(con, layer.name, version)

    def _add_version(self, con, layer, packer, who, source, note):
        last = (
            con.scalar(sa.select(sa.func.max(tables.versions.c.version)).where(tables.versions.c.layer == layer.name))
            or 0
        )
        if layer.name in rules.NEEDED:
            lost = rules.lost(layer.name, set(con.scalars(sa.select(tables.of[layer.name].c.code))))
            if lost and last and not rules.lost(layer.name, set(self._archived(con, layer.name, last)["code"])):
                raise StoreError(lost)
        number, at = last + 1, datetime.now(UTC)
        count, digest = archive.put(con, layer.name, number, packer)
        con.execute(
            tables.versions.insert().values(
                layer=layer.name, version=number, at=_iso(at), who=who, source=source, note=note, rows=count,
                sha256=digest, scheme=archive.IN_PARTS, changed=geopackage.changes(con.connection.driver_connection).get(layer.name),
            )
        )  # fmt: skip
        audit.append(
            con, at=at, who=who, action="version", thing=f"layer:{layer.name}",
            new={"version": number, "rows": count, "sha256": digest, "source": source, "note": note},
        )  # fmt: skip
        old = sa.select(tables.versions.c.version).where(
            tables.versions.c.layer == layer.name,
            tables.versions.c.at < _iso(at - KEPT_FOR),
            tables.versions.c.version < last,
        )
        archive.drop(con, layer.name, old)

    def restore(self, name, number, *, who="system", expected=None, step=None):
        """Put an earlier version of a layer back, as a new version; StoreError for a layer behind the gate.

        expected: as for write_parts. step(share): told how far it is; what it raises leaves all as it was. Only some
        rows are in memory at once.
        """
        layer = ALL[name]
        if layer.gated:
            raise StoreError.of(*_GATED, name=name, label=layer.vi)
        with self._engine.connect() as con:
            contents = [(p.content, p.rows) for p in archive.parts(con, name, number)]
        if not contents:
            raise self._not_kept(name, number)
        self.write_parts(
            layer, self._checked_again(layer, contents, step), source=f"version {number}", who=who,
            note=f"version {number} put back", expected=expected,
        )  # fmt: skip

    def _checked_again(self, layer, contents, step):
        """CheckedLayers of kept rows, as the catalogue has them today. contents: (content, rows) of each part."""
        total, done, some = sum(n for _, n in contents), 0, []
        for i, (content, count) in enumerate(contents):
            with self._engine.connect() as con:
                some += archive.frames(con, layer, [content])
            done += count
            whole = layer.name in rules.TOGETHER
            if i + 1 < len(contents) and (whole or sum(map(len, some)) < tables.PIECE):
                continue
            yield check(layer, archive.joined(layer, some), repair=False)
            some = []
            if step:
                step(done / max(total, 1))

    def meta(self, key):
        """A value kept by write_all, or None."""
        with self._engine.connect() as con:
            return con.scalar(sa.select(tables.meta.c.value).where(tables.meta.c.key == key))

    def copy_to(self, path):
        """A consistent copy of the whole store at `path` (internal fields too), replaced in one step."""
        path = Path(path)
        fresh = path.with_name(path.name + ".part")
        fresh.unlink(missing_ok=True)
        with self._engine.connect() as con:
            geopackage.copy_to(con.connection.driver_connection, fresh)
        wholefiles.settle(fresh, path)


def _iso(at):
    return at.isoformat(timespec="milliseconds")


def _unreadable(name, error):
    return said(
        "{name} cannot be read any more ({why}).", "Không đọc được {label} nữa ({why}).",
        name=name, label=ALL[name].vi, why=error,
    )  # fmt: skip


def _is_there(layer, key):
    shown = "/".join("–" if v is None else str(v) for v in key)
    return said(
        "{layer}: {key} is there already; nothing was written. Use upsert to replace it.",
        "{label}: {key} đã có; chưa ghi gì. Hãy dùng cách cập nhật theo mã để thay nó.",
        layer=layer.name,
        label=layer.vi,
        key=shown,
    )
