"""What can go wrong with data, as one family: a code for programs, sentences for people."""


class Said(str):
    """A sentence for people: English as the text itself, Vietnamese as `.vi`."""

    def __new__(cls, en, vi=None):
        made = super().__new__(cls, en)
        made.vi = vi or str(en)
        return made


def said(en, vi, /, **values):
    """The sentence in both languages with its {values} put in.

    >>> told = said("There is no file {name}.", "Không có tệp {name}.", name="a.csv")
    >>> str(told), told.vi
    ('There is no file a.csv.', 'Không có tệp a.csv.')
    """
    return Said(en.format(**values), vi.format(**values))


def vietnamese(sentence):
    """The Vietnamese of a sentence; the sentence itself where it has none."""
    return getattr(sentence, "vi", None) or str(sentence)


class LayerError(ValueError):
    """Data that cannot be taken in. `problems`: one sentence each, all of them together; en, vi: as one text."""

    code = "layer"

    def __init__(self, problems):
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__(" ".join(self.problems))

    @classmethod
    def of(cls, en, vi, /, **values):
        """The error with one sentence, as said() makes it."""
        return cls(said(en, vi, **values))

    @property
    def en(self):
        return " ".join(self.problems)

    @property
    def vi(self):
        return " ".join(map(vietnamese, self.problems))


class StoreError(LayerError):
    """A store that cannot be opened or written."""

    code = "store"
