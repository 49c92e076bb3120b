"""A server with fixtures and a client's end that answers, without a network."""

from __future__ import annotations

from typing import Any

from mcp_echo.conformance import add
from mcp_echo.offer import Offer, diagnostic_offer
from mcp_echo.sessions.session import Client
from mcp_echo.tools.base import Question
from tests.tools.support import Nobody, Scene

EVERYTHING = {"sampling": {}, "elicitation": {"form": {}, "url": {}}, "roots": {}}


class Outlet(Nobody):
    """A client's end that answers each question by its key, and notes what it was asked and told."""

    def __init__(self, scene: Scene, answers: dict[str, Any]) -> None:
        super().__init__(scene.advance)
        self._scene = scene
        self._answers = answers
        self.asked: list[dict[str, Question]] = []
        self.times: list[float] = []
        self.hung_up: list[float] = []

    def notify(self, method: str, params: dict[str, Any]) -> None:
        super().notify(method, params)
        self.times.append(round(self._scene.elapsed, 6))

    async def ask(self, questions: dict[str, Question]) -> dict[str, Any]:
        self.asked.append(questions)
        return {key: self._answers[key] for key in questions}

    def hang_up(self) -> bool:
        self.hung_up.append(self._scene.elapsed)
        return True


class Fixtures(Scene):
    """A server with one set of fixtures, whose client gives these answers."""

    def __init__(
        self,
        fixtures: str = "core",
        answers: dict[str, Any] | None = None,
        capabilities: dict[str, Any] = EVERYTHING,
        revision: str = "2025-11-25",
    ) -> None:
        super().__init__(revision=revision, client=Client("c", "1", capabilities))
        self.offer: Offer = add(diagnostic_offer(self.facts.settings), [fixtures])
        self.tools = self.offer.tools
        self.outlet: Outlet = Outlet(self, answers or {})

    @property
    def questions(self) -> dict[str, Question]:
        """What the client was asked, all rounds together."""
        return {key: question for round_ in self.outlet.asked for key, question in round_.items()}
