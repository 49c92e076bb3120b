-- Carries out a batch of operations on the records of one shard.
--
-- KEYS: the shard's index, sizes, totals and list of the ended; then those of each operation, in order.
-- ARGV[1]: the operations, a MessagePack array. Each begins with its code, how many keys it names, and the
-- id of its record. mcp_echo/stores/redis_codec.py writes it, and reads the answer: the length of the head
-- in four bytes, the head, which is a MessagePack array of numbers, and all strings, whose lengths it says.
--
-- Each operation is done wholly or not at all: what Redis may refuse (no memory, a replica) it refuses at an
-- operation's first write, and what is kept in the locals below is changed only after that.

local call, pack, unpacked = redis.call, cmsgpack.pack, cmsgpack.unpack
local index, sizes, totals, ended = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

-- How long the keys of a shard outlive its last record, in milliseconds: sweeps still find what has ended.
local MARGIN = 3600000
-- How many expired records one operation takes away, at most; Lua cannot unpack many more than 7,000.
local AT_ONCE = 1000
-- Bytes of strings in an answer from which on no further operation is carried out.
local ENOUGH = 8388608

local APPLIED, FOUND, CONFLICT, MISSING, FULL, FAILED, LATER, ENDED, HEARD, SECRET = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9

local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- How long what was made and has ended is counted on after the last record, in milliseconds.
local COUNTED = 2592000000

local sums = call('HMGET', totals, 'handles', 'queued', 'echoed', 'waiting', 'until', 'created', 'expired', 'closed')
for i = 1, 5 do sums[i] = tonumber(sums[i] or 0) end
local created_ever, expired_ever, closed_ever
-- An earlier version has not counted: what is there was made.
if sums[6] then
  created_ever, expired_ever, closed_ever = tonumber(sums[6]), tonumber(sums[7]), tonumber(sums[8])
else
  created_ever, expired_ever, closed_ever = call('ZCARD', index), 0, 0
end
local last = sums[5]
-- Everything that was counted is gone by then.
if last <= now then sums = { 0, 0, 0, 0 } end
local counted = false

local head, n, strings, count, bytes = {}, 0, {}, 0, 0

local function say(...)
  for i = 1, select('#', ...) do head[n + i] = (select(i, ...)) end
  n = n + select('#', ...)
end

local function say_string(text)
  count = count + 1
  strings[count] = text
  bytes = bytes + #text
  n = n + 1
  head[n] = #text
end

local function in_pieces(command, key, arguments)
  for first = 1, #arguments, AT_ONCE do
    call(command, key, unpack(arguments, first, math.min(first + AT_ONCE - 1, #arguments)))
  end
end

local function count_in(handles, queued, echoed, waiting)
  sums[1] = sums[1] + handles
  sums[2] = sums[2] + queued
  sums[3] = sums[3] + echoed
  sums[4] = sums[4] + waiting
  counted = true
end

-- Sees to it that no key of the shard vanishes before a record does that expires then. A key whose last member
-- was taken away is a new one, without an expiry, when the next is added: then this has to be done `anew`.
local function outlive(expires, anew)
  if expires > last then
    last = expires + MARGIN
    counted, anew = true, true
  end
  if anew then
    call('PEXPIREAT', index, last)
    call('PEXPIREAT', sizes, last)
    call('PEXPIREAT', ended, last)
  end
end

local function is_handle(whose)
  return string.sub(whose, 1, 1) == 'h' and 1 or 0
end

-- Takes away records that have expired; returns their ids and lifetimes, one after the other.
local function take_away(most)
  local old = call('ZRANGEBYSCORE', index, '-inf', now, 'WITHSCORES', 'LIMIT', 0, most)
  if #old == 0 then return old end
  local ids = {}
  for i = 1, #old, 2 do ids[#ids + 1] = old[i] end
  local figures = call('HMGET', sizes, unpack(ids))
  call('ZREMRANGEBYRANK', index, 0, #ids - 1)
  expired_ever = expired_ever + #ids
  counted = true
  call('HDEL', sizes, unpack(ids))
  for i = 1, #ids do
    local lifetime = 0
    if figures[i] then
      local handle, created, queued, echoed, waiting = unpacked(figures[i])
      count_in(-handle, -queued, -echoed, -waiting)
      -- A clock that was set back has it end before it was made.
      lifetime = math.max(0, tonumber(old[2 * i]) - created)
    end
    old[2 * i] = lifetime
  end
  return old
end

local function say_full(whose, key)
  local first = call('ZRANGE', key, 0, 0, 'WITHSCORES')
  local seconds = 60
  if first[2] then seconds = math.floor((tonumber(first[2]) - now) / 1000) + 1 end
  say(FULL, whose, math.max(1, math.min(60, seconds)))
end

local function say_record(code, at, version, created, used, logged, known)
  local kept = call('HMGET', KEYS[at], 's', 'e')
  say(code, version, created, used)
  say_string(kept[1])
  if kept[2] then say_string(kept[2]) else say(-1) end
  if logged == 0 then return say(0) end
  local entries = call('XRANGE', KEYS[at + 1], '(' .. known, '+')
  say(#entries)
  for i = 1, #entries do
    local id, fields = entries[i][1], entries[i][2]
    -- Ids are written <sequence>-0.
    say(tonumber(string.sub(id, 1, -3)))
    say_string(fields[2])
    say_string(fields[4])
  end
end

-- Keys: record, [owner's index]. Then whose, timeout, state, limit, limit for each owner.
local function create(at, operation)
  local _, keys, id, whose, timeout, state, limit, own_limit = unpack(operation, 1, 8)
  local record, own = KEYS[at], keys == 2 and KEYS[at + 1]
  local kept = call('HGET', record, 'm')
  if kept then
    -- A client that never got its answer asks again.
    local _, created, _, _, _, owner = unpacked(kept)
    if owner ~= whose then error({ err = 'ERR the id is taken' }) end
    return say(APPLIED, created)
  end
  if own and call('ZCARD', own) >= own_limit then
    call('ZREMRANGEBYSCORE', own, '-inf', now)
    if call('ZCARD', own) >= own_limit then return say_full(1, own) end
  end
  if call('ZCARD', index) >= limit then
    local gone = take_away(200)
    local told = {}
    for i = 1, #gone, 2 do told[#told + 1] = pack(gone[i], gone[i + 1]) end
    if #told > 0 then call('RPUSH', ended, unpack(told)) end
    if call('ZCARD', index) >= limit then return say_full(0, index) end
  end
  local expires = now + timeout
  call('HSET', record, 's', state, 'm', pack(1, now, now, expires, timeout, whose, 0, 0, 0, 0))
  call('PEXPIREAT', record, expires)
  call('ZADD', index, expires, id)
  call('HSET', sizes, id, pack(is_handle(whose), now, 0, 0, 0))
  created_ever = created_ever + 1
  count_in(is_handle(whose), 0, 0, 0)
  outlive(expires, true)
  if own then
    call('ZADD', own, expires, id)
    call('PEXPIREAT', own, last)
  end
  say(APPLIED, now)
end

-- Keys: record, log, [owner's index]. Then whose, version, touch, state, what to do with the echo (0 leave,
-- 1 take away, 2 keep), the echo, drop, add (id, stream, data; one after the other), queued, echoed, waiting,
-- known, channels.
local function change(at, operation)
  local _, keys, id, whose, version, touch, state, mode, echo, drop, add = unpack(operation, 1, 11)
  local queued, echoed, waiting, known, channels = unpack(operation, 12, 16)
  local record, log = KEYS[at], KEYS[at + 1]
  local kept = call('HGET', record, 'm')
  if not kept then return say(MISSING) end
  local old, created, used, expires, timeout, owner, was_queued, was_echoed, was_waiting, logged = unpacked(kept)
  if now >= expires or owner ~= whose then return say(MISSING) end
  if old ~= version then return say_record(CONFLICT, at, old, created, used, logged, known) end
  local had_log = logged
  if touch then
    used, expires = now, now + timeout
  end
  if #add > 0 then logged = 1 end
  local meta = pack(old + 1, created, used, expires, timeout, whose, queued, echoed, waiting, logged)
  if mode == 2 then
    call('HSET', record, 'm', meta, 's', state, 'e', echo)
  else
    call('HSET', record, 'm', meta, 's', state)
    if mode == 1 then call('HDEL', record, 'e') end
  end
  if had_log == 1 and #drop > 0 then in_pieces('XDEL', log, drop) end
  for i = 1, #add, 3 do call('XADD', log, add[i], 't', add[i + 1], 'd', add[i + 2]) end
  if touch then
    call('PEXPIREAT', record, expires)
    call('ZADD', index, expires, id)
    outlive(expires, false)
    if keys == 3 then
      call('ZADD', KEYS[at + 2], expires, id)
      call('PEXPIREAT', KEYS[at + 2], last)
    end
  end
  if logged == 1 and (touch or #add > 0) then call('PEXPIREAT', log, expires) end
  if queued ~= was_queued or echoed ~= was_echoed or waiting ~= was_waiting then
    call('HSET', sizes, id, pack(is_handle(whose), created, queued, echoed, waiting))
    count_in(0, queued - was_queued, echoed - was_echoed, waiting - was_waiting)
  end
  for i = 1, #channels do call('PUBLISH', channels[i], id) end
  say(APPLIED, created)
end

-- Keys: record, log. Then whose (nil for whoever asks) and known.
local function load(at, operation)
  local whose, known = operation[4], operation[5]
  local kept = call('HGET', KEYS[at], 'm')
  if not kept then return say(MISSING) end
  local version, created, used, expires, _, owner, _, _, _, logged = unpacked(kept)
  if now >= expires or (whose and owner ~= whose) then return say(MISSING) end
  say_record(FOUND, at, version, created, used, logged, known)
end

-- Keys: record, log, [owner's index]. Then whose and channels.
local function close(at, operation)
  local _, keys, id, whose, channels = unpack(operation, 1, 5)
  local kept = call('HGET', KEYS[at], 'm')
  if not kept then return say(MISSING) end
  local _, created, _, expires, _, owner, queued, echoed, waiting = unpacked(kept)
  if now >= expires or owner ~= whose then return say(MISSING) end
  call('DEL', KEYS[at], KEYS[at + 1])
  call('ZREM', index, id)
  call('HDEL', sizes, id)
  if keys == 3 then call('ZREM', KEYS[at + 2], id) end
  closed_ever = closed_ever + 1
  count_in(-is_handle(whose), -queued, -echoed, -waiting)
  for i = 1, #channels do call('PUBLISH', channels[i], id) end
  say(APPLIED, created)
end

local function sweep()
  local found = call('LRANGE', ended, 0, AT_ONCE - 1)
  if #found > 0 then call('LTRIM', ended, #found, -1) end
  local gone = take_away(AT_ONCE)
  say(ENDED, #found + #gone / 2, (#found == AT_ONCE or #gone == 2 * AT_ONCE) and 1 or 0)
  for i = 1, #found do
    local id, lifetime = unpacked(found[i])
    say_string(id)
    say(lifetime)
  end
  for i = 1, #gone, 2 do
    say_string(gone[i])
    say(gone[i + 1])
  end
end

-- Keys: the bus. Then who tells, what, and on which channel.
local function broadcast(at, operation)
  local bus = KEYS[at]
  call('XADD', bus, 'MAXLEN', '=', 10000, '*', 'n', operation[4], 'p', operation[5])
  call('XTRIM', bus, 'MINID', '=', now - 60000)
  call('PEXPIRE', bus, 120000)
  call('PUBLISH', operation[6], operation[4])
  say(APPLIED, now)
end

-- Keys: the bus. Then after which entry, or nil to begin a minute ago.
local function listen(at, operation)
  local after = operation[4] or string.format('%.0f-0', now - 60000)
  local entries = call('XRANGE', KEYS[at], '(' .. after, '+', 'COUNT', AT_ONCE)
  say(HEARD, #entries, #entries == AT_ONCE and 1 or 0)
  for i = 1, #entries do
    say_string(entries[i][1])
    say_string(entries[i][2][2])
    say_string(entries[i][2][4])
  end
end

-- Keys: the secret. Then what it is, if there is none.
local function secret(at, operation)
  call('SETNX', KEYS[at], operation[4])
  say(SECRET)
  say_string(call('GET', KEYS[at]))
end

-- Keys: a record, its log and an owner's index, which are nobody's; in one shard the bus and the secret as well.
-- Then a channel. Does to each kind of key all that is ever done to it, and undoes it: where this is possible,
-- everything is. It begins with what takes memory, which is not refused any more once something was written.
local function trial(at, operation)
  local record, log, own = KEYS[at], KEYS[at + 1], KEYS[at + 2]
  call('HSET', record, 's', '', 'm', '', 'e', '')
  call('PEXPIREAT', record, now + 1000)
  call('DEL', log, own)
  call('PUBLISH', operation[4], '')
  call('LRANGE', ended, 0, 0)
  if operation[2] == 5 then
    call('XTRIM', KEYS[at + 3], 'MINID', '=', now - 60000)
    call('XRANGE', KEYS[at + 3], '-', '+', 'COUNT', 1)
    call('GET', KEYS[at + 4])
  end
  call('SETNX', own, '')
  call('PEXPIRE', own, 1000)
  call('DEL', own)
  call('HGET', record, 'm')
  call('HMGET', record, 's', 'e')
  call('HDEL', record, 'e')
  call('XADD', log, '1-0', 't', '', 'd', '')
  call('PEXPIREAT', log, now + 1000)
  call('XRANGE', log, '(0-0', '+')
  call('XDEL', log, '1-0')
  for _, key in ipairs({ own, index }) do
    call('ZADD', key, now, '')
    call('ZCARD', key)
    call('ZRANGE', key, 0, 0, 'WITHSCORES')
    call('ZRANGEBYSCORE', key, '-inf', '-inf', 'LIMIT', 0, 1)
    call('ZREMRANGEBYSCORE', key, '-inf', '-inf')
    call('ZREMRANGEBYRANK', key, 1, 0)
    call('ZREM', key, '')
  end
  for _, key in ipairs({ sizes, totals }) do
    call('HSET', key, '', '')
    call('HDEL', key, '')
  end
  call('RPUSH', ended, '')
  call('LTRIM', ended, 0, -2)
  call('DEL', record, log)
  say(APPLIED, now)
end

local doing = { create, change, load, close, sweep, broadcast, listen, secret, trial }

local at = 5
for _, operation in ipairs(unpacked(ARGV[1])) do
  if bytes >= ENOUGH then
    say(LATER)
  else
    local before, before_count, before_bytes = n, count, bytes
    local done, problem = pcall(doing[operation[1]], at, operation)
    if not done then
      for i = n, before + 1, -1 do head[i] = nil end
      n, count, bytes = before, before_count, before_bytes
      say(FAILED)
      say_string(type(problem) == 'table' and problem.err or tostring(problem))
    end
  end
  at = at + operation[2]
end

if counted then
  call('HSET', totals, 'handles', sums[1], 'queued', sums[2], 'echoed', sums[3], 'waiting', sums[4], 'until', last,
    'created', created_ever, 'expired', expired_ever, 'closed', closed_ever)
  call('PEXPIREAT', totals, math.max(last, now) + COUNTED)
end

local all = { now, call('ZCARD', index), sums[1], sums[2], sums[3], sums[4], created_ever, expired_ever, closed_ever }
for i = 1, n do all[9 + i] = head[i] end
local packed = pack(all)
return struct.pack('>I4', #packed) .. packed .. table.concat(strings, '', 1, count)
