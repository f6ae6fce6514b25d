"""The data as a catalogue for national portals: DCAT-AP 3 in JSON-LD.

What is not known is left out rather than invented: the facts were collected from public sources and no licence
was granted for them as a whole, so each distribution says that in words (dct:rights) and names none.
"""

from layers import formats
from server.i18n import N_, translations

_CONTEXT = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "locn": "http://www.w3.org/ns/locn#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "geosparql": "http://www.opengis.net/ont/geosparql#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
}
_EU = "http://publications.europa.eu/resource/authority"
_MEDIA = "https://www.iana.org/assignments/media-types"
_FILE_TYPE = {
    "csv": "CSV", "xlsx": "XLSX", "geojson": "GEOJSON", "gpkg": "GPKG", "zip": "SHP", "kml": "KML", "parquet": "PARQUET",
}  # fmt: skip
_REGISTERED = ("text/csv", "application/geo+json", "application/geopackage+sqlite3", "application/zip",
               "application/vnd.google-earth.kml+xml", "application/vnd.apache.parquet")  # fmt: skip
RIGHTS = N_(
    "Facts collected from public sources; each record names its own. Name that source when you use a figure. "
    "Outlines marked schematic are not legal boundaries."
)
ORIGIN = N_("Each record names its own source, the date of that source and how well it is supported.")
TITLE = N_("Cảng Xanh: open data of Hải Phòng")
ABOUT = N_(
    "Public layers and tables of the environmental map of Hải Phòng: waste water, treatment, pollution "
    "hotspots, administrative units."
)


def catalogue(url, held, history):
    """The document as a dict.

    url: documents.Addresses. held: Collections' collections. history: versions of all layers, newest first, as
    Store.history() gives them.
    """
    first, last = {}, {}
    for v in history:
        first[v["layer"]] = v["at"]
        last.setdefault(v["layer"], v["at"])
    sets = [_dataset(url, c, first.get(c.name), last.get(c.name)) for c in held if len(c)]
    stamps = [s["dct:modified"]["@value"] for s in sets if "dct:modified" in s]
    made = {
        "@context": _CONTEXT,
        "@id": url.site("/data/catalog.jsonld"),
        "@type": "dcat:Catalog",
        "dct:title": _both(TITLE),
        "dct:description": _both(ABOUT),
        "dct:publisher": _publisher(url),
        "dct:language": [{"@id": f"{_EU}/language/VIE"}, {"@id": f"{_EU}/language/ENG"}],
        "dct:rights": _statement(),
        "foaf:homepage": {"@id": url.site("/")},
        "dcat:themeTaxonomy": {"@id": f"{_EU}/data-theme"},
        "dct:spatial": {
            "@type": "dct:Location",
            "locn:geographicName": _words("Thành phố Hải Phòng", "Hải Phòng city"),
        },
        "dcat:dataset": sets,
        "dcat:service": _service(url, held),
    }
    return made | ({"dct:issued": _time(min(first.values())), "dct:modified": _time(max(stamps))} if stamps else {})


def _dataset(url, c, issued, modified):
    layer, here = c.layer, f"{url.site('/data')}#{c.name}"
    made = {
        "@id": here,
        "@type": "dcat:Dataset",
        "dct:identifier": c.name,
        "dct:title": _words(layer.vi, layer.en),
        "dct:description": _described(layer),
        "dct:publisher": _publisher(url),
        "dcat:theme": [{"@id": f"{_EU}/data-theme/ENVI"}],
        "dcat:keyword": _keywords(layer),
        "dcat:contactPoint": _contact(url),
        "dct:provenance": {"@type": "dct:ProvenanceStatement", "dct:description": _both(ORIGIN)},
        "dct:language": [{"@id": f"{_EU}/language/VIE"}, {"@id": f"{_EU}/language/ENG"}],
        "dcat:landingPage": {"@id": url(f"/collections/{c.name}", f="html")},
        "dct:rights": _statement(),
        "dct:accessRights": {"@id": f"{_EU}/access-right/PUBLIC"},
        "dcat:version": str(c.version),
        "dcat:distribution": [
            *(_distribution(url, c, kind) for kind in formats.kinds_for(c.layer)),
            _by_service(url, c),
        ],
    }
    if issued:
        made |= {"dct:issued": _time(issued), "dct:modified": _time(modified)}
    if c.bounds():
        made["dct:spatial"] = _place(c.bounds())
    if c.period() and any(c.period()):
        made["dct:temporal"] = _period(*c.period())
    return made


def _distribution(url, c, kind):
    format_ = formats.KINDS[kind]
    media = format_.mimetype.partition(";")[0]
    address = url.site(f"/data/{c.name}.{kind}")
    made = {
        "@id": address,
        "@type": "dcat:Distribution",
        "dct:title": {"@value": format_.label},
        "dcat:accessURL": {"@id": url(f"/collections/{c.name}", f="html")},
        "dcat:downloadURL": {"@id": address},
        "dct:rights": _statement(),
    }
    if kind == "zip":
        made["dcat:packageFormat"] = {"@id": f"{_MEDIA}/application/zip"}
    if kind in _FILE_TYPE:
        made["dct:format"] = {"@id": f"{_EU}/file-type/{_FILE_TYPE[kind]}"}
    if media in _REGISTERED:
        made["dcat:mediaType"] = {"@id": f"{_MEDIA}/{media}"}
    return made


def _by_service(url, c):
    """The features through the interface: filtered, in pages, in other systems."""
    address = url(f"/collections/{c.name}/items", f="json")
    return {
        "@id": address,
        "@type": "dcat:Distribution",
        "dct:title": {"@value": "OGC API Features"},
        "dcat:accessURL": {"@id": address},
        "dcat:accessService": {"@id": url.plain("")},
        "dct:format": {"@id": f"{_EU}/file-type/GEOJSON"},
        "dcat:mediaType": {"@id": f"{_MEDIA}/application/geo+json"},
        "dct:rights": _statement(),
    }


def _service(url, held):
    return {
        "@id": url.plain(""),
        "@type": "dcat:DataService",
        "dct:description": _both(ABOUT),
        "dct:publisher": _publisher(url),
        "dct:rights": _statement(),
        "dct:accessRights": {"@id": f"{_EU}/access-right/PUBLIC"},
        "dcat:theme": [{"@id": f"{_EU}/data-theme/ENVI"}],
        "dcat:contactPoint": _contact(url),
        "dct:title": _words("Cảng Xanh – OGC API", "Cảng Xanh – OGC API"),
        "dcat:endpointURL": {"@id": url.plain("")},
        "dcat:endpointDescription": {"@id": url.plain("/api")},
        "dct:conformsTo": [
            {"@id": "http://www.opengis.net/doc/IS/ogcapi-features-1/1.0"},
            {"@id": "http://www.opengis.net/doc/IS/ogcapi-tiles-1/1.0"},
        ],
        "dcat:servesDataset": [{"@id": f"{url.site('/data')}#{c.name}"} for c in held if len(c)],
    }


def _publisher(url):
    return {"@id": url.site("/about"), "@type": "foaf:Agent", "foaf:name": {"@value": "Cảng Xanh"}}


def _contact(url):
    return {"@type": "vcard:Organization", "vcard:fn": "Cảng Xanh", "vcard:hasURL": {"@id": url.site("/about")}}


def _keywords(layer):
    return [*_words(layer.vi, layer.en), *_words("môi trường", "environment"), *_words("Hải Phòng", "Hải Phòng")]


def _statement():
    return {"@type": "dct:RightsStatement", "dct:description": _both(RIGHTS)}


def _both(message):
    return _words(translations("vi").gettext(message), message)


def _words(vi, en):
    return [{"@language": "vi", "@value": vi}, {"@language": "en", "@value": en}]


def _described(layer):
    names = [f for f in layer.fields if f.public][:12]
    return _words(f"{layer.vi}: {', '.join(f.vi for f in names)} …", f"{layer.en}: {', '.join(f.en for f in names)} …")


def _time(text):
    return {"@type": "xsd:dateTime", "@value": text}


def _place(bounds):
    west, south, east, north = (round(v, 6) for v in bounds)
    ring = ", ".join(f"{x} {y}" for x, y in ((west, south), (east, south), (east, north), (west, north), (west, south)))
    wkt = {"@type": "geosparql:wktLiteral", "@value": f"POLYGON(({ring}))"}
    return {"@type": "dct:Location", "dcat:bbox": wkt}


def _period(start, end):
    days = {"dcat:startDate": start, "dcat:endDate": end}
    return {"@type": "dct:PeriodOfTime"} | {
        k: {"@type": "xsd:date", "@value": d.isoformat()} for k, d in days.items() if d is not None
    }
