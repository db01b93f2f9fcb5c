"""Keystone v3: password and token authentication, catalogue, projects, users, role assignments."""

from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from emulator.it_site import identity
from emulator.it_site.api import Call, Service, Site, json_response, new_id, part, read_body, text
from emulator.it_site.faults import ApiError, not_found
from emulator.it_site.identity import DOMAIN_ID, DOMAIN_NAME
from emulator.it_site.model import Project, Quota, RoleGrant, Token, User

PREFIX = "/identity"
_DOMAIN = {"id": DOMAIN_ID, "name": DOMAIN_NAME}
# Catalogue type, service name, path of the endpoint.
CATALOGUE = (
    ("identity", "keystone", "/identity"),
    ("compute", "nova", "/compute/v2.1"),
    ("volumev3", "cinderv3", "/volume/v3"),
    ("image", "glance", "/image"),
    ("network", "neutron", "/network"),
    ("geysers-power", "geysers-power", "/power"),
)


class Keystone(Service):
    """The identity service of one site."""

    def __init__(self, site: Site, authenticate: Any) -> None:
        super().__init__("identity", PREFIX, authenticate)
        self._site = site
        for path in ("", "/"):
            self.add_open("GET", path, self._versions)
        for path in ("/v3", "/v3/"):
            self.add_open("GET", path, self._version)
        self.add_open("POST", "/v3/auth/tokens", self._authenticate_user)
        self.add("GET", "/v3/auth/tokens", self._show_token)
        self.add("DELETE", "/v3/auth/tokens", self._revoke_token)
        self.add("GET", "/v3/auth/catalog", self._show_catalogue)
        self.add("GET", "/v3/auth/projects", self._own_projects)
        self.add("GET", "/v3/domains", self._list_domains)
        self.add("GET", "/v3/domains/{domain_id}", self._show_domain)
        self.add("GET", "/v3/regions", self._list_regions)
        self._add_projects()
        self._add_users()
        self._add_roles()

    def _add_projects(self) -> None:
        self.add("POST", "/v3/projects", self._create_project, admin=True)
        self.add("GET", "/v3/projects", self._list_projects, admin=True)
        self.add("GET", "/v3/projects/{project_id}", self._show_project)
        self.add("PATCH", "/v3/projects/{project_id}", self._update_project, admin=True)
        self.add("DELETE", "/v3/projects/{project_id}", self._delete_project, admin=True)

    def _add_users(self) -> None:
        self.add("POST", "/v3/users", self._create_user, admin=True)
        self.add("GET", "/v3/users", self._list_users, admin=True)
        self.add("GET", "/v3/users/{user_id}", self._show_user)
        self.add("DELETE", "/v3/users/{user_id}", self._delete_user, admin=True)
        self.add("GET", "/v3/users/{user_id}/projects", self._user_projects)

    def _add_roles(self) -> None:
        self.add("GET", "/v3/roles", self._list_roles)
        self.add("GET", "/v3/roles/{role_id}", self._show_role)
        self.add("GET", "/v3/role_assignments", self._list_assignments, admin=True)
        path = "/v3/projects/{project_id}/users/{user_id}/roles"
        self.add("GET", path, self._roles_on_project, admin=True)
        self.add("PUT", path + "/{role_id}", self._assign, admin=True)
        self.add("GET", path + "/{role_id}", self._check_assignment, admin=True)
        self.add("DELETE", path + "/{role_id}", self._unassign, admin=True)

    # -- discovery ----------------------------------------------------------------------------------------------

    def _version_document(self) -> dict[str, Any]:
        return {
            "id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z",
            "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
            "links": [{"rel": "self", "href": f"{self._site.base_url}{PREFIX}/v3/"}],
        }  # fmt: skip

    async def _versions(self, request: Request) -> Response:
        return json_response({"versions": {"values": [self._version_document()]}}, 300)

    async def _version(self, request: Request) -> Response:
        return json_response({"version": self._version_document()})

    def _catalogue(self) -> list[dict[str, Any]]:
        site = self._site
        return [
            {
                "id": site.stable_id("service", kind), "type": kind, "name": name,
                "endpoints": [
                    {
                        "id": site.stable_id("endpoint", kind, interface), "interface": interface,
                        "region": site.region, "region_id": site.region, "url": site.base_url + path,
                    }
                    for interface in ("public", "internal", "admin")
                ],
            }
            for kind, name, path in CATALOGUE
        ]  # fmt: skip

    # -- tokens -------------------------------------------------------------------------------------------------

    async def _authenticate_user(self, request: Request) -> Response:
        auth = part(await read_body(request), "auth")
        user, not_after = self._identify(part(auth, "identity"))
        project = self._scope(auth)
        token_text, token = identity.issue_token(self._site, user, project, not_after=not_after)
        headers = {"X-Subject-Token": token_text, "Vary": "X-Auth-Token"}
        return json_response({"token": self._token_document(token)}, 201, headers)

    def _identify(self, asked: Any) -> tuple[User, Any]:
        methods = asked.get("methods")
        if methods == ["password"]:
            named = part(part(asked, "password"), "user")
            password = named.get("password")
            if not isinstance(password, str) or len(password) > 4096:
                raise ApiError(400, "Invalid input for field auth.identity.password.user.password: give a string.")
            return identity.check_password(self._site, self._named_user(named), password), None
        if methods == ["token"]:
            token = identity.find_token(self._site, text(part(asked, "token"), "id"))
            user = self._site.state.get(User, token.user_id) if token else None
            if token is None or user is None or not user.enabled:
                raise ApiError(401, "The request you have made requires authentication.")
            return user, identity.expiry(token)
        raise ApiError(401, "Attempted to authenticate with an unsupported method: use password or token.")

    def _named_user(self, named: Any) -> User | None:
        if "id" in named:
            return self._site.state.get(User, text(named, "id"))
        self._check_domain(named)
        name = text(named, "name")
        return next(iter(self._site.state.list(User, lambda user: user.name == name)), None)

    def _check_domain(self, named: Any) -> None:
        domain = part(named, "domain")
        if domain.get("id") != DOMAIN_ID and domain.get("name") != DOMAIN_NAME:
            raise ApiError(401, "The request you have made requires authentication.")

    def _scope(self, auth: Any) -> Project | None:
        if "scope" not in auth or auth["scope"] == "unscoped":
            return None
        asked = part(part(auth, "scope"), "project")
        if "id" in asked:
            project = self._site.state.get(Project, text(asked, "id"))
        else:
            self._check_domain(asked)
            name = text(asked, "name")
            project = next(iter(self._site.state.list(Project, lambda p: p.name == name)), None)
        if project is None:
            raise ApiError(401, "The request you have made requires authentication.")
        return project

    def _token_document(self, token: Token) -> dict[str, Any]:
        user = self._site.state.get(User, token.user_id)
        document: dict[str, Any] = {
            "methods": ["password"], "audit_ids": [token.id[:22]],
            "issued_at": token.issued_at, "expires_at": token.expires_at,
            "user": {
                "id": token.user_id, "name": user.name if user else "", "domain": _DOMAIN, "password_expires_at": None,
            },
        }  # fmt: skip
        if token.project_id is not None:
            project = self._site.state.get(Project, token.project_id)
            document["project"] = {"id": token.project_id, "name": project.name if project else "", "domain": _DOMAIN}
            document["is_domain"] = False
            document["roles"] = [{"id": identity.role_id(self._site, name), "name": name} for name in token.role_names]
            document["catalog"] = self._catalogue()
        return document

    def _subject(self, call: Call) -> Token:
        token = identity.find_token(self._site, call.request.headers.get("X-Subject-Token", ""))
        if token is None or not (call.caller.is_admin or token.user_id == call.caller.token.user_id):
            raise not_found("Token", "in X-Subject-Token")
        return token

    async def _show_token(self, call: Call) -> Response:
        return json_response({"token": self._token_document(self._subject(call))})

    async def _revoke_token(self, call: Call) -> Response:
        with self._site.state.transaction() as transaction:
            transaction.delete(self._subject(call))
        return Response(status_code=204)

    async def _show_catalogue(self, call: Call) -> Response:
        return json_response({"catalog": self._catalogue()})

    # -- domains, regions ---------------------------------------------------------------------------------------

    def _domain_document(self) -> dict[str, Any]:
        return {**_DOMAIN, "enabled": True, "description": "The only domain of the site.", "tags": [], "options": {}}

    async def _list_domains(self, call: Call) -> Response:
        wanted = call.query.get("name", DOMAIN_NAME)
        return json_response({"domains": [self._domain_document()] if wanted == DOMAIN_NAME else []})

    async def _show_domain(self, call: Call) -> Response:
        if call.path["domain_id"] != DOMAIN_ID:
            raise not_found("Domain", call.path["domain_id"])
        return json_response({"domain": self._domain_document()})

    async def _list_regions(self, call: Call) -> Response:
        region = {"id": self._site.region, "description": self._site.name, "parent_region_id": None}
        return json_response({"regions": [region]})

    # -- projects -----------------------------------------------------------------------------------------------

    def _project_document(self, project: Project) -> dict[str, Any]:
        return {
            "id": project.id, "name": project.name, "description": project.description, "enabled": project.enabled,
            "domain_id": DOMAIN_ID, "parent_id": DOMAIN_ID, "is_domain": False, "tags": [], "options": {},
        }  # fmt: skip

    def _project(self, call: Call) -> Project:
        project = self._site.state.get(Project, call.path["project_id"])
        if project is None or not call.caller.owns(project.id):
            raise not_found("Project", call.path["project_id"])
        return project

    def _check_project_name(self, name: str, own_id: str | None = None) -> None:
        if self._site.state.list(Project, lambda p: p.name == name and p.id != own_id):
            raise ApiError(409, f"Conflict occurred attempting to store project - it has the name {name} already.")

    async def _create_project(self, call: Call) -> Response:
        asked = part(call.body, "project")
        name = text(asked, "name")
        if asked.get("domain_id", DOMAIN_ID) not in (DOMAIN_ID, None):
            raise not_found("Domain", str(asked["domain_id"]))
        self._check_project_name(name)
        project = identity.new_project(
            name, text(asked, "description", ""), enabled=asked.get("enabled", True) is not False
        )
        with self._site.state.transaction() as transaction:
            transaction.put(project)
        return json_response({"project": self._project_document(project)}, 201)

    async def _list_projects(self, call: Call) -> Response:
        name = call.query.get("name")
        projects = self._site.state.list(Project, lambda p: name is None or p.name == name)
        return json_response({"projects": [self._project_document(p) for p in projects], "links": {}})

    async def _show_project(self, call: Call) -> Response:
        return json_response({"project": self._project_document(self._project(call))})

    async def _update_project(self, call: Call) -> Response:
        project, asked = self._project(call), part(call.body, "project")
        name = text(asked, "name", project.name)
        self._check_project_name(name, project.id)
        project = replace(
            project, name=name, description=text(asked, "description", project.description),
            enabled=bool(asked.get("enabled", project.enabled)),
        )  # fmt: skip
        with self._site.state.transaction() as transaction:
            transaction.put(project)
        return json_response({"project": self._project_document(project)})

    async def _delete_project(self, call: Call) -> Response:
        project, state = self._project(call), self._site.state
        with state.transaction() as transaction:
            transaction.delete(project)
            for granted in state.list(RoleGrant, lambda g: g.project_id == project.id):
                transaction.delete(granted)
            for token in identity.revoke_tokens(self._site, project_id=project.id):
                transaction.delete(token)
            for quota in state.list(Quota, lambda q: q.id.endswith(f":{project.id}")):
                transaction.delete(quota)
        return Response(status_code=204)

    def _projects_of(self, user_id: str) -> Response:
        granted = {g.project_id for g in self._site.state.list(RoleGrant, lambda g: g.user_id == user_id)}
        projects = self._site.state.list(Project, lambda p: p.id in granted)
        return json_response({"projects": [self._project_document(p) for p in projects], "links": {}})

    async def _own_projects(self, call: Call) -> Response:
        return self._projects_of(call.caller.token.user_id)

    async def _user_projects(self, call: Call) -> Response:
        return self._projects_of(self._user(call).id)

    # -- users --------------------------------------------------------------------------------------------------

    def _user_document(self, user: User) -> dict[str, Any]:
        return {
            "id": user.id, "name": user.name, "enabled": user.enabled, "domain_id": DOMAIN_ID,
            "password_expires_at": None, "options": {},
        }  # fmt: skip

    def _user(self, call: Call) -> User:
        user = self._site.state.get(User, call.path["user_id"])
        if user is None or not (call.caller.is_admin or user.id == call.caller.token.user_id):
            raise not_found("User", call.path["user_id"])
        return user

    async def _create_user(self, call: Call) -> Response:
        asked = part(call.body, "user")
        name = text(asked, "name")
        if self._site.state.list(User, lambda user: user.name == name):
            raise ApiError(409, f"Conflict occurred attempting to store user - the name {name} is taken.")
        user = identity.make_user(new_id().replace("-", ""), name, text(asked, "password"))
        if asked.get("enabled") is False:
            user = replace(user, enabled=False)
        with self._site.state.transaction() as transaction:
            transaction.put(user)
        return json_response({"user": self._user_document(user)}, 201)

    async def _list_users(self, call: Call) -> Response:
        name = call.query.get("name")
        users = self._site.state.list(User, lambda user: name is None or user.name == name)
        return json_response({"users": [self._user_document(user) for user in users], "links": {}})

    async def _show_user(self, call: Call) -> Response:
        return json_response({"user": self._user_document(self._user(call))})

    async def _delete_user(self, call: Call) -> Response:
        user = self._user(call)
        with self._site.state.transaction() as transaction:
            transaction.delete(user)
            for granted in self._site.state.list(RoleGrant, lambda g: g.user_id == user.id):
                transaction.delete(granted)
            for token in identity.revoke_tokens(self._site, user_id=user.id):
                transaction.delete(token)
        return Response(status_code=204)

    # -- roles --------------------------------------------------------------------------------------------------

    def _role_document(self, role_id: str) -> dict[str, Any]:
        names = identity.role_names(self._site)
        if role_id not in names:
            raise not_found("Role", role_id)
        return {"id": role_id, "name": names[role_id], "domain_id": None, "description": "", "options": {}}

    async def _list_roles(self, call: Call) -> Response:
        wanted = call.query.get("name")
        ids = [i for i, name in identity.role_names(self._site).items() if wanted is None or name == wanted]
        return json_response({"roles": [self._role_document(i) for i in ids], "links": {}})

    async def _show_role(self, call: Call) -> Response:
        return json_response({"role": self._role_document(call.path["role_id"])})

    async def _list_assignments(self, call: Call) -> Response:
        query = call.query
        grants = self._site.state.list(
            RoleGrant,
            lambda g: (
                g.user_id == query.get("user.id", g.user_id)
                and g.project_id == query.get("scope.project.id", g.project_id)
                and g.role_id == query.get("role.id", g.role_id)
            ),
        )
        assignments = [
            {"role": {"id": g.role_id}, "user": {"id": g.user_id}, "scope": {"project": {"id": g.project_id}}}
            for g in grants
        ]
        return json_response({"role_assignments": assignments, "links": {}})

    def _grant_of(self, call: Call) -> RoleGrant:
        self._role_document(call.path["role_id"])
        return identity.grant(self._site, self._project(call).id, self._user(call).id, call.path["role_id"])

    async def _roles_on_project(self, call: Call) -> Response:
        project, user = self._project(call), self._user(call)
        grants = self._site.state.list(RoleGrant, lambda g: g.project_id == project.id and g.user_id == user.id)
        return json_response({"roles": [self._role_document(g.role_id) for g in grants], "links": {}})

    async def _assign(self, call: Call) -> Response:
        with self._site.state.transaction() as transaction:
            transaction.put(self._grant_of(call))
        return Response(status_code=204)

    async def _check_assignment(self, call: Call) -> Response:
        if self._site.state.get(RoleGrant, self._grant_of(call).id) is None:
            raise not_found("Role assignment", call.path["role_id"])
        return Response(status_code=204)

    async def _unassign(self, call: Call) -> Response:
        granted = self._site.state.get(RoleGrant, self._grant_of(call).id)
        if granted is None:
            raise not_found("Role assignment", call.path["role_id"])
        with self._site.state.transaction() as transaction:
            transaction.delete(granted)
        return Response(status_code=204)
