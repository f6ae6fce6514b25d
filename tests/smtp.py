"""A small mail server on this machine, with manners that a test can set.

with smtp.server() as here:
    ...send to here.host, here.port...
assert here.letters[0].to == ["a@example.vn"]
"""

import base64
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default


@dataclass
class Letter:
    sender: str
    to: list
    message: object


@dataclass
class Server:
    """password: asked for where set, as (user, password). rcpt, data: what is answered instead of 250.

    drop: "before_data" or "in_data" hangs up there. takes_then_dies: takes the mail, answers nothing.
    """

    host: str
    port: int
    password: tuple | None = None
    rcpt: dict = field(default_factory=dict)
    data: str | None = None
    drop: str | None = None
    takes_then_dies: bool = False
    letters: list = field(default_factory=list)
    lines: list = field(default_factory=list)
    calls: int = 0


@contextmanager
def server(**manners):
    listening = socket.create_server(("127.0.0.1", 0))
    made = Server(*listening.getsockname()[:2], **manners)
    threads = []

    def accept():
        while True:
            try:
                line, _address = listening.accept()
            except OSError:
                return
            made.calls += 1
            threads.append(threading.Thread(target=_talk, args=(made, line), daemon=True))
            threads[-1].start()

    first = threading.Thread(target=accept, daemon=True)
    first.start()
    try:
        yield made
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        first.join()
        for thread in threads:
            thread.join()


def _talk(made, line):
    with line, line.makefile("rb") as heard:
        line.settimeout(30)

        def say(text):
            line.sendall(text.encode() + b"\r\n")

        say("220 here")
        sender, to, signed_in = "", [], made.password is None
        for raw in heard:
            told = raw.decode("utf-8").rstrip("\r\n")
            made.lines.append(told)
            verb = told.partition(" ")[0].upper()
            if verb == "EHLO":
                say("250-here\r\n250 AUTH PLAIN" if made.password else "250 here")
            elif verb == "AUTH":
                want = "\0" + "\0".join(made.password)
                signed_in = base64.b64decode(told.split()[2]).decode() == want
                say("235 good" if signed_in else "535 wrong")
            elif verb == "MAIL":
                sender, to = told.partition("<")[2].partition(">")[0], []
                say("250 good" if signed_in else "530 sign in first")
            elif verb == "RCPT":
                address = told.partition("<")[2].partition(">")[0]
                answer = made.rcpt.get(address, "250 good")
                to += [address] if answer.startswith("250") else []
                say(answer)
            elif verb == "DATA":
                if made.drop == "before_data":
                    return
                say("354 go on")
                body = []
                for part in heard:
                    if part == b".\r\n":
                        break
                    body.append(part.removeprefix(b".") if part.startswith(b"..") else part)
                    if made.drop == "in_data":
                        return
                if made.data:
                    say(made.data)
                    continue
                made.letters.append(Letter(sender, to, message_from_bytes(b"".join(body), policy=default)))
                if made.takes_then_dies:
                    return
                say("250 taken")
            elif verb in ("RSET", "NOOP"):
                say("250 good")
            elif verb == "QUIT":
                say("221 bye")
                return
            else:
                say("500 what?")
