"""The tasks extension, ``io.modelcontextprotocol/tasks``, and the fixtures that exercise it.

A tool call whose client declares the extension may be answered with a task, which goes on after the request
and is asked for with ``tasks/get``.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw

from mcp_echo.conformance.core import ASK_NAME, add_tools, ask, elicitation, fixture, shown
from mcp_echo.offer import Offer
from mcp_echo.protocol.errors import CapabilityMissing, InvalidParams
from mcp_echo.protocol.modern import read_params
from mcp_echo.protocol.texts import timestamp
from mcp_echo.sessions.held import Hold, call_bytes
from mcp_echo.tools.base import (
    Answer,
    Answered,
    Call,
    NoArguments,
    Outlet,
    Question,
    ToolError,
    WholeResult,
    input_requests,
)

EXTENSION = "io.modelcontextprotocol/tasks"

TTL = 300.0
"""Seconds a task is kept after its last change."""

MAX_TASKS = 1000
"""Tasks kept at once."""

MAX_TASKS_OF_ONE = MAX_TASKS // 2
"""Those of one principal, or of one address where no principal is known."""

MAX_TEXT = 1000
"""Characters of a text that a task is given; what it answers may have twice as many."""

_POLL_INTERVAL = 200
"""Milliseconds a client is asked to wait between two looks."""

Status = Literal["working", "input_required", "completed", "failed", "cancelled"]
_OVER = ("completed", "failed", "cancelled")


class JobError(Exception):
    """A task ends with a protocol error."""


class Task:
    """Work that outlives the request that began it.

    Args:
        call: The call that began it.
        holder: In whose share it counts.
    """

    def __init__(self, call: Call, holder: str) -> None:
        self.id = secrets.token_urlsafe(24)
        self.holder = holder
        self.principal = call.principal
        self.status: Status = "working"
        self.created_at = self.updated_at = call.facts.wall()
        self.touched = call.facts.now()
        self.result: dict[str, Any] | None = None
        self.error: dict[str, Any] | None = None
        self.questions: dict[str, Question] = {}
        self.answers: dict[str, Any] = {}
        self.stop: Callable[[], None] | None = None
        self._facts = call.facts
        self._outlet: Outlet | None = call.outlet
        """The end of the client that began it, by which time passes; None once it is over."""

    def change(self, status: Status) -> None:
        """Go over to another status; a task that is over stays as it is."""
        if self.status not in _OVER:
            self.status = status
            self.updated_at = self._facts.wall()
            self.touched = self._facts.now()
        if self.status in _OVER:
            self._outlet = None
            self.answers.clear()

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        if self._outlet is not None:
            await self._outlet.sleep(seconds)

    async def ask(self, questions: dict[str, Question]) -> dict[str, Any]:
        """Return the client's answers, which come with ``tasks/update``."""
        self.questions = dict(questions)
        self.change("input_required")
        while self.questions and self._outlet is not None:
            await self.sleep(0.02)
        return {key: self.answers[key] for key in questions}

    def answer(self, responses: dict[str, Any]) -> None:
        """Take the answers to open questions; others are ignored."""
        for key, response in responses.items():
            if self.questions.pop(key, None) is not None:
                self.answers[key] = response
        if self.status == "input_required" and not self.questions:
            self.change("working")

    def describe(self) -> dict[str, Any]:
        """Return what every message about a task carries."""
        return {
            "taskId": self.id,
            "status": self.status,
            "createdAt": timestamp(self.created_at),
            "lastUpdatedAt": timestamp(self.updated_at),
            "ttlMs": int(TTL * 1000),
            "pollIntervalMs": _POLL_INTERVAL,
        }


Job = Callable[[Task], Coroutine[Any, Any, Answer]]


class Tasks:
    """The tasks of one server."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}
        self._shares: Counter[str] = Counter()

    def begin(self, call: Call, job: Job) -> WholeResult:
        """Start a task and return the result that announces it.

        Raises:
            ToolError: There are too many.
            TooMuchHeldByOne: The caller would hold more than its share.
            TooMuchHeld: All callers together would hold more than they may.
        """
        self._forget_old(call.facts.now())
        limits, caller = call.facts.limits, call.caller()
        holder = limits.owner(caller.principal, caller.address)
        if self._shares[holder] >= MAX_TASKS_OF_ONE:
            raise ToolError(f"You have {MAX_TASKS_OF_ONE} tasks already, as many as one may; try again later")
        if len(self._tasks) >= MAX_TASKS:
            raise ToolError(f"The server keeps {MAX_TASKS} tasks already; try again later")
        hold = limits.hold(caller, call_bytes(0, call.read_headers()))
        task = Task(call, holder)
        self._tasks[task.id] = task
        self._shares[holder] += 1
        announced = WholeResult(resultType="task", **task.describe())
        task.stop = call.facts.spawn(_run(task, job, hold))
        return announced

    def _forget_old(self, now: float) -> None:
        for task in [task for task in self._tasks.values() if now - task.touched >= TTL]:
            del self._tasks[task.id]
            self._shares[task.holder] -= 1
            if not self._shares[task.holder]:
                del self._shares[task.holder]
            if task.stop is not None:
                task.stop()

    def find(self, task_id: str, call: Call) -> Task:
        """Return a task of the caller's.

        Raises:
            InvalidParams: There is none of this id.
        """
        self._forget_old(call.facts.now())
        task = self._tasks.get(task_id)
        if task is None or task.principal != call.principal:
            raise InvalidParams(f"Unknown task: {task_id}")
        return task


async def _run(task: Task, job: Job, hold: Hold) -> None:
    try:
        answer = await job(task)
    except JobError as error:
        task.error = {"code": -32603, "message": str(error)}
        task.change("failed")
        return
    finally:
        hold.release()
    task.result = {
        "resultType": "complete",
        "content": [{"type": "text", "text": (answer.text or "")[: 2 * MAX_TEXT]}],
        "isError": answer.is_error,
    }
    task.change("completed")


def is_declared(call: Call) -> bool:
    """Return whether this request's client declares the extension."""
    extensions = call.client.capabilities.get("extensions")
    return isinstance(extensions, dict) and EXTENSION in extensions and call.revision.stateless


def insist(call: Call) -> None:
    """Refuse a client that does not declare the extension.

    Raises:
        CapabilityMissing: It does not.
    """
    if not is_declared(call):
        raise CapabilityMissing({"extensions": {EXTENSION: {}}})


class _Named(msgspec.Struct, frozen=True):
    taskId: str


class _Update(msgspec.Struct, frozen=True):
    taskId: str
    inputResponses: dict[str, Any]


_read_named = msgspec.json.Decoder(_Named).decode
_read_update = msgspec.json.Decoder(_Update).decode


# The fixtures' work.


class _Greet(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    name: Annotated[str, Meta(description="Whom to greet.", max_length=MAX_TEXT)]


class _Compute(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    seconds: Annotated[float, Meta(description="How long to compute.", ge=0, le=3600)] = 1.0
    label: Annotated[str, Meta(description="What to call it.", max_length=MAX_TEXT)] = "computation"


class _Delete(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    filename: Annotated[str, Meta(description="What to delete; nothing is deleted.", max_length=MAX_TEXT)]


def _greet(_call: Call, arguments: _Greet) -> Answer:
    return Answer(f"Hello, {arguments.name}!", None)


def _computing(arguments: _Compute, sleep: Callable[[float], Awaitable[None]]) -> Coroutine[Any, Any, Answer]:
    async def compute() -> Answer:
        await sleep(arguments.seconds)
        return Answer(f"Computed {arguments.label} in {arguments.seconds:g} s", None)

    return compute()


async def _failing(task: Task) -> Answer:
    await task.sleep(0.05)
    return Answer("The job failed, as it always does", None, is_error=True)


async def _breaking(task: Task) -> Answer:
    await task.sleep(0.05)
    raise JobError("The job broke, as it always does")


async def _two_inputs(task: Task) -> Answer:
    questions = {
        "first": elicitation("First?", {"value": {"type": "string"}}, ["value"]),
        "second": elicitation("Second?", {"value": {"type": "string"}}, ["value"]),
    }
    return Answer(f"Both answered: {shown(await task.ask(questions))}", None)


def add(offer: Offer) -> Offer:
    """Return ``offer`` with the tasks extension and its fixtures."""
    tasks = Tasks()

    # All of them later: so the request that began a task is let go of.

    async def compute(call: Call, arguments: _Compute) -> Answered:
        if not is_declared(call):
            return await _computing(arguments, call.outlet.sleep)
        return tasks.begin(call, lambda task: _computing(arguments, task.sleep))

    def must_be_a_task(job: Job) -> Callable[[Call, NoArguments], Awaitable[WholeResult]]:
        async def run(call: Call, _: NoArguments) -> WholeResult:
            insist(call)
            return tasks.begin(call, job)

        return run

    async def delete(call: Call, arguments: _Delete) -> WholeResult:
        insist(call)
        question = elicitation(f"Delete {arguments.filename}?", {"confirm": {"type": "boolean"}}, ["confirm"])

        async def job(task: Task) -> Answer:
            answer = (await task.ask({"confirm": question}))["confirm"]
            return Answer(f"{arguments.filename} would have been deleted: {shown(answer)}", None)

        return tasks.begin(call, job)

    async def with_task(call: Call, _: NoArguments) -> WholeResult:
        insist(call)
        name = (await ask(call, "user_name", ASK_NAME)).get("content", {}).get("name")

        async def job(task: Task) -> Answer:
            await task.sleep(0.05)
            return Answer(f"Hello, {name}!", None)

        return tasks.begin(call, job)

    def get(params: Raw, call: Call) -> dict[str, Any]:
        insist(call)
        task = tasks.find(read_params(_read_named, params).taskId, call)
        described = task.describe()
        if task.status == "completed":
            described["result"] = task.result
        elif task.status == "failed":
            described["error"] = task.error
        elif task.status == "input_required":
            described["inputRequests"] = input_requests(task.questions)
        return described

    def update(params: Raw, call: Call) -> dict[str, Any]:
        insist(call)
        given = read_params(_read_update, params)
        tasks.find(given.taskId, call).answer(given.inputResponses)
        return {}

    def cancel(params: Raw, call: Call) -> dict[str, Any]:
        insist(call)
        task = tasks.find(read_params(_read_named, params).taskId, call)
        task.change("cancelled")
        if task.stop is not None:
            task.stop()
        return {}

    fixtures = (
        fixture("greet", "Greets at once.", _greet, _Greet),
        fixture("slow_compute", "Computes for a while.", compute, _Compute),
        fixture("failing_job", "A task that ends with a tool error.", must_be_a_task(_failing)),
        fixture("protocol_error_job", "A task that ends with a protocol error.", must_be_a_task(_breaking)),
        fixture("confirm_delete", "A task that asks before it goes on.", delete, _Delete),
        fixture("multi_input", "A task that asks two things at once.", must_be_a_task(_two_inputs)),
        fixture("test_tool_with_task", "Asks, and then becomes a task.", with_task),
    )
    return replace(
        add_tools(offer, fixtures),
        extensions={**offer.extensions, EXTENSION: {}},
        methods={**offer.methods, "tasks/get": get, "tasks/update": update, "tasks/cancel": cancel},
    )
