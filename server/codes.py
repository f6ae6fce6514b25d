"""Tracking codes: what a citizen keeps to follow a report without an account.

P- and eight signs of Crockford's base 32 (https://www.crockford.com/base32.html), which leaves out I, L, O
and U: 40 random bits. Read back leniently: small letters, missing hyphens, O for 0 and I or L for 1.
"""

import re
import secrets

SIGNS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 8
_CODE = re.compile(f"[{SIGNS}]{{{LENGTH}}}")
_MISREAD = str.maketrans("OIL", "011")


def make(randbelow=secrets.randbelow):
    """A fresh code such as P-7Q4K-0WDM. randbelow(n): a secret number below n."""
    return written("".join(SIGNS[randbelow(32)] for _ in range(LENGTH)))


def written(signs):
    return f"P-{signs[:4]}-{signs[4:]}"


def read(text):
    """The code that somebody typed or scanned, as it is written, or None where it cannot be one.

    >>> read(" p7q4k-owdm ")
    'P-7Q4K-0WDM'
    >>> read("P-7Q4K") is None
    True
    """
    signs = re.sub(r"[\s\-–—_.]+", "", text[:60]).upper().translate(_MISREAD)
    if len(signs) == LENGTH + 1 and signs[0] == "P":
        signs = signs[1:]
    return written(signs) if _CODE.fullmatch(signs) else None
