"""The headers of the pages of a Parquet file, which say what each page unpacks to and how its values are coded."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """unpacked: bytes of its values; length: bytes in the file with its header; coded: number of the encoding of its
    values, None for a dictionary."""

    unpacked: int
    length: int
    coded: int | None


class Header:
    """The header of a page in Thrift's compact protocol, as far as it is needed. `at`: how many bytes were read."""

    def __init__(self, body):
        self._body, self.at = body, 0

    def page(self):
        """The Page; IndexError, ValueError where it is none."""
        found = {}
        self._struct(lambda path, value: found.__setitem__(path, value), ())
        unpacked, packed = found.get((2,), -1), found.get((3,), -1)
        if unpacked < 0 or packed < 0:
            raise ValueError("page")
        return Page(unpacked, self.at + packed, found.get((5, 2), found.get((8, 4))))

    def _struct(self, tell, path):
        if len(path) > 20:
            raise ValueError("page")
        number = 0
        while (head := self._byte()) != 0:
            number = number + (head >> 4) if head >> 4 else self._signed()
            tell((*path, number), self._value(head & 15, tell, (*path, number)))

    def _value(self, kind, tell, path):
        if kind in (1, 2):
            return kind == 1
        if kind == 3:
            return self._byte()
        if kind in (4, 5, 6):
            return self._signed()
        if kind == 7:
            self.at += 8
        elif kind == 8:
            length = self._unsigned()
            self.at += length
        elif kind in (9, 10):
            head = self._byte()
            length = head >> 4 if head >> 4 != 15 else self._unsigned()
            for _ in range(length):
                self._value(head & 15, tell, (*path, 0))
        elif kind == 12:
            self._struct(tell, path)
        else:
            raise ValueError("page")
        return None

    def _byte(self):
        self.at += 1
        return self._body[self.at - 1]

    def _unsigned(self):
        value = shift = 0
        while shift < 70:
            byte = self._byte()
            value |= (byte & 127) << shift
            if not byte & 128:
                return value
            shift += 7
        raise ValueError("page")

    def _signed(self):
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)
