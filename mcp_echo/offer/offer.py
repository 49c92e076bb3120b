"""Everything a server offers: tools, resources, prompts, extensions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Raw

from mcp_echo.offer.prompts import PROMPTS, Prompt
from mcp_echo.offer.resources import RESOURCES, TEMPLATES, Resource, Template
from mcp_echo.offer.trace_resources import TRACE_RESOURCES, TRACE_TEMPLATES
from mcp_echo.settings.table import Settings
from mcp_echo.tools.base import Call, Catalogue
from mcp_echo.tools.catalogue import catalogue

ModernMethod = Callable[[Raw, Call], Any]


@dataclass(frozen=True, slots=True)
class Offer:
    """What one server offers, each in the order its list has it."""

    tools: Catalogue
    resources: Mapping[str, Resource]
    templates: tuple[Template, ...]
    prompts: Mapping[str, Prompt]
    extensions: Mapping[str, Any] = field(default_factory=dict)
    """Extension → what the server declares of it (modern era)."""
    methods: Mapping[str, ModernMethod] = field(default_factory=dict)
    """Methods that extensions add (modern era)."""


def diagnostic_offer(settings: Settings) -> Offer:
    """Return what the server offers for diagnosis."""
    tools = catalogue(settings)
    if settings.watch == "off":
        return Offer(tools, RESOURCES, TEMPLATES, PROMPTS)
    return Offer(tools, {**RESOURCES, **TRACE_RESOURCES}, (*TEMPLATES, *TRACE_TEMPLATES), PROMPTS)
