"""What a user writes to try a stateful server out with httpx: python seed_stateful_echo.py PORT."""

import asyncio
import sys

import httpx

URL = f"http://localhost:{sys.argv[1]}/mcp"


async def test_stateful_echo():
    async with httpx.AsyncClient() as client:
        # Initialize session
        init_response = await client.post(
            URL,
            json={
                "jsonrpc": "2.0",
                "method": "initialize",
                "params": {
                    "protocolVersion": "2025-06-18",
                    "capabilities": {},
                    "clientInfo": {"name": "test", "version": "1.0"},
                },
                "id": 1,
            },
        )

        # Extract session ID
        session_id = init_response.headers.get("Mcp-Session-Id")

        # First echo
        echo1 = await client.post(
            URL,
            headers={"Mcp-Session-Id": session_id},
            json={
                "jsonrpc": "2.0",
                "method": "tools/call",
                "params": {"name": "echo", "arguments": {"message": "First message"}},
                "id": 2,
            },
        )
        assert echo1.status_code == 200

        # Replay last echo (stateful!)
        replay = await client.post(
            URL,
            headers={"Mcp-Session-Id": session_id},
            json={
                "jsonrpc": "2.0",
                "method": "tools/call",
                "params": {"name": "replayLastEcho", "arguments": {}},
                "id": 3,
            },
        )

        print(replay.json())


asyncio.run(test_stateful_echo())
