"""Which photos everybody may see: those that a published event of a hotspot shows."""

COLUMNS = ("photos", "photos_before", "photos_after")


def published(store):
    """Checksums of the public photos, as a frozenset; they change with the table of published events only."""
    frame = store.snapshot("hotspot_events")
    return frozenset(
        sha.strip()
        for c in COLUMNS
        if c in frame
        for text in frame[c].dropna()
        for sha in text.split(";")
        if sha.strip()
    )
