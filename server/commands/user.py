"""run.py user: the accounts of the people."""

import getpass

from server.accounts import Accounts
from server.console import CommandError, open_services, with_data
from server.people import MEDIA, ROLES
from server.vault import FILE_NAME as ACCOUNTS_FILE


def add(command):
    words = "The accounts of the people: user add|list|edit|role|reset|disable|enable."
    actions = command("user", None, words, data=False).add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name, run, words, login=True):
        sub = actions.add_parser(name, help=words, description=words)
        sub.set_defaults(run=run)
        with_data(sub)
        if login:
            sub.add_argument("login", help="the name to sign in with")
        return sub

    def scope(sub):
        sub.add_argument("--ward", action="append", metavar="CODE", help="a ward of the person (default: whole city)")
        sub.add_argument("--medium", action="append", choices=MEDIA, help="a medium of the person (default: all)")

    action("list", _user_list, "List everybody, with role, scope and state.", login=False)
    sub = action("add", _user_add, "Add a person and print a one-time password.")
    sub.add_argument("--name", required=True, help="the name as others see it")
    sub.add_argument("--role", required=True, choices=ROLES)
    scope(sub)
    sub = action("edit", _user_edit, "Change the name or the scope; a scope that is given replaces the old one.")
    sub.add_argument("--name", help="the name as others see it")
    scope(sub)
    sub.add_argument("--whole-city", action="store_true", help="no longer tied to wards")
    sub.add_argument("--all-media", action="store_true", help="no longer tied to media")
    sub = action("role", _user_role, "Give a person another role, which signs them out.")
    sub.add_argument("role", choices=ROLES)
    sub = action("reset", _user_reset, "Print a one-time password; also ends the waiting after wrong tries.")
    sub.add_argument("--drop-codes", action="store_true", help="switch one-time codes off (the phone is lost)")
    action("disable", _user_disable, "A person can no longer sign in and is signed out.")
    action("enable", _user_enable, "A disabled person can sign in again.")


def _people(arguments, *, wards=None):
    """The accounts, and the codes that a scope may name where wards are given."""
    if wards:
        from server.accountpages import ward_codes

        services = open_services(arguments)
        return services.accounts, ward_codes(services.store)
    if arguments.action != "add" and not (arguments.data / ACCOUNTS_FILE).is_file():
        raise CommandError(f"There are no accounts in {arguments.data} yet; --data DIR names another folder.")
    accounts = Accounts(arguments.data)
    arguments.opened.callback(accounts.close)
    return accounts, None


def _person(accounts, login):
    try:
        return accounts.named(login)
    except KeyError:
        raise CommandError(f"Nobody signs in as '{login}'. See: run.py user list") from None


def _by():
    return f"console ({getpass.getuser()})"


def _user_list(arguments):
    accounts, _ = _people(arguments)
    for p in accounts.users():
        state = "disabled" if not p.active else "one-time password" if p.must_change else "active"
        wards, media = ", ".join(p.wards) or "whole city", ", ".join(p.media) or "all media"
        codes = "codes on" if p.totp else "codes off"
        print(f"{p.login:20} {p.role:16} {state:18} {codes:10} {p.name}  ({wards}; {media})")


def _user_add(arguments):
    accounts, known = _people(arguments, wards=arguments.ward)
    scope = {"wards": arguments.ward or (), "media": arguments.medium or ()}
    person = accounts.add(_by(), arguments.login, name=arguments.name, role=arguments.role, known_wards=known, **scope)
    print(f"{person.login} was added as {person.role}.")
    _tell_password(accounts.reset(_by(), person.id))


def _user_edit(arguments):
    accounts, known = _people(arguments, wards=arguments.ward)
    person = _person(accounts, arguments.login)
    wards = () if arguments.whole_city else arguments.ward or person.wards
    media = () if arguments.all_media else arguments.medium or person.media
    name = arguments.name or person.name
    accounts.edit(_by(), person.id, name=name, role=person.role, wards=wards, media=media, known_wards=known)
    print(f"{person.login} was changed.")


def _user_role(arguments):
    accounts, _ = _people(arguments)
    person = _person(accounts, arguments.login)
    accounts.edit(_by(), person.id, name=person.name, role=arguments.role, wards=person.wards, media=person.media)
    print(f"{person.login} is now {arguments.role}; every session was ended.")


def _user_reset(arguments):
    accounts, _ = _people(arguments)
    person = _person(accounts, arguments.login)
    _tell_password(accounts.reset(_by(), person.id, drop_codes=arguments.drop_codes))


def _tell_password(password):
    print(f"One-time password, shown only this once: {password}")
    print("At the first sign-in a password of their own is asked for.")


def _user_disable(arguments):
    accounts, _ = _people(arguments)
    accounts.set_active(_by(), _person(accounts, arguments.login).id, False)
    print(f"{arguments.login} can no longer sign in; every session was ended.")


def _user_enable(arguments):
    accounts, _ = _people(arguments)
    accounts.set_active(_by(), _person(accounts, arguments.login).id, True)
    print(f"{arguments.login} can sign in again.")
