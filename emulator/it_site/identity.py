"""Users, roles and tokens of the site: the decisions behind Keystone, free of HTTP."""

import hashlib
import hmac
import secrets
from datetime import UTC, datetime, timedelta

from emulator.it_site.api import Caller, Site, new_id
from emulator.it_site.faults import ApiError
from emulator.it_site.model import Project, RoleGrant, Token, User

ROLE_NAMES = ("admin", "member", "reader")
DOMAIN_ID = "default"
DOMAIN_NAME = "Default"
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


def hash_password(password: str, salt: str) -> str:
    """Hash with scrypt, N = 4096, r = 8."""
    return hashlib.scrypt(password.encode(), salt=salt.encode(), n=1 << 12, r=8, p=1, dklen=32).hex()


def make_user(user_id: str, name: str, password: str) -> User:
    """Make a user with a fresh salt."""
    salt = secrets.token_hex(16)
    return User(user_id, name, salt, hash_password(password, salt))


def role_id(site: Site, name: str) -> str:
    """Name a role by its id."""
    return site.stable_id("role", name)


def role_names(site: Site) -> dict[str, str]:
    """Role names by id."""
    return {role_id(site, name): name for name in ROLE_NAMES}


def grant(site: Site, project_id: str, user_id: str, role: str) -> RoleGrant:
    """Make the grant of `role` (an id) to a user on a project."""
    return RoleGrant(f"{project_id}/{user_id}/{role}", project_id, user_id, role)


def token_digest(text: str) -> str:
    """Hash a token as it is stored."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def check_password(site: Site, user: User | None, password: str) -> User:
    """Make a user with a fresh salt."""
    """`user` if the password is right; the same 401 whether the user or the password is wrong."""
    wrong = ApiError(401, "The request you have made requires authentication.")
    if user is None:
        hash_password(password, "absent")
        raise wrong
    if not hmac.compare_digest(hash_password(password, user.password_salt), user.password_hash) or not user.enabled:
        raise wrong
    return user


def issue_token(
    site: Site, user: User, project: Project | None, *, not_after: datetime | None = None
) -> tuple[str, Token]:
    """A new token for `user` on `project` (None = unscoped); 401 if the user holds no role there."""
    roles: tuple[str, ...] = ()
    if project is not None:
        names = role_names(site)
        held = {
            names[g.role_id]
            for g in site.state.list(RoleGrant, lambda g: g.user_id == user.id and g.project_id == project.id)
        }
        if not held or not project.enabled:
            raise ApiError(401, "The request you have made requires authentication.")
        roles = tuple(sorted(held))
    issued = site.now().astimezone(UTC)
    expires = issued + timedelta(seconds=site.token_lifetime_s)
    if not_after is not None:
        expires = min(expires, not_after)
    text = secrets.token_urlsafe(48)
    token = Token(
        token_digest(text), user.id, project.id if project else None, roles,
        issued.strftime(_TIME_FORMAT), expires.strftime(_TIME_FORMAT),
    )  # fmt: skip
    with site.state.transaction() as transaction:
        for stale in site.state.list(Token, lambda t: expiry(t) <= issued):
            transaction.delete(stale)
        transaction.put(token)
    return text, token


def expiry(token: Token) -> datetime:
    """Tell when the token ends."""
    return datetime.strptime(token.expires_at, _TIME_FORMAT).replace(tzinfo=UTC)


def find_token(site: Site, text: str) -> Token | None:
    """The live token with this text, or None when it is unknown, revoked or expired."""
    token = site.state.get(Token, token_digest(text))
    return token if token is not None and expiry(token) > site.now() else None


def caller_of(site: Site, text: str | None) -> Caller:
    """The caller behind an `X-Auth-Token`, or 401."""
    token = find_token(site, text) if text else None
    if token is None:
        raise ApiError(401, "The request you have made requires authentication.")
    return Caller(token, "admin" in token.role_names)


def revoke_tokens(site: Site, *, user_id: str | None = None, project_id: str | None = None) -> list[Token]:
    """The tokens that die with a user or a project."""
    return site.state.list(
        Token,
        lambda t: (
            (user_id is not None and t.user_id == user_id) or (project_id is not None and t.project_id == project_id)
        ),
    )


def new_project(name: str, description: str, *, enabled: bool) -> Project:
    """Make a project with an id in Keystone's form."""
    return Project(new_id().replace("-", ""), name, description, enabled)
