"""One running system for all tests that only ask it, and leave it as it was."""

from __future__ import annotations

import uuid

import pytest_asyncio

from controller.api.operator_client import InfrastructureClient, NipsClient
from controller.audit.invariants import violations
from controller.audit.reading import observe
from controller.demo.wishes import ALPHA, ALPHA_BAND, ALPHA_VI, BETA, BETA_BAND, BETA_VI, anycast_demand, ring
from tests.e2e.wire import World, running_stack


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world():
    """Two operators on one substrate, each with its controller; alpha has a service running."""
    async with running_stack() as stack:
        made = {}
        for vio, vi_id, band in ((ALPHA, ALPHA_VI, ALPHA_BAND), (BETA, BETA_VI, BETA_BAND)):
            operator = stack.operator(vio)
            vip = InfrastructureClient(stack.target("vip"), operator)
            made[vio] = await vip.create(vi_id, ring(band, operator.ssh_public_key), str(uuid.uuid4()))
            await vip.close()
            await stack.start_ncp(vio, vi_id)
        ncp = NipsClient(stack.target("ncp-alpha"), stack.operator(ALPHA))
        service = await ncp.create(anycast_demand(ncp.name_of("backup")), str(uuid.uuid4()))
        await ncp.close()
        yield World(stack, made[ALPHA], made[BETA], service.demand.name)
        assert violations(await observe(stack.access)) == []
