"""The methods that both eras have: what each answers."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Raw

from mcp_echo import __version__
from mcp_echo.offer.offer import Offer
from mcp_echo.offer.prompts import Prompt
from mcp_echo.offer.resources import SESSION_URI, no_resource
from mcp_echo.protocol.errors import (
    MAX_MESSAGE,
    InvalidParams,
    MethodNotFound,
)
from mcp_echo.protocol.jsonrpc import NO_PARAMS
from mcp_echo.protocol.modern import read_params
from mcp_echo.protocol.revisions import Revision, Supported
from mcp_echo.redaction import excerpt, quoted
from mcp_echo.sessions.held import call_bytes
from mcp_echo.tools.base import (
    Answer,
    Answered,
    ArgumentError,
    AskError,
    Call,
    ServerContext,
    Tool,
    ToolError,
    UnknownToolError,
    WholeResult,
)
from mcp_echo.tools.handles import may_watch
from mcp_echo.tools.schemas import without_nulls

INSTRUCTIONS = (
    "mcp-echo shows what reaches an MCP server. Call echo and replayLastEcho to test that state survives, "
    "printHeader and authContext to see which headers arrive, sessionInfo for the session, healthProbe for "
    "the server, and clientProbe to test the client. Where there is no protocol session, createEchoSession "
    "makes a handle to pass on."
)

_OBJECT_OR_NULL = (b"{", b"n")
"""What the arguments of a tool begin with, given or not."""

MAX_COMPLETIONS = 100
"""Most values of one completion (server/utilities/completion, Completion Results)."""


class NamedCall(msgspec.Struct, frozen=True):
    """The params of ``tools/call``."""

    name: str
    arguments: Raw = NO_PARAMS


class PromptCall(msgspec.Struct, frozen=True):
    """The params of ``prompts/get``."""

    name: str
    arguments: dict[str, str] = {}


class Uri(msgspec.Struct, frozen=True):
    """The params of the methods that name a resource."""

    uri: Annotated[str, msgspec.Meta(max_length=2048)]


class _Page(msgspec.Struct, frozen=True):
    cursor: str | None = None


class _Reference(msgspec.Struct, frozen=True):
    type: str
    name: str | None = None
    uri: str | None = None


class _Begun(msgspec.Struct, frozen=True):
    name: str
    value: str


class _Completion(msgspec.Struct, frozen=True):
    ref: _Reference
    argument: _Begun


read_call = msgspec.json.Decoder(NamedCall).decode
read_prompt_call = msgspec.json.Decoder(PromptCall).decode
read_uri = msgspec.json.Decoder(Uri).decode
_read_page = msgspec.json.Decoder(_Page).decode
_read_completion = msgspec.json.Decoder(_Completion).decode

Method = Callable[[Raw, Call], Any]


class LateResult(NamedTuple):
    """A result that takes its time: nothing of it happens before its request is kept."""

    make: Callable[[], Coroutine[Any, Any, Any]]
    """Begins the work, and returns the result."""


class MethodTable(dict[str, Method]):
    """Name → method; one that is not offered is refused, and not just missing."""

    def __missing__(self, name: str) -> Method:
        raise MethodNotFound(f"Method not found: {excerpt(name)}")


class Methods:
    """What the server can do.

    Args:
        context: What tools may know.
        offer: What it offers.
        supported: The revisions it speaks.
    """

    def __init__(self, context: ServerContext, offer: Offer, supported: Supported) -> None:
        self.context = context
        self.offer = offer
        self.supported = supported
        self._limits = context.limits
        self._limits_calls = context.limits.limits_calls
        self._page_size = context.settings.page_size
        self._tool_lists = {
            revision: [tool.describe(revision) for tool in offer.tools.values()]
            for revision in supported.rows
        }
        self.table: dict[str, Method] = {
            "tools/list": self._tools_list,
            "tools/call": self._tools_call,
            "resources/list": self._resources_list,
            "resources/templates/list": self._resource_templates_list,
            "resources/read": self._resources_read,
            "prompts/list": self._prompts_list,
            "prompts/get": self._prompts_get,
            "completion/complete": self._complete,
        }

    def capabilities(self, revision: Revision) -> dict[str, Any]:
        """Return what a server of this revision declares."""
        declared: dict[str, Any] = {
            "tools": {"listChanged": True},
            "resources": {"subscribe": True, "listChanged": True},
            "prompts": {"listChanged": True},
            "logging": {},
        }
        if revision.completions_capability:
            declared["completions"] = {}
        if revision.stateless and self.offer.extensions:
            declared["extensions"] = dict(self.offer.extensions)
        return declared

    @staticmethod
    def implementation(revision: Revision) -> dict[str, Any]:
        """Return what the server says of itself."""
        described = {"name": "mcp-echo", "version": __version__}
        if revision.titles:
            described["title"] = "mcp-echo"
        if revision.implementation_details:
            described["description"] = "A stateful diagnostic MCP server"
        return described

    def tool(self, name: str) -> Tool[Any]:
        """Return a tool.

        Raises:
            UnknownToolError: There is none of this name.
        """
        tool = self.offer.tools.get(name)
        if tool is None:
            raise UnknownToolError(name)
        return tool

    def _admit_call(self, call: Call) -> None:
        """Keep calls within their rate.

        Servers MUST limit the rate of tool invocations, and that of completions:
        https://modelcontextprotocol.io/specification/2025-11-25/server/tools#security-considerations

        Raises:
            CallsTooFast: They come too fast.
        """
        if call.session is not None:
            self._limits.admit_call(call.session, call.request.arrived, call.request)
        else:
            self._limits.admit_call_from(call.caller().address, call.arrived, call.effects)

    def _later(self, make: Callable[[], Coroutine[Any, Any, Any]], params: Raw, call: Call) -> LateResult:
        """Return work that counts as held from its beginning to its end.

        Raises:
            TooMuchInFlight: It would be one too many.
        """
        if call.session is not None:
            self._limits.check_in_flight(call.session, call.effects)
            call.session.expect_work()
        else:
            caller = call.caller()
            self._limits.check_in_flight_of(caller.principal, caller.address, call.effects)
        size = call_bytes(len(bytes(params)), call.read_headers())
        return LateResult(partial(self._hold, make, size, call))

    async def _hold(self, make: Callable[[], Coroutine[Any, Any, Any]], size: int, call: Call) -> Any:
        """Do work that takes its time, if there is room to hold it meanwhile.

        Raises:
            TooMuchHeldByOne: Its caller would hold more than its share.
            TooMuchHeld: All callers together would hold more than they may.
        """
        hold = self._limits.hold(call.caller(), size)
        try:
            return await make()
        finally:
            hold.release()

    # Tools.

    def _tools_list(self, params: Raw, call: Call) -> Any:
        call.effects.then(self.context.subscriptions.note_read, call.reader)
        return self._page("tools", self._tool_lists[call.revision], params)

    def _tools_call(self, params: Raw, call: Call) -> Any:
        if self._limits_calls:
            self._admit_call(call)
        named = read_params(read_call, params)
        call.tool = named.name
        tool = self.tool(named.name)
        if bytes(named.arguments)[:1] not in _OBJECT_OR_NULL:
            raise InvalidParams("Invalid params: arguments must be an object")
        if call.log_level is not None:
            call.log("debug", {"tool": tool.name, "event": "started"})
        try:
            arguments = tool.read(named.arguments)
            if tool.is_later:
                return self._later(partial(self._run_later, tool, arguments, call), params, call)
            answer = tool.run(call, arguments)
        except ToolError as error:
            answer = _failed(error)
        except ArgumentError as error:
            if not call.revision.argument_errors_are_results:
                raise InvalidParams(str(error)) from None
            answer = _failed(error)
        return self._tool_result(tool, answer, call)

    async def _run_later(self, tool: Tool[Any], arguments: Any, call: Call) -> Any:
        try:
            answer = await tool.run(call, arguments)
        except (ToolError, AskError) as error:
            answer = _failed(error)
        return self._tool_result(tool, answer, call)

    def _tool_result(self, tool: Tool[Any], answer: Answered, call: Call) -> dict[str, Any]:
        if isinstance(answer, WholeResult):
            return answer
        if call.log_level is not None:
            seconds = round(self.context.now() - call.arrived, 6)
            call.log("info", {"tool": tool.name, "event": "answered", "seconds": seconds})
        if not tool.read_only and not answer.is_error and call.session is not None:
            call.session.tell_changed(SESSION_URI)
        text = () if answer.text is None else ({"type": "text", "text": answer.text},)
        result: dict[str, Any] = {"content": [*text, *answer.content]}
        if call.revision.structured_content and answer.structured is not None:
            structured = answer.structured
            result["structuredContent"] = without_nulls(structured) if tool.has_nulls else structured
        result["isError"] = answer.is_error
        return result

    # Resources.

    def _resources_list(self, params: Raw, call: Call) -> Any:
        call.effects.then(self.context.subscriptions.note_read, call.reader)
        entries = [
            each.describe(call.revision)
            for each in self.offer.resources.values()
            if not (call.revision.stateless and each.uri == SESSION_URI)
        ]
        return self._page("resources", entries, params)

    def _resource_templates_list(self, params: Raw, call: Call) -> Any:
        entries = [each.describe(call.revision) for each in self.offer.templates]
        return self._page("resourceTemplates", entries, params)

    def _resources_read(self, params: Raw, call: Call) -> Any:
        uri = read_params(read_uri, params).uri
        resource = self.offer.resources.get(uri)
        if resource is not None:
            if resource.is_later:
                read = partial(self._read_later, uri, resource.mime_type, partial(resource.read, call))
                return self._later(read, params, call)
            return _contents(uri, resource.mime_type, resource.read(call))
        for template in self.offer.templates:
            variable = template.match(uri)
            if variable is not None and template.is_later:
                begin = partial(template.read, call, variable)
                return self._later(partial(self._read_later, uri, template.mime_type, begin), params, call)
            if variable is not None:
                return _contents(uri, template.mime_type, template.read(call, variable))
        raise no_resource(uri)

    def has_resource(self, uri: str, principal: str | None) -> bool:
        """Return whether a caller can read ``uri``, and so may ask to hear of its changes.

        A handle that is unknown, expired or someone else's leads to nothing, in whichever way it is named.
        """
        if uri in self.offer.resources:
            return True
        fits = any(template.leads_to(self.context, uri) for template in self.offer.templates)
        return fits and may_watch(self.context.store, principal, uri)

    @staticmethod
    async def _read_later(uri: str, mime_type: str, begin: Callable[[], Any]) -> Any:
        return _contents(uri, mime_type, await begin())

    # Prompts and completion.

    def _prompts_list(self, params: Raw, call: Call) -> Any:
        call.effects.then(self.context.subscriptions.note_read, call.reader)
        return self._page(
            "prompts", [prompt.describe(call.revision) for prompt in self.offer.prompts.values()], params
        )

    def _prompts_get(self, params: Raw, call: Call) -> Any:
        wanted = read_params(read_prompt_call, params)
        prompt = self.offer.prompts.get(wanted.name)
        if prompt is None:
            raise InvalidParams(f"Unknown prompt: {excerpt(wanted.name)}")
        prompt.check(wanted.arguments)
        if prompt.is_later:
            return self._later(partial(self._render_later, prompt, wanted.arguments, call), params, call)
        return {"description": prompt.description, "messages": prompt.render(call, wanted.arguments)}

    @staticmethod
    async def _render_later(prompt: Prompt, arguments: dict[str, str], call: Call) -> Any:
        try:
            messages = await prompt.render(call, arguments)
        except AskError as error:
            raise InvalidParams(f"Prompt {prompt.name} asks the client: {error}") from None
        return {"description": prompt.description, "messages": messages}

    def _complete(self, params: Raw, call: Call) -> Any:
        if self._limits_calls:
            self._admit_call(call)
        wanted = read_params(_read_completion, params)
        values = self._completions(wanted.ref, wanted.argument)
        shown = values[:MAX_COMPLETIONS]
        return {"completion": {"values": shown, "total": len(values), "hasMore": len(values) > len(shown)}}

    def _completions(self, ref: _Reference, begun: _Begun) -> list[str]:
        if ref.type == "ref/resource":
            return self._template_completions(ref)
        prompt = self.offer.prompts.get(ref.name or "") if ref.type == "ref/prompt" else None
        if prompt is None:
            raise InvalidParams(f"Unknown reference: {excerpt(f'{ref.type} {ref.name}')}")
        for argument in prompt.arguments:
            if argument.name == begun.name:
                return argument.complete(begun.value)
        raise InvalidParams(f"Prompt {prompt.name} takes no argument {excerpt(begun.name)}")

    def _template_completions(self, ref: _Reference) -> list[str]:
        if not any(template.uri == ref.uri for template in self.offer.templates):
            raise InvalidParams(f"Unknown resource template: {excerpt(ref.uri or '')}")
        # The variable is a handle or a trace: suggesting one would hand it to whoever asks.
        return []

    def _page(self, key: str, entries: Iterable[Any], params: Raw) -> dict[str, Any]:
        """Return one page of a list; a cursor says where it begins and whose it is."""
        listed = list(entries)
        cursor = read_params(_read_page, params).cursor
        start = 0 if cursor is None else _place(key, cursor, len(listed))
        end = start + self._page_size
        page: dict[str, Any] = {key: listed[start:end]}
        if end < len(listed):
            page["nextCursor"] = base64.urlsafe_b64encode(f"{key}:{end}".encode()).decode()
        return page


def _place(key: str, cursor: str, length: int) -> int:
    try:
        listed, _, place = base64.b64decode(cursor, altchars=b"-_", validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        listed = place = ""
    if listed != key or not place.isascii() or not place.isdigit() or not 0 < int(place) < length:
        raise InvalidParams(f"Invalid cursor: {quoted(cursor)}")
    return int(place)


def _failed(error: Exception) -> Answer:
    return Answer(excerpt(str(error), MAX_MESSAGE), None, is_error=True)


def _contents(uri: str, mime_type: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"contents": [{"uri": uri, "mimeType": mime_type, **content}]}
