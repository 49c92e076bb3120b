-- wrk script: tools/call echo, over the sessions whose ids stand in the file named as first argument, with
-- request ids from the second argument on. With "modern" as third argument the ids are handles, and the calls
-- are those of revision 2026-07-28.
--
-- The headers are those that the official Python client sends. Each request has an id of its own; all ids
-- have seven digits, so that a request is a copy of one made beforehand, with another id, and the load
-- generator costs as little as it can.

local EXAMPLE_ID = 1000000
local LEGACY = '{"method":"tools/call","params":{"name":"echo","arguments":{"message":"hello world"}},'
    .. '"jsonrpc":"2.0","id":%d}'
local MODERN = '{"method":"tools/call","params":{"name":"echo","arguments":{"message":"hello world","session":"%s"},'
    .. '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",'
    .. '"io.modelcontextprotocol/clientInfo":{"name":"mcp-echo-bench","version":"1"},'
    .. '"io.modelcontextprotocol/clientCapabilities":{}}},"jsonrpc":"2.0","id":%d}'

local before, after = {}, {}
local sent = 0
local first_id

local function described(session, modern)
    local headers = {
        ["Host"] = wrk.host .. ":" .. wrk.port,
        ["accept"] = "application/json, text/event-stream",
        ["Accept-Encoding"] = "gzip, deflate",
        ["Connection"] = "keep-alive",
        ["User-Agent"] = "python-httpx2/2.16.2",
        ["content-type"] = "application/json",
    }
    if modern then
        headers["mcp-protocol-version"] = "2026-07-28"
        headers["mcp-method"] = "tools/call"
        headers["mcp-name"] = "echo"
        return headers, MODERN:format(session, EXAMPLE_ID)
    end
    headers["mcp-session-id"] = session
    headers["mcp-protocol-version"] = "2025-06-18"
    return headers, LEGACY:format(EXAMPLE_ID)
end

function init(arguments)
    first_id = tonumber(arguments[2])
    for session in io.lines(arguments[1]) do
        local headers, body = described(session, arguments[3] == "modern")
        local text = wrk.format("POST", "/mcp", headers, body)
        local start, stop = text:find('"id":' .. EXAMPLE_ID, 1, true)
        before[#before + 1] = text:sub(1, start + 4)
        after[#after + 1] = text:sub(stop + 1)
    end
end

function request()
    local session = sent % #before + 1
    local id = first_id + sent
    sent = sent + 1
    return before[session] .. id .. after[session]
end

function done(summary, latency)
    local errors = summary.errors
    print(string.format(
        'RESULT {"requests": %d, "microseconds": %d, "p50_us": %d, "p99_us": %d, "errors": %d}',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
        errors.connect + errors.read + errors.write + errors.status + errors.timeout
    ))
end
