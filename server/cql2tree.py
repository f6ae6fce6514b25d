"""The tree that a CQL2 filter is read into: what server/cql2.py makes and server/sieve.py applies."""

from dataclasses import dataclass

COMPARISONS = ("=", "<>", "<", ">", "<=", ">=")
SPATIAL = frozenset(
    f"s_{word}" for word in ("intersects", "equals", "disjoint", "touches", "within", "overlaps", "crosses", "contains")
)
TEMPORAL = frozenset(
    f"t_{word}"
    for word in (
        *("after", "before", "contains", "disjoint", "during", "equals", "finishedby", "finishes", "intersects"),
        *("meets", "metby", "overlappedby", "overlaps", "startedby", "starts"),
    )
)


@dataclass(frozen=True)
class Property:
    name: str
    kind: str  # text, number, date or geometry


@dataclass(frozen=True)
class Literal:
    """value: str, float, date or shape (in longitude, latitude), by kind."""

    value: object
    kind: str


@dataclass(frozen=True)
class Folded:
    """Text without case (casei) or without marks (accenti)."""

    how: str
    of: object
    kind: str = "text"


@dataclass(frozen=True)
class Interval:
    """start, end: Literal or Property of kind date, or None where it is open."""

    start: object
    end: object
    kind: str = "interval"


@dataclass(frozen=True)
class Predicate:
    """operator: a key of the tables above, or "like", "between", "in", "null"."""

    operator: str
    operands: tuple


@dataclass(frozen=True)
class Logic:
    """operator: "and", "or", "not", "true" or "false"."""

    operator: str
    operands: tuple = ()


def properties(node):
    """Names of the properties that a tree looks at."""
    if isinstance(node, Property):
        return {node.name}
    inner = getattr(node, "operands", None) or (getattr(node, "of", None), getattr(node, "start", None),
                                                getattr(node, "end", None))  # fmt: skip
    return set().union(*(properties(n) for n in inner if n is not None))
