"""How a mail leaves the house: by SMTP, or into a folder of .eml files where no mail server is set.

The settings lie in mail.toml in the data folder; without that file the folder is used:

    address = "https://cangxanh.example.vn"    how readers reach this site, for the links in mails
    from = "Cảng Xanh <tin@example.vn>"
    host = "smtp.example.vn"
    port = 587
    starttls = true                            false only for a server on this machine or in a closed network
    user = "tin@example.vn"
    password_file = "/etc/cangxanh/smtp"       a file with nothing but the password
"""

import os
import smtplib
import ssl
import tomllib
from contextlib import suppress
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.utils import parseaddr
from pathlib import Path
from urllib.parse import urlsplit

from layers.errors import StoreError

FILE_NAME, FOLDER = "mail.toml", "outbox"
TIMEOUT_S = 30
_KEYS = {"address": str, "from": str, "host": str, "port": int, "starttls": bool, "user": str, "password_file": str}


@dataclass(frozen=True)
class Settings:
    """What mail.toml says. host is empty where mails go into the folder."""

    address: str = "http://127.0.0.1:8000"
    sender: str = "Cảng Xanh <no-reply@localhost>"
    host: str = ""
    port: int = 587
    starttls: bool = True
    user: str = ""
    password: str = field(default="", repr=False)

    @property
    def domain(self):
        return parseaddr(self.sender)[1].partition("@")[2]


class PostError(Exception):
    """A mail that did not leave. lasting: trying again is of no use. whole: no other mail leaves now either.

    unsure: the other side may have taken it. `reason` is short and never holds an address.
    """

    def __init__(self, reason, *, lasting=False, whole=False, unsure=False):
        super().__init__(reason)
        self.reason, self.lasting, self.whole, self.unsure = reason, lasting, whole, unsure


def settings(folder):
    """The Settings of a data folder. Raises StoreError with a sentence about the file."""
    path = Path(folder) / FILE_NAME
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise StoreError(f"{path} cannot be read ({e}). Mend it, or take it away to keep mails in a folder.") from e
    wrong = [k for k in found if k not in _KEYS] + [
        k for k, v in found.items() if k in _KEYS and type(v) is not _KEYS[k]
    ]
    if wrong:
        raise StoreError(f"{path}: {', '.join(wrong)} cannot be used. Known: {', '.join(_KEYS)}.")
    made = Settings(
        address=found.get("address", Settings.address).rstrip("/"), sender=found.get("from", Settings.sender),
        host=found.get("host", ""), port=found.get("port", 587), starttls=found.get("starttls", True),
        user=found.get("user", ""), password=_password(path, found.get("password_file")),
    )  # fmt: skip
    parts = urlsplit(made.address)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise StoreError(f"{path}: address must be an address such as https://cangxanh.example.vn.")
    try:
        Address(addr_spec=parseaddr(made.sender)[1])
    except Exception as e:
        raise StoreError(f"{path}: from must be a mail address such as Cảng Xanh <tin@example.vn>.") from e
    if made.user and not made.password:
        raise StoreError(f"{path}: user needs a password_file.")
    return made


def _password(path, named):
    if not named:
        return ""
    try:
        return Path(path.parent, named).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as e:
        raise StoreError(f"{path}: the password file cannot be read ({e}).") from e


def office(made, folder):
    """The post office of these settings: a context manager with deliver(number, message, handing)."""
    return Smtp(made) if made.host else Outbox(Path(folder) / FOLDER)


class Outbox:
    """Mails as files, one for each number; the same number again changes nothing. For the owner's eyes only."""

    certain = True  # after a crash it can be seen what was delivered

    def __init__(self, folder):
        self.folder = folder

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):
            os.chmod(self.folder, 0o700)
        return self

    def __exit__(self, *_):
        pass

    def deliver(self, number, message, handing):
        handing()
        path = self.folder / f"{number:08d}.eml"
        part = path.with_suffix(".part")
        try:
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(message.as_bytes())
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        except OSError as e:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise PostError(f"the outbox cannot be written ({e.strerror})", whole=True) from e


class Smtp:
    """One connection for a batch of mails, opened at the first one."""

    certain = False

    def __init__(self, made):
        self._set, self._line = made, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._hang_up()

    def deliver(self, number, message, handing):
        """Hand one mail over. handing() is called when nothing can fail any more but the handing over itself."""
        line = self._line or self._call()
        try:
            self._ask(line.mail(parseaddr(self._set.sender)[1]), whole=True)
            self._ask(line.rcpt(message["To"].addresses[0].addr_spec))
        except PostError:
            self._reset()
            raise
        except (smtplib.SMTPException, OSError) as e:
            self._hang_up()
            raise PostError(f"the mail server hung up ({type(e).__name__})", whole=True) from e
        handing()
        try:
            self._ask(line.data(message.as_bytes()))
        except PostError:
            self._reset()
            raise
        except smtplib.SMTPDataError as e:
            self._reset()
            raise _refused(e.smtp_code) from e
        except (smtplib.SMTPException, OSError) as e:
            self._hang_up()
            raise PostError(f"the mail server hung up while it took the mail ({type(e).__name__})", unsure=True) from e

    def _call(self):
        s, safe = self._set, ssl.create_default_context()
        try:
            if s.port == 465:
                line = smtplib.SMTP_SSL(s.host, s.port, timeout=TIMEOUT_S, context=safe)
            else:
                line = smtplib.SMTP(s.host, s.port, timeout=TIMEOUT_S)
            self._line = line
            line.ehlo()
            if s.starttls and s.port != 465:
                line.starttls(context=safe)
                line.ehlo()
            if s.user:
                line.login(s.user, s.password)
        except (smtplib.SMTPException, OSError) as e:
            self._hang_up()
            code = getattr(e, "smtp_code", "")
            raise PostError(
                f"the mail server cannot be reached ({type(e).__name__} {code})".replace(" )", ")"), whole=True
            ) from e
        return line

    @staticmethod
    def _ask(answer, *, whole=False):
        if answer[0] // 100 != 2:
            raise _refused(answer[0], whole=whole)

    def _reset(self):
        try:
            self._line.rset()
        except (smtplib.SMTPException, OSError):
            self._hang_up()

    def _hang_up(self):
        line, self._line = self._line, None
        if line is not None:
            with suppress(smtplib.SMTPException, OSError):
                line.quit()
            line.close()


def _refused(code, *, whole=False):
    return PostError(f"refused by the mail server ({code})", lasting=code // 100 == 5 and not whole, whole=whole)
