"""Single sign-on by OpenID Connect: the authorisation-code flow with PKCE, state and nonce. Optional.

Set up by the file oidc.toml in the data folder, or by environment variables of the same names in
capitals with CANGXANH_OIDC_ before them (ROLES as value=role,value=role), which come first:

    issuer = "https://login.example.gov.vn/realms/city"
    client_id = "cang-xanh"
    secret_file = "oidc-secret.txt"     # beside this file, or a whole path; none for a public client
    label = "Office login"              # what the button says
    claim = "groups"                    # where the provider tells a person's groups; a.b reaches into a
    site = "https://map.example.gov.vn" # only where a proxy hides the public address
    [roles]
    "env-inspectors" = "inspector"      # value of the claim = role; the first that fits counts

Who has none of these values is refused. The library is imported only where it is used: without it
(requirements-oidc.txt) everything else works.
"""

import logging
import re
import secrets
import time
import tomllib
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from server.i18n import N_
from server.people import LOGIN, ROLES

log = logging.getLogger("cangxanh")
FILE_NAME = "oidc.toml"
PREFIX = "CANGXANH_OIDC_"
ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]  # signatures of a key pair; never "none" or a shared secret
KNOWN = ("issuer", "client_id", "secret_file", "label", "claim", "site", "scope", "login_claim", "name_claim", "roles")
TIMEOUT_S = 10
KEEP_S = 3600  # how long what the provider publishes about itself is kept
LEEWAY_S = 60


class OidcError(Exception):
    """A sign-in that did not come about. `sentence` is for people; the log has the rest."""

    def __init__(self, sentence, **values):
        self.sentence, self.values = sentence, values
        super().__init__(sentence % values)


class SetupError(ValueError):
    """What is wrong in oidc.toml or the variables, as one sentence for the administrator."""


@dataclass(frozen=True)
class Provider:
    """Who vouches for people, and what their words mean here. roles: (value of the claim, role) in order."""

    issuer: str
    client_id: str
    secret: str = field(default="", repr=False)
    label: str = ""
    claim: str = "groups"
    roles: tuple[tuple[str, str], ...] = ()
    scope: str = "openid profile"
    login_claim: str = "preferred_username"
    name_claim: str = "name"
    site: str = ""
    _known: dict = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True)
class Person:
    """Whom the provider vouches for. subject: issuer and subject, which never change."""

    subject: str
    login: str
    name: str
    role: str


def provider_of(data_dir, environment):
    """The Provider that is set up, or None. Raises SetupError."""
    file, given = Path(data_dir) / FILE_NAME, {}
    if file.is_file():
        try:
            given = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
            raise SetupError(f"{file} cannot be read ({e}).") from e
    for key in KNOWN:
        if environment.get(PREFIX + key.upper()):
            given[key] = environment[PREFIX + key.upper()]
    if not given:
        return None
    unknown = sorted(set(given) - set(KNOWN))
    if unknown:
        raise SetupError(f"Single sign-on does not know {', '.join(unknown)}; it knows {', '.join(KNOWN)}.")
    missing = [key for key in ("issuer", "client_id", "roles") if not given.get(key)]
    if missing:
        raise SetupError(f"Single sign-on needs {', '.join(missing)} too.")
    address = urlsplit(given["issuer"])
    here = address.hostname in ("127.0.0.1", "localhost", "::1")
    if not address.hostname or (address.scheme != "https" and not (here and address.scheme == "http")):
        raise SetupError("The issuer of single sign-on must be an https address.")
    if given.get("site") and not re.fullmatch(r"https?://[^/\s]+", given["site"]):
        raise SetupError("site must be an address without a path, such as https://map.example.gov.vn.")
    secret = _secret(given.pop("secret_file", None), file.parent)
    roles = _roles(given.pop("roles"))
    given["label"] = given.get("label") or address.hostname
    return Provider(secret=secret, roles=roles, **given)


def _secret(name, folder):
    if not name:
        return ""
    try:
        return (folder / name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as e:
        raise SetupError(f"The secret of single sign-on cannot be read from {folder / name} ({e}).") from e


def _roles(given):
    if isinstance(given, str):
        pairs = [tuple(p.strip() for p in pair.partition("=")[::2]) for pair in given.split(",")]
    elif isinstance(given, dict):
        pairs = list(given.items())
    else:
        raise SetupError("roles of single sign-on are written value = role.")
    for value, role in pairs:
        if not value or role not in ROLES:
            raise SetupError(f"Single sign-on: '{value} = {role}' gives no role; the roles are {', '.join(ROLES)}.")
    return tuple(pairs)


def missing_library():
    """What to install where the library is not there, as a sentence; None where it is."""
    if find_spec("authlib") and find_spec("joserfc"):
        return None
    return "Single sign-on is set up, but authlib is not installed: pip install -r requirements-oidc.txt"


def start(provider, back):
    """Where to send the browser, and what to hold for its return: {state, nonce, verifier}.

    back: the address of ours that the provider sends the browser back to.
    """
    about = _about(provider)
    held = {
        "state": secrets.token_urlsafe(24),
        "nonce": secrets.token_urlsafe(24),
        "verifier": secrets.token_urlsafe(48),
    }
    address, _state = _client(provider, back).create_authorization_url(
        about["authorization_endpoint"], state=held["state"], nonce=held["nonce"], code_verifier=held["verifier"]
    )
    return address, held


def finish(provider, back, held, answer):
    """The Person for what came back. held: what start() gave; answer: the values in the address. Raises OidcError."""
    if not held or not secrets.compare_digest(answer.get("state", "").encode(), held["state"].encode()):
        raise OidcError(N_("That took too long, or it was not begun here. Sign in once more."))
    if answer.get("iss", provider.issuer) != provider.issuer:
        raise _strange("the answer names another issuer")
    if answer.get("error") or not answer.get("code"):
        log.warning("single sign-on: the provider answered %r", answer.get("error", "nothing")[:100])
        raise OidcError(N_("%(name)s did not sign you in."), name=provider.label)
    import requests
    from authlib.common.errors import AuthlibBaseError

    about = _about(provider)
    try:
        token = _client(provider, back).fetch_token(
            about["token_endpoint"], grant_type="authorization_code", code=answer["code"],
            code_verifier=held["verifier"], redirect_uri=back,
        )  # fmt: skip
    except (AuthlibBaseError, requests.RequestException, ValueError) as e:
        raise _strange(f"the code was not exchanged: {e}") from e
    claims = _claims(provider, token.get("id_token"), held["nonce"])
    return _person(provider, claims)


def _strange(detail):
    log.warning("single sign-on: %s", str(detail)[:500])
    return OidcError(N_("Single sign-on gave an answer that cannot be trusted. Try again, or tell an administrator."))


def _client(provider, back):
    from authlib.integrations.requests_client import OAuth2Session

    return OAuth2Session(
        provider.client_id, provider.secret or None, redirect_uri=back, scope=provider.scope,
        code_challenge_method="S256", default_timeout=TIMEOUT_S,
        token_endpoint_auth_method="client_secret_basic" if provider.secret else "none",
    )  # fmt: skip


def _fetched(provider, what, address):
    """A JSON object that the provider publishes, kept for a while."""
    import requests

    held = provider._known.get(what)
    if held and held[0] > time.monotonic() - KEEP_S:
        return held[1]
    try:
        answer = requests.get(address, timeout=TIMEOUT_S, headers={"Accept": "application/json"})
        answer.raise_for_status()
        found = answer.json()
    except (requests.RequestException, ValueError) as e:
        log.warning("single sign-on: %s cannot be read: %s", address, e)
        raise OidcError(N_("%(name)s cannot be reached now. Sign in with a password, or try later."),
                        name=provider.label) from e  # fmt: skip
    provider._known[what] = (time.monotonic(), found)
    return found


def _about(provider):
    found = _fetched(provider, "about", provider.issuer.rstrip("/") + "/.well-known/openid-configuration")
    if not isinstance(found, dict) or found.get("issuer") != provider.issuer:
        provider._known.clear()
        raise _strange(f"the provider calls itself {found.get('issuer') if isinstance(found, dict) else found!r}")
    return found


def _claims(provider, id_token, nonce, *, again=True):
    """What the ID token says, after its signature, issuer, audience, times and nonce were checked."""
    from joserfc import errors, jwk, jwt

    if not isinstance(id_token, str):
        raise _strange("no ID token came")
    try:
        keys = jwk.KeySet.import_key_set(_fetched(provider, "keys", _about(provider)["jwks_uri"]))
        claims = jwt.decode(id_token, keys, algorithms=ALGORITHMS).claims
        fixed = {k: {"essential": True, "value": v} for k, v in (("iss", provider.issuer), ("nonce", nonce))}
        needed = {k: {"essential": True} for k in ("sub", "exp", "iat")}
        aud = {"essential": True, "value": provider.client_id}
        jwt.JWTClaimsRegistry(leeway=LEEWAY_S, **fixed, **needed, aud=aud).validate(claims)
    except (errors.InvalidKeyIdError, errors.BadSignatureError, ValueError) as e:
        if again and provider._known.pop("keys", None):
            return _claims(provider, id_token, nonce, again=False)  # the provider may have new keys
        raise _strange(f"the ID token is not signed by the provider: {e}") from e
    except (errors.JoseError, KeyError, TypeError) as e:
        raise _strange(f"the ID token is not good: {e}") from e
    if claims.get("azp", provider.client_id) != provider.client_id or not isinstance(claims["sub"], str):
        raise _strange("the ID token was made for another program")
    return claims


def _person(provider, claims):
    found = claims
    for part in provider.claim.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    has = {found} if isinstance(found, str) else set(map(str, found)) if isinstance(found, list) else set()
    role = next((role for value, role in provider.roles if value in has), None)
    if role is None:
        log.warning("single sign-on: %s has none of the values that give a role", str(claims["sub"])[:100])
        raise OidcError(N_("You are known to %(name)s, but you have no role here. Ask an administrator."),
                        name=provider.label)  # fmt: skip
    login = re.sub(r"[^a-z0-9._@-]", "", str(claims.get(provider.login_claim) or claims["sub"]).lower()).strip("._@-")
    login = login[:56].strip("._@-")
    name = " ".join(str(claims.get(provider.name_claim) or login).split())[:100]
    if not LOGIN.fullmatch(login):
        raise _strange("no name to sign in with can be made of the ID token")
    return Person(f"{provider.issuer}|{claims['sub']}", login, name if name.isprintable() else login, role)
