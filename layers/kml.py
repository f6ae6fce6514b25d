"""KML 2.2 (OGC 07-147r2): one folder of placemarks with typed data.

Always longitude, latitude. No descriptions and no styles: programs that draw KML read a description as HTML.
"""

import re
from xml.sax.saxutils import escape, quoteattr

import shapely

_TYPE = {"text": "string", "number": "double", "integer": "int", "date": "string"}
NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
DECIMALS = 9


def document(name, title, fields, rows, shapes, titles):
    """KML bytes.

    fields: (name, kind, label) of each column. rows: tuples of values in that order, None = missing, dates as
    date. shapes: shapely geometries in degrees, None allowed. titles: the visible name of each placemark.
    """
    out = [
        '<?xml version="1.0" encoding="UTF-8"?>\n<kml xmlns="http://www.opengis.net/kml/2.2"><Document>'
        f"<name>{_text(title)}</name><Schema name={_attribute(name)} id={_attribute(name)}>"
    ]
    rows = list(rows)
    for i, (field, kind, label) in enumerate(fields):
        large = kind == "integer" and any(abs(r[i] or 0) >= 2**31 for r in rows)  # an int has 32 bits in KML
        out.append(
            f'<SimpleField name={_attribute(field)} type="{"double" if large else _TYPE[kind]}">'
            f"<displayName>{_text(label)}</displayName></SimpleField>"
        )
    out.append(f"</Schema><Folder><name>{_text(name)}</name>\n")
    names = [_attribute(field) for field, _kind, _label in fields]
    for values, shape, shown in zip(rows, shapes, titles, strict=True):
        data = "".join(
            f"<SimpleData name={n}>{_text(v)}</SimpleData>" for n, v in zip(names, values, strict=True) if v is not None
        )
        drawn = "" if shape is None else _geometry(shape)
        out.append(
            f"<Placemark><name>{_text(shown)}</name><ExtendedData><SchemaData schemaUrl={_attribute('#' + name)}>"
            f"{data}</SchemaData></ExtendedData>{drawn}</Placemark>\n"
        )
    out.append("</Folder></Document></kml>\n")
    return "".join(out).encode("utf-8")


def _text(value):
    return escape(NOT_IN_XML.sub("", str(value)))


def _attribute(value):
    return quoteattr(NOT_IN_XML.sub("", str(value)))


def _geometry(shape):
    kind = shape.geom_type
    if kind == "Point":
        return f"<Point>{_coordinates(shape)}</Point>"
    if kind == "LineString":
        return f"<LineString>{_coordinates(shape)}</LineString>"
    if kind == "Polygon":
        rings = f"<outerBoundaryIs><LinearRing>{_coordinates(shape.exterior)}</LinearRing></outerBoundaryIs>"
        for hole in shape.interiors:
            rings += f"<innerBoundaryIs><LinearRing>{_coordinates(hole)}</LinearRing></innerBoundaryIs>"
        return f"<Polygon>{rings}</Polygon>"
    return f"<MultiGeometry>{''.join(_geometry(part) for part in shape.geoms)}</MultiGeometry>"


def _coordinates(shape):
    pairs = shapely.get_coordinates(shape).round(DECIMALS).tolist()
    return f"<coordinates>{' '.join(f'{x!r},{y!r}' for x, y in pairs)}</coordinates>"
