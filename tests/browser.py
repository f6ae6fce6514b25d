"""A Chromium page that can reach this machine only; notes what a page does wrong.

    with browser.page(width=390) as (page, seen):
        page.goto(address)
    assert not seen.outside and not seen.errors

Without Chromium or Playwright the test is skipped, unless CANGXANH_BROWSER_REQUIRED is set: then it
fails, so that a test run that must look at pages cannot pass without looking.
"""

import os
import shutil
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from server import security
from server.app import VENDOR

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip
AXE = VENDOR / "axe-core" / "axe.min.js"
WCAG = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HERE = {"127.0.0.1", "localhost", "::1"}


@dataclass
class Seen:
    """errors: console errors and script exceptions. outside: requests to other hosts. failed: 4xx, 5xx."""

    errors: list = field(default_factory=list)
    outside: list = field(default_factory=list)
    failed: list = field(default_factory=list)
    bytes: int = 0


def missing(why):
    if os.environ.get("CANGXANH_BROWSER_REQUIRED"):
        pytest.fail(f"a browser is required here: {why}")
    pytest.skip(why)


def chromium():
    """Path of a Chromium, or skips (or fails) the test."""
    found = os.environ.get("CANGXANH_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    return found or missing("no Chromium found")


@contextmanager
def page(*, width=1366, height=768, scripts=True):
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed")
    program, seen = chromium(), Seen()

    def gate(route):
        address = urlsplit(route.request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.hostname not in HERE:
            seen.outside.append(route.request.url)
            return route.abort()
        return route.continue_()

    def note(response):
        if response.status >= 400:
            seen.failed.append((response.status, response.url))

    with sync_playwright() as play:
        engine = play.chromium.launch(executable_path=program, args=ARGUMENTS)
        context = engine.new_context(
            viewport={"width": width, "height": height}, has_touch=width < 500, is_mobile=width < 500,
            java_script_enabled=scripts, locale="vi-VN",
        )  # fmt: skip
        context.route("**/*", gate)
        sheet = context.new_page()
        sheet.on("console", lambda m: seen.errors.append(m.text) if m.type == "error" else None)
        sheet.on("pageerror", lambda e: seen.errors.append(str(e)))
        sheet.on("response", note)
        try:
            yield sheet, seen
        finally:
            engine.close()


@contextmanager
def serving(app):
    """Runs a WSGI application on a free port of this machine; gives its address."""
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()


def enter(sheet, site, services, user):
    """The page goes on as somebody who is signed in. user: a User of these services."""
    opened = services.accounts.open_session(user.id, address="127.0.0.1", browser="test")
    sheet.context.add_cookies([{"name": security.SESSION_COOKIE, "value": opened.token, "url": site}])


def faults(sheet, where, rules=WCAG):
    """What axe finds on the page as it stands, and whether it scrolls sideways: sentences that begin with `where`."""
    if not AXE.is_file():
        missing("axe-core is not set up (python3 run.py test fetches it)")
    sheet.evaluate(AXE.read_text(encoding="utf-8"))  # not a script tag: the policy would refuse it
    found = sheet.evaluate(
        "async (rules) => (await axe.run(document, {runOnly: rules}))"
        ".violations.map(v => v.id + ': ' + v.nodes.slice(0, 3).map(n => n.target.join(' ')).join(' | '))",
        list(rules),
    )
    if sheet.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        found.append("scrolls sideways")
    return [f"{where}: {fault}" for fault in found]
