"""Orders of traces that an engine keeps: what holds in the memory of one process holds for them."""

from __future__ import annotations

from tests.transport.engine_support import OnAnEngine, OnATraceEngine
from tests.transport.faults import test_answers, test_orders, test_requests


class SharedSessionLostTests(OnATraceEngine, test_requests.SessionLostTests):
    pass


class SharedRequestFaultTests(OnATraceEngine, test_requests.OtherRequestFaultTests):
    pass


class SharedWholeAnswerTests(OnATraceEngine, test_answers.WholeAnswerTests):
    pass


class SharedLateAnswerTests(OnATraceEngine, test_answers.LateAnswerTests):
    pass


class SharedStreamTests(OnATraceEngine, test_answers.StreamTests):
    pass


class SharedArmingTests(OnATraceEngine, test_orders.ArmingTests):
    pass


class SharedFiringTests(OnATraceEngine, test_orders.FiringTests):
    pass


class SharedToolTests(OnATraceEngine, test_orders.ToolTests):
    pass


class SharedSessionTests(OnAnEngine, test_requests.SessionLostTests):
    pass


class SharedSessionAnswerTests(OnAnEngine, test_answers.WholeAnswerTests):
    pass
