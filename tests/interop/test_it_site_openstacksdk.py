"""openstacksdk drives a live site: the calls a PIP makes, the refusals, and a restart."""

import asyncio
import gc
import json
import stat
from dataclasses import dataclass, field

import keystoneauth1.exceptions
import openstack
import pytest
from openstack import exceptions

from controller.domain.identity import Identity, Role
from controller.security.pki import DevelopmentCa
from emulator.it_site import start_it_site
from emulator.tls import TlsFiles

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning", "ignore::ResourceWarning")


@dataclass(frozen=True)
class Metal:
    vcpus: int = 8
    memory_gib: int = 32
    idle_w: float = 64.0
    max_w: float = 252.0


@dataclass(frozen=True)
class Plant:
    name: str = "dc-ams"
    clli: str = "AMS"
    provider: str = "north"
    servers: tuple[Metal, ...] = field(default_factory=lambda: (Metal(), Metal()))
    storage_gib: int = 200
    pue: float = 1.3


def cloud(handle, **changes):
    settings = json.loads(handle.admin_file.read_text()) | changes
    return openstack.connection.Connection(**settings)


@pytest.fixture
async def site(tmp_path):
    handle = await start_it_site(Plant(), tmp_path, "127.0.0.1", 0, build_s=0.05)
    yield handle
    await handle.close()


def tenant(handle, name="vi-1"):
    """A project of its own with the admin in it; returns (admin connection, project connection, project)."""
    admin = cloud(handle)
    project = admin.identity.create_project(name=name)
    role = admin.identity.find_role("admin")
    user = admin.identity.find_user("admin")
    admin.identity.assign_project_role_to_user(project, user, role)
    return admin, cloud(handle, project_name=name), project


def flavor_of(admin, vcpus=4, ram=8192, name="geysers.4.8"):
    return admin.compute.create_flavor(name=name, vcpus=vcpus, ram=ram, disk=0)


async def test_a_machine_with_a_volume_comes_and_goes(site):
    await asyncio.to_thread(machine_with_volume, site)


def machine_with_volume(site):
    admin, own, project = tenant(site)
    image = own.image.find_image("geysers-minimal")
    flavor = flavor_of(admin)
    server = own.compute.create_server(
        name="vm-1", flavor_id=flavor.id, image_id=image.id, networks="none", metadata={"geysers": "nips-1"}
    )
    server = own.compute.wait_for_server(server, interval=0.05, wait=10)
    assert server.status == "ACTIVE"
    assert server.metadata == {"geysers": "nips-1"}
    volume = own.block_storage.create_volume(size=50, name="vol-1", metadata={"geysers": "nips-1"})
    volume = own.block_storage.wait_for_status(volume, "available", interval=0.05, wait=10)
    own.compute.create_volume_attachment(server, volume)
    assert own.block_storage.get_volume(volume.id).status == "in-use"
    assert [a.volume_id for a in own.compute.volume_attachments(server)] == [volume.id]
    assert [s.id for s in own.compute.servers(name="^vm-1$")] == [server.id]
    assert [v.id for v in own.block_storage.volumes() if v.metadata["geysers"] == "nips-1"] == [volume.id]

    power = admin.session.get("/", endpoint_filter={"service_type": "geysers-power"}).json()["power"]
    assert power["it_power_w"] == pytest.approx(64 + (252 - 64) * 4 / 8)
    assert [s["state"] for s in power["servers"]] == ["active", "asleep"]
    used = [h.vcpus_used for h in admin.compute.hypervisors(details=True)]
    assert used == [4, 0]
    pool = next(iter(admin.block_storage.backend_pools()))
    assert pool.capabilities["free_capacity_gb"] == 150

    with pytest.raises(exceptions.BadRequestException):
        own.block_storage.delete_volume(volume)
    own.compute.delete_volume_attachment(server, volume)
    own.compute.delete_server(server)
    own.compute.wait_for_delete(server, interval=0.05, wait=10)
    own.block_storage.delete_volume(volume)
    admin.compute.delete_flavor(flavor)
    admin.identity.delete_project(project)
    assert admin.identity.find_project("vi-1") is None
    power = admin.session.get("/", endpoint_filter={"service_type": "geysers-power"}).json()["power"]
    assert power["it_power_w"] == 0.0


async def test_refusals_are_the_ones_openstack_gives(site):
    await asyncio.to_thread(refusals, site)


def refusals(site):
    admin, own, project = tenant(site)
    image = own.image.find_image("geysers-minimal")
    flavor = flavor_of(admin)
    with pytest.raises(exceptions.ConflictException):
        admin.identity.create_project(name="vi-1")
    with pytest.raises(exceptions.ConflictException):
        flavor_of(admin)
    with pytest.raises(exceptions.NotFoundException):
        own.compute.get_server("no-such-server")
    with pytest.raises(exceptions.SDKException, match="401"):
        cloud(site, password="wrong").authorize()  # noqa: S106

    admin.compute.update_quota_set(project.id, cores=4)
    own.compute.create_server(name="a", flavor_id=flavor.id, image_id=image.id, networks="none")
    with pytest.raises(exceptions.ForbiddenException, match="Quota exceeded for cores"):
        own.compute.create_server(name="b", flavor_id=flavor.id, image_id=image.id, networks="none")
    admin.block_storage.update_quota_set(project.id, gigabytes=60)
    with pytest.raises(exceptions.HttpException, match="VolumeSizeExceedsAvailableQuota") as refused:
        own.block_storage.create_volume(size=61)
    assert refused.value.status_code == 413

    admin.compute.update_quota_set(project.id, cores=-1)
    large = flavor_of(admin, vcpus=9, name="too.large")
    server = own.compute.create_server(name="c", flavor_id=large.id, image_id=image.id, networks="none")
    with pytest.raises(exceptions.ResourceFailure):
        own.compute.wait_for_server(server, interval=0.05, wait=10)
    assert "No valid host" in own.compute.get_server(server.id).fault["message"]
    admin.block_storage.update_quota_set(project.id, gigabytes=-1)
    volume = own.block_storage.create_volume(size=201)
    with pytest.raises(exceptions.ResourceFailure):
        own.block_storage.wait_for_status(volume, "available", failures=["error"], interval=0.05, wait=10)


async def test_a_member_sees_only_its_own_project(site):
    await asyncio.to_thread(member_is_confined, site)


def member_is_confined(site):
    admin, own, _project = tenant(site)
    flavor, image = flavor_of(admin), own.image.find_image("geysers-minimal")
    foreign = own.compute.create_server(name="a", flavor_id=flavor.id, image_id=image.id, networks="none")
    other = admin.identity.create_project(name="vi-2")
    user = admin.identity.create_user(name="vio-2", password="p-vio-2")  # noqa: S106
    admin.identity.assign_project_role_to_user(other, user, admin.identity.find_role("member"))
    member = cloud(site, username="vio-2", password="p-vio-2", project_name="vi-2")  # noqa: S106
    assert list(member.compute.servers()) == []
    with pytest.raises(exceptions.NotFoundException):
        member.compute.get_server(foreign.id)
    with pytest.raises(exceptions.ForbiddenException):
        list(member.compute.hypervisors())
    with pytest.raises(exceptions.ForbiddenException):
        member.identity.create_project(name="vi-3")
    with pytest.raises(exceptions.SDKException, match="401"):
        cloud(site, username="vio-2", password="p-vio-2", project_name="vi-1").authorize()  # noqa: S106


async def test_networks_and_the_cloud_layer(site):
    await asyncio.to_thread(network_path, site)


def network_path(site):
    admin, own, _ = tenant(site)
    flavor = flavor_of(admin)
    network = own.network.create_network(name="lan-1", provider_segmentation_id=301)
    own.network.create_subnet(network_id=network.id, cidr="10.9.0.0/24", ip_version=4)
    server = own.create_server(
        "vm", image="geysers-minimal", flavor=flavor.name, network="lan-1", auto_ip=False, wait=True, timeout=20
    )
    assert server.addresses["lan-1"][0]["addr"] == "10.9.0.2"
    with pytest.raises(exceptions.ConflictException):
        own.network.delete_network(network)
    assert own.delete_server(server.id, wait=True, timeout=20)
    own.network.delete_network(network)
    assert own.network.find_network("lan-1") is None


async def test_state_survives_a_restart(tmp_path):
    handle = await start_it_site(Plant(), tmp_path, "127.0.0.1", 0, build_s=30.0)
    admin = await asyncio.to_thread(cloud, handle)
    assert stat.S_IMODE(handle.admin_file.stat().st_mode) == 0o600

    def begin():
        flavor = flavor_of(admin)
        image = admin.image.find_image("geysers-minimal")
        return admin.compute.create_server(name="a", flavor_id=flavor.id, image_id=image.id, networks="none")

    server = await asyncio.to_thread(begin)
    url = handle.url
    await handle.close()
    handle = await start_it_site(Plant(), tmp_path, "127.0.0.1", 0, build_s=0.05)
    try:
        assert handle.url == url
        # The token of before the restart is still good, and the half-built machine is finished.
        server = await asyncio.to_thread(admin.compute.wait_for_server, server, interval=0.05, wait=10)
        assert server.status == "ACTIVE"
    finally:
        admin.close()
        await handle.close()


async def test_a_token_expires(tmp_path):
    handle = await start_it_site(Plant(), tmp_path, "127.0.0.1", 0, token_lifetime_s=0)
    try:
        connection = await asyncio.to_thread(cloud, handle)
        token = await asyncio.to_thread(connection.authorize)
        status = await asyncio.to_thread(status_with_token, handle, token)
        assert status == 401
    finally:
        await handle.close()


def status_with_token(handle, token):
    import httpx

    base = handle.url.removesuffix("/identity/v3")
    return httpx.get(f"{base}/compute/v2.1/servers", headers={"X-Auth-Token": token}).status_code


async def test_over_https_the_authority_is_checked(tmp_path):
    mine = DevelopmentCa(tmp_path / "pki").issue(Identity("demo", Role.EMULATOR, "emulator"))
    other = DevelopmentCa(tmp_path / "other").issue(Identity("demo", Role.EMULATOR, "emulator"))
    files = TlsFiles(mine.certificate_file, mine.private_key_file, mine.ca_certificate_file)
    handle = await start_it_site(Plant(), tmp_path / "state", "127.0.0.1", 0, tls=files)
    assert handle.url.startswith("https://")
    projects = await asyncio.to_thread(lambda: [entry.name for entry in cloud(handle).identity.projects()])
    assert projects == ["admin"]
    stranger = cloud(handle, cacert=str(other.ca_certificate_file))
    with pytest.raises((keystoneauth1.exceptions.ClientException, exceptions.SDKException), match=r"SSL|certificate"):
        await asyncio.to_thread(lambda: list(stranger.identity.projects()))
    await handle.close()
    # A handshake that broke off leaves its transport to the collector, which says so; let it say it here.
    gc.collect()
