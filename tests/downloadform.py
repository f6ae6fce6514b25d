"""The download forms of a page, read as a browser without scripts would send them."""

from html.parser import HTMLParser
from urllib.parse import urlencode


class _Forms(HTMLParser):
    def __init__(self):
        super().__init__()
        self.forms, self.inside, self.select = [], False, None

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        if tag == "form" and "download-box" in (a.get("class") or ""):
            self.inside = True
            self.forms.append(
                {"address": a["action"].rpartition(".")[0], "keep": [], "actions": [], "columns": [], "systems": []}
            )
        elif not self.inside:
            return
        elif tag == "input" and a.get("type") == "hidden":
            self.forms[-1]["keep"].append((a["name"], a["value"]))
        elif tag == "input" and a.get("name") == "columns":
            assert "checked" not in a
            self.forms[-1]["columns"].append(a["value"])
        elif tag == "button":
            self.forms[-1]["actions"].append(a["formaction"])
        elif tag == "option":
            self.forms[-1]["systems"].append((a["value"], "selected" in a))

    def handle_endtag(self, tag):
        if tag == "form":
            self.inside = False


def forms(text):
    """Every download form of a page: address, keep, actions, columns, systems (value, chosen)."""
    reader = _Forms()
    reader.feed(text)
    return reader.forms


def sent(form, kind, **more):
    """The address that the button of a format leads to; more: what somebody chose, e.g. columns=[...], crs="9210"."""
    (action,) = [a for a in form["actions"] if a.endswith(f".{kind}")]
    chosen = [value for value, on in form["systems"] if on] if "crs" not in more else [more.pop("crs")]
    pairs = [*form["keep"], *(("crs", c) for c in chosen), *((n, v) for n, values in more.items() for v in values)]
    return action + (f"?{urlencode(pairs)}" if pairs else "")
