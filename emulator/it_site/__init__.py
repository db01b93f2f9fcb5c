"""Hop 8 of 8: one data centre behind the REST dialect of OpenStack.

    openstacksdk ──HTTP──▶ server.py ──▶ keystone.py  projects, users, tokens, catalogue
                                        nova.py      flavours, servers, attachments, hypervisors
                                        cinder.py    volumes, pools
                                        glance.py    the bundled image
                                        neutron.py   networks, subnets, ports
                                        power.py     watts per physical server
                                           │
                                        scheduler.py (pure)   state.py (SQLite, durable before the answer)

Each service answers at its own path below one port; the Keystone catalogue names them all.
"""

from emulator.it_site.server import ItSiteHandle, start_it_site

__all__ = ["ItSiteHandle", "start_it_site"]
