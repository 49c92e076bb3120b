"""Thousands of orders at random: not under trial as well, which takes every test for a quick one."""

from __future__ import annotations

import pytest

from tests.transport.faults import test_any_order


@pytest.mark.slow
class ManyOrdersTests(test_any_order.AnyOrderTests):
    cases = 5000
