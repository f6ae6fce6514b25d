"""What the person who starts the server decides."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Settings:
    """Start-up choices; nothing here changes while the server runs.

    internet_tiles: address pattern of a tile server with {z}, {x} and {y}, or None. None is the
    default: then no page names any other host.
    secret: signs sessions; when empty a new one is made at each start.
    Raises ValueError with a sentence that says what to change.
    """

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8000
    internet_tiles: str | None = None
    internet_tiles_credit: str = ""
    max_request_bytes: int = 2 * 1024 * 1024
    secret: str = field(default="", repr=False)

    def __post_init__(self):
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port {self.port} is not between 0 and 65535")
        if self.max_request_bytes < 1024:
            raise ValueError("max_request_bytes must be at least 1024")
        if self.internet_tiles is not None:
            parts = urlsplit(self.internet_tiles)
            plain = not set(self.internet_tiles) & set(" ;,'\"<>`$\\")
            if parts.scheme != "https" or not parts.netloc or not plain:
                raise ValueError("internet_tiles must be a plain https address")
            if not all(mark in self.internet_tiles for mark in ("{z}", "{x}", "{y}")):
                raise ValueError("internet_tiles must contain {z}, {x} and {y}")

    @property
    def tile_origin(self) -> str | None:
        """The host that the content policy must allow for tiles, or None."""
        if self.internet_tiles is None:
            return None
        return "https://" + urlsplit(self.internet_tiles).netloc.replace("{s}", "*")
