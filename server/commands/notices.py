"""run.py notices: letters to readers."""

from server.console import open_services


def add(command):
    sub = command("notices", run, "Tell how many readers and letters there are; --send writes and sends what is due.")
    sub.add_argument("--send", action="store_true", help="as the running server does every minute by itself")


def run(arguments):
    services = open_services(arguments)
    if arguments.send:
        services.rounds()
    for name, count in services.notices.counts().items():
        print(f"{name:10} {count}")
