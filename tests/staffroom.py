"""A city with a register for the tests of the staff's pages: people, cases at a stage, reports, small files."""

import io
import shutil
from contextlib import contextmanager
from datetime import date, timedelta

import people
import shapely
from PIL import Image

from server import drafts, photos
from server.app import create_app
from server.services import open_city
from server.settings import Settings

DAY = date(2026, 11, 23)  # a Monday
FACTS = {"name_vi": "Kênh thử", "name_en": "Test canal", "media": "water", "source": "register", "confidence": "high",
         "geometry_quality": "approximate"}  # fmt: skip
PLACE = shapely.Point(106.68, 20.85)
CLEAN = [{"parameter": "NH4_N", "value": 0.1, "unit": "mg/L"}]
DIRTY = [{"parameter": "NH4_N", "value": 0.6, "unit": "mg/L"}]
PDF = b"%PDF-1.4\n%%EOF\n"


class Office:
    """services, app, and one person of each role with a client that is signed in: office.inspector.get("/desk")."""

    def __init__(self, services, app):
        self.services, self.app, self.book = services, app, services.book
        self.users = {r: people.person(services, r) for r in ("commune_officer", "inspector", "approver", "planner")}
        self.users["administrator"] = people.person(services, "administrator")
        self._clients = {}

    def __getattr__(self, role):
        if role not in self.__dict__.get("users", {}):
            raise AttributeError(role)
        if role not in self._clients:
            self._clients[role] = people.signed_in(self.app, self.users[role])
        return self._clients[role]

    def later(self, days):
        self.services.fixed_today += timedelta(days=days)

    def send(self, role, path, data=None, **more):
        """POST a form with its token, as a page would."""
        client = getattr(self, role)
        return client.post(path, data={"csrf": client.csrf} | (data or {}), **more)

    def page(self, role, path, status=200):
        """The text of a page in English, after checking its status."""
        answer = getattr(self, role).get(path + ("&" if "?" in path else "?") + "lang=en")
        assert answer.status_code == status, (path, answer.status_code, answer.get_data(as_text=True)[:2000])
        return answer.get_data(as_text=True)

    # --- cases at a stage ---

    def case(self, role="inspector", place=PLACE, **facts):
        return self.book.open(self.users[role], FACTS | facts, place)

    def take(self, code, action, fields=None, role="inspector", **more):
        return self.book.step(self.users[role], code, self.book.get(code).revision, action, fields, **more)

    def proof(self, code, kind, dated=None, role="inspector", **more):
        sha = self.services.files.put(PDF, ".pdf")
        return self.book.attach(self.users[role], code, kind, sha, name="a.pdf", media_type="application/pdf",
                                dated=dated or self.services.today(), **more)  # fmt: skip

    def photo(self, code, kind, dated=None, role="inspector", colour="green", **more):
        kept = photos.keep(self.services.files, shot(colour))
        return self.book.attach(self.users[role], code, kind, kept.sha, name="a.jpg", media_type="image/jpeg",
                                dated=dated or self.services.today(), original=kept.original, **more)  # fmt: skip

    def sample(self, code, results=CLEAN, role="inspector"):
        return self.book.add_sampling(self.users[role], code, taken_on=self.services.today(), medium="surface_water",
                                      results=results)  # fmt: skip

    def checking(self):
        code = self.case().code
        self.take(code, "check", {"officer": str(self.users["inspector"].id)})
        return code

    def confirmed(self):
        code = self.checking()
        self.proof(code, "visit_record")
        self.photo(code, "photo_before")
        self.take(code, "confirm", {"severity_class": "2", "class_reason": "amoni vượt 2 lần"})
        return code

    def verifying(self):
        """A case whose work is done today, waiting for three samplings over thirty days."""
        code = self.confirmed()
        today = self.services.today()
        plan = {"decision_no": "12/QĐ", "decision_on": today.isoformat(), "responsible": "Công ty thử",
                "deadline": (today + timedelta(days=90)).isoformat(), "no_containment": "nước tù"}  # fmt: skip
        self.take(code, "approve_plan", plan, role="approver")
        self.proof(code, "start_notice")
        self.take(code, "start")
        self.later(2)
        self.proof(code, "completion")
        self.photo(code, "photo_after", colour="blue")
        done = self.services.today().isoformat()
        self.take(code, "finish", {"work_done_on": done, "needed_samples": "3", "needed_days": "30"})
        return code

    # --- reports ---

    def report(self, kind="water", words="Nước đen", lon=106.68, lat=20.85, *, photo=True, language="vi", **more):
        kept = [photos.keep(self.services.files, shot(more.pop("colour", "red")))] if photo else []
        form = {"kind": kind, "words": words, "lon": lon, "lat": lat, "language": language, **more}
        made = drafts.draft(form, today=self.services.today(), wards=())
        return self.services.reports.take_in(made, kept).code


def shot(colour="red", size=(320, 240)):
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "JPEG")
    return out.getvalue()


@contextmanager
def office(starter, folder):
    """An Office on a copy of the starter data."""
    data = shutil.copytree(starter, folder)
    services = open_city(data, today=DAY)
    try:
        yield Office(services, create_app(Settings(data_dir=data), services))
    finally:
        services.close()
