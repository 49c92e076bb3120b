"""What a node tells of the ends of sessions that an engine keeps."""

from __future__ import annotations

from tests.transport.engine_support import OnAnEngine
from tests.transport.test_tombstones import PLAIN, TombstoneTestCase


class SharedTombstoneTests(OnAnEngine, TombstoneTestCase):
    def test_what_this_node_has_ended_is_told(self) -> None:
        """Our choice: as far as it is known here, which the time of the last use is not."""
        session = self.initialize()
        assert self.request("DELETE", headers={"Mcp-Session-Id": session}).status == 204
        said = self.said(self.send("/mcp", "tools/list", session))
        assert said == (
            f"{PLAIN}: made 2023-11-14 22:13:20 UTC on {self.store.node}, closed by DELETE or by a fault "
            "2023-11-14 22:13:20 UTC"
        )

    def test_a_session_that_expired_is_told_of(self) -> None:
        """As above, with the sweep."""
        made = self.make()
        session = self.initialize_at(made)
        self.clock.advance(61)
        self.store.expire()
        assert "expired" in self.said(self.list_tools(made, session))
        assert self.findings(made)["session-expired"]["count"] == 1

    def test_an_id_with_another_tag_says_nothing_where_all_have_one_store(self) -> None:
        """Our choice: there it may have been any node that ended it."""
        made = self.make()
        session = self.initialize_at(made)
        tag = "0000" if session[9:13] != "0000" else "0001"
        assert self.said(self.list_tools(made, f"{session[:9]}{tag}{session[13:]}")) == PLAIN
        assert "session-made-elsewhere" not in self.findings(made)
