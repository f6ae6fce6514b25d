"""Between the layers' tables and the archive: rows packed as a version, versions read with what is at hand.

What did not change since the version before is neither read nor packed again.
"""

import bisect

from layers import archive, rows, tables


def packed(con, layer, version, removed, step=None):
    """An archive.Packer with all rows of a layer as its table has them.

    version: the newest one. removed: fids of the rows that were taken out since; others came in at the end.
    step(count): told how many rows are packed so far.
    """
    packer, removed, end = archive.Packer(con, layer), sorted(removed), 0
    parts = archive.standing(con, layer, version)
    more = parts and next(tables.walk(con, layer.name, first=parts[-1].last + 1), None) is not None
    for part in parts:
        at = bisect.bisect_left(removed, part.first)
        touched = at < len(removed) and removed[at] <= part.last
        if packer.settled and not touched and not (more and part is parts[-1]):
            packer.reuse(part)
        else:
            _feed(packer, tables.walk(con, layer.name, first=part.first, last=part.last))
        end = part.last + 1
        if step:
            step(packer.count)
    _feed(packer, tables.walk(con, layer.name, first=end), step)
    return packer


def _feed(packer, pieces, step=None):
    for fids, some in pieces:
        packer.feed(some, fids)
        if step:
            step(packer.count)


def checked(con, layer, there, found):
    """An archive.Packer with the rows that a check made (found, a frame) of those in the table (there, a frame)."""
    packer, at = archive.Packer(con, layer), 0
    fids = tables.fids(con, layer.name) if rows.alike(layer, there, found) else None
    for some in rows.pieces(layer, found, tables.PIECE):
        packer.feed(some, None if fids is None else fids[at : at + len(some)])
        at += len(some)
    return packer


def derived(con, layer, parts, held):
    """The frame of some archive.Parts, taken out of another one that has at least half of their rows; else None.

    held: (frame, its Parts), or None.
    """
    spans, at = {}, 0
    for part in held[1] if held else ():
        spans[part.content] = at, at + part.rows
        at += part.rows
    shared = sum(p.rows for p in parts if p.content in spans)
    if not shared or at != len(held[0]) or 2 * shared < sum(p.rows for p in parts):
        return None
    some, run = [], None
    for part in parts:
        span = spans.get(part.content)
        if run and (span is None or span[0] != run[1]):
            some.append(held[0].iloc[slice(*run)])
            run = None
        if span is None:
            some += archive.frames(con, layer, [part.content])
        else:
            run = (run or span)[0], span[1]
    some += [held[0].iloc[slice(*run)]] if run else []
    return archive.joined(layer, some)


def apart(con, name, older, newer):
    """What two versions of a layer do not share: (contents of the older one alone, of the newer alone, number of shared rows).

    None where one is not kept. Version 0 is the empty layer.
    """
    was, now = ([] if v == 0 else archive.parts(con, name, v) for v in (older, newer))
    if (older and not was) or (newer and not now):
        return None
    both = {p.content for p in was} & {p.content for p in now}
    alone = ([p.content for p in side if p.content not in both] for side in (was, now))
    return *alone, sum(p.rows for p in now if p.content in both)
