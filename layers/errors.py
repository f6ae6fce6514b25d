"""What can go wrong with data, as one family: a code for programs, sentences for people."""


class LayerError(ValueError):
    """Data that cannot be taken in. `problems`: one sentence each, all of them together."""

    code = "layer"

    def __init__(self, problems):
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__(" ".join(self.problems))


class StoreError(LayerError):
    """A store that cannot be opened or written."""

    code = "store"
