import pytest

# Helpers assert too; pytest explains a failure in modules that it has been told of before their import.
pytest.register_assert_rewrite("tests.e2e.conversation", "tests.e2e.daemon", "tests.e2e.wire")
