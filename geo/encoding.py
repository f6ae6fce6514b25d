"""Vietnamese text in old encodings, recognised by its syllables and put into Unicode.

Attributes of old Shapefiles, DXF and Excel files are in TCVN3 (the ABC fonts), VNI-Windows or
Windows-1258, or are UTF-8 taken for a Windows code page. All arrive here as text that was read as
Windows-1252, Windows-1258 or Latin-1: "Hải Phòng" as "H¶i Phßng", "Haûi Phoøng", "HaÒi PhoÌng" or
"Háº£i PhÃ²ng". A repair is believed by the share of its words that are possible Vietnamese
syllables: onset + rhyme + tone, where only sắc and nặng go with the endings c, ch, p and t.
Text whose words are possible as they stand, or that holds a letter no code page has, is left alone.

What cannot be told. TCVN3 has no capital letters with a tone (a capital font shows them): a word
written in capitals comes back in capitals, but the initial of "Ứng Hòe" comes back small, and a
capital word with one plain letter ("HÀ KỲ") comes back as "Hà Kỳ". A single short word may be possible in
two ways ("cã" is also TCVN3 for "có", "Hoà" also VNI for "Hồ"): use repair_column(). In a column only half in Unicode such words stay. Characters that a
program dropped on the way (the soft hyphen, TCVN3 for ư; the bytes 81, 8D, 8F, 90, 9D of UTF-8) are gone. Good Unicode in decomposed
letters is left alone: unicodedata.normalize() composes it.
"""

import re
import unicodedata
from dataclasses import dataclass

ENCODINGS = ("utf-8", "tcvn3", "vni", "cp1258")  # in the order in which equals are taken: the rarest accident first
ENOUGH = 0.75  # of the doubtful words must become possible: names also hold foreign words and abbreviations
WORD = re.compile(r"[^\W\d_]+")
TOKEN = re.compile(r"[A-Za-z\u0080-\uffff]+")  # the old encodings also use signs such as ¶ « ¬ for letters
SIGNS = set("“”‘’–—…°²³º€\u00a0")  # not a letter in TCVN3 or VNI, and usual in good text

# TCVN 5712:1993 VN3, by the first byte of each run; "." is a place without a letter
_TCVN3_RUNS = {
    0xA1: "ĂÂÊÔƠƯĐăâêôơưđ",
    0xB5: "àảãáạ.ằẳẵắ",
    0xC6: "ặầẩẫấậè.ẻẽéẹềểễếệìỉ",
    0xDC: "ĩíịò.ỏõóọồổỗốộờởỡớợù.ủũúụừửữứựỳỷỹýỵ",
}
TCVN3 = {chr(start + k): letter for start, run in _TCVN3_RUNS.items() for k, letter in enumerate(run) if letter != "."}

# VNI-Windows: a plain letter and a sign for tone and roof together, or one sign for a whole letter
_VNI_TONES = dict(zip("øùûõï", "\u0300\u0301\u0309\u0303\u0323", strict=True))
_VNI_ROOF = dict(zip("âàáåãä", ("", *_VNI_TONES.values()), strict=True))
_VNI_BREVE = dict(zip("êèéúüë", ("", "\u0300", "\u0301", "\u0309", "\u0303", "\u0323"), strict=True))
_VNI_WHOLE = {"ì": "ì", "í": "í", "æ": "ỉ", "ó": "ĩ", "ò": "ị", "î": "ỵ", "ô": "ơ", "ö": "ư", "ñ": "đ"}


def _vni():
    """VNI-Windows to Unicode, longest first when read in order."""
    pairs = {}
    for sign, tone in _VNI_TONES.items():
        pairs |= {plain + sign: letter + tone for plain, letter in zip("aeouyôö", "aeouyơư", strict=True)}
    for sign, tone in _VNI_ROOF.items():
        pairs |= {plain + sign: plain + "\u0302" + tone for plain in "aeo"}
    for sign, tone in _VNI_BREVE.items():
        pairs["a" + sign] = "a\u0306" + tone
    del pairs["yï"]  # ỵ has a sign of its own
    pairs |= _VNI_WHOLE
    table = {code: unicodedata.normalize("NFC", letter) for code, letter in pairs.items()}
    capitals = {code[0].upper() + code[1:].upper(): letter.upper() for code, letter in table.items()}
    mixed = {code[0].upper() + code[1:]: letter.upper() for code, letter in table.items() if len(code) > 1}
    return table | mixed | capitals


VNI = _vni()
_VNI_CODES = re.compile("|".join(sorted(VNI, key=len, reverse=True)))

_ONSETS = "b c ch d đ g gh gi h k kh l m n ng ngh nh p ph qu r s t th tr v x"
_RHYMES = """
    a ac ach ai am an ang anh ao ap at au ay ăc ăm ăn ăng ăp ăt âc âm ân âng âp ât âu ây
    e ec em en eng eo ep et ê êch êm ên ênh êp êt êu i ia ich im in inh ip it iu iêc iêm iên iêng iêp iêt iêu
    o oa oac oach oai oam oan oang oanh oao oap oat oay oăc oăm oăn oăng oăt oc oe oen oeo oet oi om on ong
    op ot ô ôc ôi ôm ôn ông ôp ôt ơ ơi ơm ơn ơp ơt u ua uc ui um un ung up ut uân uâng uât uây uê uêch uênh uôc uôi
    uôm uôn uông uôt uơ uy uya uych uynh uyt uyu uyên uyêt ư ưa ưc ưi ưm ưn ưng ưt ưu ươc ươi ươm ươn ương ươp ươt
    ươu y yêm yên yêng yêt yêu ych ynh yt
"""
ONSETS, RHYMES = {"", *_ONSETS.split()}, set(_RHYMES.split())
_TONES = dict(zip("\u0300\u0301\u0303\u0309\u0323", ("huyền", "sắc", "ngã", "hỏi", "nặng"), strict=True))
_STOPPED = ("c", "ch", "p", "t")


def is_syllable(word):
    """Whether a word is a possible Vietnamese syllable, in any case, composed or not.

    >>> [is_syllable(word) for word in ("Nghiêng", "Quốc", "hoc", "cỏt", "Müller")]
    [True, True, False, False, False]
    """
    letters = [unicodedata.normalize("NFD", c) for c in unicodedata.normalize("NFC", word.lower())]
    toned = [k for k, parts in enumerate(letters) if any(c in _TONES for c in parts)]
    tones = [_TONES[c] for parts in letters for c in parts if c in _TONES]
    plain = "".join(unicodedata.normalize("NFC", "".join(c for c in p if c not in _TONES)) for p in letters)
    if len(tones) > 1:
        return False
    for cut in range(min(4, len(plain))):
        onset, rhyme = plain[:cut], plain[cut:]
        if onset in ONSETS and rhyme in RHYMES:
            stopped = rhyme.endswith(_STOPPED) and tones[:1] not in (["sắc"], ["nặng"])
            if not stopped and (not toned or toned[0] - cut in _places(rhyme)):
                return True
    return False


def _places(rhyme):
    """Where the sign of the tone may stand in a rhyme."""
    vowels = len(rhyme.rstrip("bcdghmnpt"))
    roofed = [k for k, letter in enumerate(rhyme) if letter in "ăâêôơư"]
    if roofed:
        return roofed[-1:]
    if rhyme in ("oa", "oe", "uy"):  # both manners are in use: hòa, hoà
        return [0, 1]
    return [vowels - 1] if vowels < len(rhyme) or vowels == 1 else [vowels - 2]


def decode(text, encoding):
    """The text as it was meant, if it is in that encoding and was read as a Windows code page or Latin-1.

    Letters the encoding does not have stay as they are. Raises ValueError for an encoding not in
    ENCODINGS, and for "utf-8" if the bytes are not UTF-8.

    >>> decode("H¶i Phßng", "tcvn3"), decode("Haûi Phoøng", "vni"), decode("HaÒi PhoÌng", "cp1258")
    ('Hải Phòng', 'Hải Phòng', 'Hải Phòng')
    """
    if encoding == "tcvn3":
        return _capitals("".join(TCVN3.get(letter, letter) for letter in _as_cp1252(text)))
    if encoding == "vni":
        return _VNI_CODES.sub(lambda code: VNI[code[0]], _as_cp1252(text))
    if encoding == "cp1258":
        return unicodedata.normalize("NFC", "".join(_cp1258(letter) for letter in text))
    if encoding == "utf-8":
        return _utf8(text)
    raise ValueError(f"{encoding} is not an encoding known here: choose one of {', '.join(ENCODINGS)}.")


def _byte(letter, page):
    """The byte of a letter in a code page; places without a letter keep their number, as in browsers."""
    try:
        return letter.encode(page)
    except UnicodeEncodeError:
        return bytes([ord(letter)]) if ord(letter) < 256 else None


def _cp1258(letter):
    code = _byte(letter, "cp1252")
    try:
        return letter if code is None else code.decode("cp1258")
    except UnicodeDecodeError:
        return letter


def _utf8(text):
    for page in ("cp1252", "cp1258"):
        codes = [_byte(letter, page) for letter in text]
        if None in codes:
            continue
        try:
            return unicodedata.normalize("NFC", b"".join(codes).decode("utf-8"))
        except UnicodeDecodeError:
            continue
    raise ValueError("These are not the bytes of UTF-8 text.")


def _as_cp1252(text):
    """The same bytes read as Windows-1252: letters that only Windows-1258 has are replaced."""
    if all(_byte(letter, "cp1252") for letter in text):
        return text
    codes = (_byte(letter, "cp1252") or _byte(letter, "cp1258") for letter in text)
    return "".join(code.decode("cp1252", "ignore") if code else old for code, old in zip(codes, text, strict=True))


def _capitals(text):
    """TCVN3 text with its capitals: in a word of capitals the letters with tones are capitals too."""
    cases = [re.sub("[^A-Za-zĂÂÊÔƠƯĐăâêôơưđ]", "", word) for word in WORD.findall(text)]  # letters of known case
    long = [letters for letters in cases if len(letters) > 1]
    shouted = bool(long) and all(letters.isupper() for letters in long)
    words = iter(cases)

    def word(match):
        letters = next(words)
        capital = letters.isupper() and (len(letters) > 1 or shouted)
        return match[0].upper() if capital else match[0]

    return WORD.sub(word, text)


def _open(text):
    """Whether the text could be in an old encoding at all: every letter has a place in one code page."""
    return not text.isascii() and (_fits(text, "cp1252") or _fits(text, "cp1258"))


def _fits(text, page):
    return all(_byte(letter, page) for letter in text)


def _good(token):
    """Whether a token is good as it stands: a possible syllable in a usual case, with usual signs round it."""
    if _improved(token, "utf-8")[1]:  # bytes that make UTF-8 by chance are next to impossible
        return False
    words = WORD.findall(unicodedata.normalize("NFC", token.strip("".join(SIGNS))))
    rest = set(WORD.sub("", unicodedata.normalize("NFC", token)))
    return rest <= SIGNS and all(is_syllable(w) and w in (w.lower(), w.upper(), w.capitalize()) for w in words)


def _improved(token, encoding):
    """The token decoded, and whether it makes sense so."""
    try:
        new = decode(token, encoding)
    except ValueError:
        return token, False
    words = WORD.findall(new)
    sense = all(map(is_syllable, words)) and set(WORD.sub("", new)) <= SIGNS
    return new, new != token and bool(words) and (sense or encoding == "utf-8")


def _doubtful(texts):
    """Tokens of two letters and more that are not good as they stand, from texts that may be in an old encoding."""
    found = (token for text in texts if isinstance(text, str) and _open(text) for token in TOKEN.findall(text))
    return [token for token in found if len(token) > 1 and not token.isascii() and not _good(token)]


def _share(tokens, encoding):
    return sum(_improved(token, encoding)[1] for token in tokens) / len(tokens)


def detect(texts):
    """The encoding that a column of texts is in, one of ENCODINGS; None if it is good, plain or unknown.

    texts: strings; anything else is passed over. The encoding under which most of the doubtful words
    become possible Vietnamese syllables is taken, if at least ENOUGH of them do; of equals the first in ENCODINGS.

    >>> detect(["Phßng TNMT", "QuËn Lª Ch©n", "Hai Phong", None]), detect(["Hải Phòng", "café", "port"])
    ('tcvn3', None)
    """
    tokens = _doubtful(texts)
    if not tokens:
        return None
    best = max(ENCODINGS, key=lambda encoding: _share(tokens, encoding))  # max keeps the first of equals
    return best if _share(tokens, best) >= ENOUGH else None


def repair(text, *, encoding=None):
    """(text in Unicode, encoding or None if nothing was changed, confidence 0 to 1).

    encoding: what the whole column is known to be in; without it the text is judged by itself. Good
    Unicode Vietnamese, plain English and foreign words come back as they are. Confidence is the share of
    doubtful words that make sense, times n / (n + 1) for n of them: one word alone gives at most 0.5.
    0.5 too where only the column speaks against a word that is possible as it stands.
    Raises ValueError for an encoding not in ENCODINGS.

    >>> repair("X· An H¶i"), repair("xã An Hải")
    (('Xã An Hải', 'tcvn3', 0.6666666666666666), ('xã An Hải', None, 0.0))
    """
    if encoding not in (None, *ENCODINGS):
        raise ValueError(f"{encoding} is not an encoding known here: choose one of {', '.join(ENCODINGS)}.")
    if not _open(text):
        return text, None, 0.0
    doubtful = _doubtful([text])
    encoding = encoding or detect([text])
    if encoding is None:
        return text, None, 0.0
    new = TOKEN.sub(lambda token: _token(token[0], encoding), text)
    new = _capitals(new) if encoding == "tcvn3" else new
    if new == text:
        return text, None, 0.0
    count = len(doubtful)
    return new, encoding, _share(doubtful, encoding) * count / (count + 1) if count else 0.5


def _token(token, encoding):
    """One token repaired: if it then makes sense, or if it is no word at all now (§T for ĐT)."""
    if token.isascii():
        return token
    new, sense = _improved(token, encoding)
    is_word = token.isalpha() or _good(token)
    return new if sense or not is_word else token


def repair_column(texts):
    """(list of repaired texts, encoding or None) of one column; what is not text comes back as it is.

    If some rows are plainly Unicode already, rows that are good as they stand are left alone; otherwise
    they are taken for what detect() says of the column, e.g. "cã" for "có" in TCVN3.

    >>> repair_column(["cã", "ph¶i", "kh«ng", None]), repair_column(["cã", "phải", "kh«ng"])[0]
    ((['có', 'phải', 'không', None], 'tcvn3'), ['cã', 'phải', 'không'])
    """
    texts = list(texts)
    found = survey(texts)
    return (texts, None) if found is None else (mend(texts, found), found.encoding)


@dataclass(frozen=True)
class Survey:
    """What a column is in: its encoding, and whether some of its rows are Unicode already."""

    encoding: str
    unicode_too: bool


def survey(texts):
    """The Survey of a column, or of a sample of it; None where there is nothing to mend."""
    texts = [text for text in texts if isinstance(text, str)]
    encoding = detect(texts)
    if encoding is None:
        return None
    return Survey(encoding, any(not text.isascii() and not _open(text) for text in texts))


def mend(texts, found):
    """The texts of a column repaired by its Survey; what is not text comes back as it is."""

    def new(text):
        if not isinstance(text, str) or text.isascii() or (found.unicode_too and not _doubtful([text])):
            return text
        return repair(text, encoding=found.encoding)[0]

    return list(map(new, texts))
