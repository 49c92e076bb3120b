"""The compose files, as far as it shows without Docker: none is there where the tests run."""

from __future__ import annotations

import json
import re
import shlex
from ipaddress import ip_network

import pytest

from mcp_echo.settings.load import load
from mcp_echo.settings.table import DECLARED
from tests.deployed import compose, environment_of, only, read

LAPTOP, TRAEFIK = "compose.yaml", "compose.traefik.yaml"
DOMAIN = {"BASE_DOMAIN": "example.com"}
SERVICES = {
    LAPTOP: compose(LAPTOP)["services"]["mcp-echo"],
    TRAEFIK: compose(TRAEFIK, **DOMAIN)["services"]["mcp-echo-stateful"],
}
ROUTER = "traefik.http.routers.mcp-echo-stateful"

each_file = pytest.mark.parametrize("name", SERVICES)


@each_file
def test_every_variable_is_a_setting_with_a_possible_value(name: str) -> None:
    """Our choice: what is started as the file says starts, and warns of nothing."""
    variables = environment_of(SERVICES[name])
    assert set(variables) <= {variable for setting in DECLARED for variable in setting.variables}
    assert load({}, variables).warnings == ()


@each_file
def test_the_log_is_where_docker_looks_for_it(name: str) -> None:
    """docker compose logs shows standard output, and an empty log looks like a server that hangs."""
    assert load({}, environment_of(SERVICES[name])).settings.log_file is None


@each_file
def test_nothing_is_written_and_nothing_is_gained(name: str) -> None:
    """Our choice: a service that is reached from elsewhere has no rights that it does not need."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])


@each_file
def test_health_is_checked_as_the_image_does_it_and_makes_no_session(name: str) -> None:
    """Our choice: an initialize every 30 s would leave as many sessions behind."""
    assert SERVICES[name]["healthcheck"]["test"] == [
        "CMD",
        *json.loads(only("HEALTHCHECK").partition("CMD ")[2]),
    ]


@each_file
def test_what_is_in_flight_may_finish(name: str) -> None:
    """A SIGKILL before MCP_ECHO_DRAIN_TIMEOUT would cut it."""
    grace = float(SERVICES[name]["stop_grace_period"].removesuffix("s"))
    assert grace > load({}, environment_of(SERVICES[name])).settings.drain_timeout


# On a laptop.


def test_on_a_laptop_the_port_is_published_for_this_machine_alone() -> None:
    """Docker publishes on all addresses unless told, and goes past the firewall."""
    (published,) = SERVICES[LAPTOP]["ports"]
    address, outside, inside = published.split(":")
    settings = load({}, environment_of(SERVICES[LAPTOP])).settings
    assert (address, outside, inside) == ("127.0.0.1", settings.port, settings.port)
    assert settings.host == "0.0.0.0"


def test_on_a_laptop_nothing_has_to_be_set_and_nobody_is_believed() -> None:
    """Clients of the machine come from the address of Docker's bridge, as would anybody's."""
    settings = load({}, environment_of(SERVICES[LAPTOP])).settings
    assert settings.trusted_proxies == ()
    assert {"localhost", "mcp-echo", "host.docker.internal"} <= set(settings.allowed_hosts)
    assert SERVICES[LAPTOP]["tty"] is True


# Behind Traefik.


def test_a_deployment_behind_traefik_has_what_it_had_before() -> None:
    """The environment that existing compose files of the echo server have, with the same values."""
    expected = {
        "MCP_ECHO_HOST": "0.0.0.0",
        "MCP_ECHO_PORT": "3000",
        "MCP_ECHO_DEBUG": "true",
        "MCP_SESSION_TIMEOUT": "3600",
        "MCP_PROTOCOL_VERSION": "2025-06-18",
        "ECHO_ENABLE_BINARY": "true",
        "ECHO_LOG_LEVEL": "INFO",
    }
    assert expected.items() <= environment_of(SERVICES[TRAEFIK]).items()


def test_without_a_domain_it_is_not_started() -> None:
    """A router for an empty name would be one for every name."""
    with pytest.raises(ValueError, match="set BASE_DOMAIN"):
        compose(TRAEFIK)


def test_requests_go_through_traefik_and_its_authentication_alone() -> None:
    """The daemon authenticates nobody: without the middleware, or past it, everyone is let in."""
    assert set(SERVICES[TRAEFIK]["labels"]) == {
        "traefik.enable=true",
        f"{ROUTER}.rule=Host(`mcp-echo-stateful.example.com`)",
        f"{ROUTER}.priority=2",
        f"{ROUTER}.middlewares=mcp-auth",
        "traefik.http.services.mcp-echo-stateful.loadbalancer.server.port=3000",
    }
    assert not {"ports", "network_mode"} & set(SERVICES[TRAEFIK])


def test_the_name_that_traefik_routes_is_answered_and_told_to_clients() -> None:
    """Traefik passes Host on; the daemon answers 421 for a name that is not listed."""
    (rule,) = [label for label in SERVICES[TRAEFIK]["labels"] if ".rule=" in label]
    (name,) = re.findall("`(.+?)`", rule)
    settings = load({}, environment_of(SERVICES[TRAEFIK])).settings
    assert name in settings.allowed_hosts
    assert settings.public_url == f"https://{name}"


@pytest.mark.parametrize("variables", [{}, {"INTERNAL_SUBNET": "10.9.8.0/24"}], ids=["default", "chosen"])
def test_traefik_is_believed_about_who_is_calling(variables: dict[str, str]) -> None:
    """Its address is one of the network's, which are the addresses of none but its members."""
    whole = compose(TRAEFIK, **DOMAIN, **variables)
    service = whole["services"]["mcp-echo-stateful"]
    (network,) = service["networks"]
    ((subnet,),) = [[each["subnet"] for each in whole["networks"][network]["ipam"]["config"]]]
    assert load({}, environment_of(service)).settings.trusted_proxies == (subnet,)
    assert ip_network(subnet).is_private


def test_two_nodes_on_redis_are_started_as_the_head_says() -> None:
    """The commands name what is there: the services, the profile, and a store that the settings take."""
    head = re.findall(r"^#   (.*)$", read(TRAEFIK), re.MULTILINE)
    store = next(line for line in head if "MCP_ECHO_STORE" in line).partition("=")[2]
    words = shlex.split(head[-1])
    services = compose(TRAEFIK, **DOMAIN)["services"]

    assert environment_of(services["mcp-echo-stateful"])["MCP_ECHO_STORE"] == "memory:"
    assert store == "redis://:$REDIS_PASSWORD@redis:6379"
    assert load({}, {"MCP_ECHO_STORE": store}).warnings == ()
    assert words[words.index("-f") + 1] == TRAEFIK
    assert services["redis"]["profiles"] == [words[words.index("--profile") + 1]]
    assert words[words.index("--scale") + 1] == "mcp-echo-stateful=2"
    assert "container_name" not in services["mcp-echo-stateful"]


def test_redis_keeps_every_session_and_lets_only_those_in_who_know_the_password() -> None:
    """docs/scaling.md: one that evicts ends sessions; and others are on the network of Traefik."""
    redis = compose(TRAEFIK, **DOMAIN)["services"]["redis"]
    assert "--maxmemory-policy noeviction" in redis["command"][-1]
    assert '--requirepass "$${REDIS_PASSWORD:?' in redis["command"][-1]
    assert redis["environment"] == ["REDIS_PASSWORD"]
