-- Carries out a batch of operations on the records of one shard.
--
-- KEYS: the shard's index, sizes, totals and list of the ended; then those of each operation, in order. Those of a
-- record that gives way, and of the shares, are made of the first, and are in the same slot: Redis takes at most
-- ten arguments from a client that has not logged in, and would not tell a longer command that it must.
-- ARGV[1]: the operations, a MessagePack array. Each begins with its code, how many keys it names, and the
-- id of its record. mcp_echo/stores/redis/codec.py writes it, and reads the answer: the length of the head
-- in four bytes, the head, which is a MessagePack array of numbers, and all strings, whose lengths it says.
--
-- Each operation is done wholly or not at all: what Redis may refuse (no memory, a replica) it refuses at an
-- operation's first write, and what is kept in the locals below is changed only after that.

local call, pack, unpacked = redis.call, cmsgpack.pack, cmsgpack.unpack
local index, sizes, totals, ended = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
-- What each holder has, in sorted sets whose members begin with the holder, which is 32 bytes long: the ids of its
-- records; and of those that are not in use, each after 16 digits that say in which order they were made. Then how
-- many records those holders have that have one not in use, and, by id, what stands before it among those.
local base = string.sub(index, 1, -6)
local shares, fresh, most, holders = base .. 'shares', base .. 'fresh', base .. 'most', base .. 'holders'

-- How long the keys of a shard outlive its last record, in milliseconds: sweeps still find what has ended.
local MARGIN = 3600000
-- How many expired records one operation takes away, at most; Lua cannot unpack many more than 7,000.
local AT_ONCE = 1000
-- How many records of a holder are looked at to tell when it may make one more.
local SAMPLE = 64
-- Bytes of strings in an answer from which on no further operation is carried out.
local ENOUGH = 8388608

local APPLIED, FOUND, CONFLICT, MISSING, FULL, FAILED, LATER, ENDED, HEARD, SECRET, HAS = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10

local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- How long what was made and has ended is counted on after the last record, in milliseconds.
local COUNTED = 2592000000

local sums = call('HMGET', totals, 'handles', 'queued', 'echoed', 'waiting', 'until', 'made', 'created', 'expired',
  'closed', 'displaced')
for i = 1, 6 do sums[i] = tonumber(sums[i] or 0) end
-- An earlier version has not counted: what is there was made.
local created_ever, expired_ever = tonumber(sums[7] or call('ZCARD', index)), tonumber(sums[8] or 0)
local closed_ever, displaced_ever = tonumber(sums[9] or 0), tonumber(sums[10] or 0)
local last = sums[5]
-- Everything that was counted is gone by then.
if last <= now then for i = 1, 4 do sums[i] = 0 end end
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
    for _, key in ipairs({ index, sizes, ended, shares, fresh, most, holders }) do call('PEXPIREAT', key, last) end
  end
end

local function is_handle(whose)
  return string.sub(whose, 1, 1) == 'h' and 1 or 0
end

local function held_by(holder)
  return call('ZLEXCOUNT', shares, '[' .. holder, '(' .. holder .. '\255')
end

local function oldest_fresh(holder)
  return call('ZRANGEBYLEX', fresh, '[' .. holder, '(' .. holder .. '\255', 'LIMIT', 0, 1)[1]
end

-- Notes how many records a holder has, as long as one of them is not in use.
local function rank(holder)
  if oldest_fresh(holder) then
    call('ZADD', most, held_by(holder), holder)
  else
    call('ZREM', most, holder)
  end
end

-- Takes records out of the shares of their holders.
local function disown(ids)
  local whose, changed = call('HMGET', holders, unpack(ids)), {}
  for i = 1, #ids do
    if whose[i] then
      local holder = string.sub(whose[i], 1, 32)
      call('ZREM', shares, holder .. ids[i])
      call('ZREM', fresh, whose[i] .. ids[i])
      changed[holder] = true
    end
  end
  call('HDEL', holders, unpack(ids))
  for holder in pairs(changed) do rank(holder) end
end

-- Takes away records that have expired; returns their ids and lifetimes, one after the other.
local function take_away(at_most)
  local old = call('ZRANGEBYSCORE', index, '-inf', now, 'WITHSCORES', 'LIMIT', 0, at_most)
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
  disown(ids)
  return old
end

-- Takes away all records that have expired, and notes it for the next sweep.
local function make_room()
  repeat
    local gone = take_away(AT_ONCE)
    local told = {}
    for i = 1, #gone, 2 do told[#told + 1] = pack(gone[i], gone[i + 1]) end
    if #told > 0 then call('RPUSH', ended, unpack(told)) end
  until #gone < 2 * AT_ONCE
end

-- Returns the id of a holder's oldest record that is not in use, and what is kept of it; nothing if it has none.
local function first_to_give_way(holder)
  local member = oldest_fresh(holder)
  while member do
    local id = string.sub(member, 49)
    local kept = call('HGET', base .. 's:' .. id, 'm')
    local meta = kept and { unpacked(kept) } or {}
    if meta[11] == 1 then return id, meta end
    -- A node that knows of no shares has used or ended it.
    call('ZREM', fresh, member)
    if not kept then
      call('ZREM', shares, holder .. id)
      call('HDEL', holders, id)
    end
    rank(holder)
    member = oldest_fresh(holder)
  end
end

-- The same of the holder that has most records, among those that have such a one, unless this one has more.
local function first_to_give_way_to(holder)
  local top = call('ZREVRANGE', most, 0, 0, 'WITHSCORES')
  while top[1] do
    if holder and held_by(holder) > tonumber(top[2]) then return end
    local id, meta = first_to_give_way(top[1])
    if id then return id, meta end
    top = call('ZREVRANGE', most, 0, 0, 'WITHSCORES')
  end
end

local function displace(id, meta)
  call('DEL', base .. 's:' .. id, base .. 'q:' .. id)
  call('ZREM', index, id)
  call('HDEL', sizes, id)
  disown({ id })
  count_in(-is_handle(meta[6]), -meta[7], -meta[8], -meta[9])
  displaced_ever = displaced_ever + 1
  call('RPUSH', ended, pack(id, math.max(0, now - meta[2]), 1))
end

-- Returns when the first of a holder's records expires, as far as a few of them tell; drops what is none any more.
local function first_end_of(holder)
  local first
  for _, member in ipairs(call('ZRANGEBYLEX', shares, '[' .. holder, '(' .. holder .. '\255', 'LIMIT', 0, SAMPLE)) do
    local id = string.sub(member, 33)
    local expires = tonumber(call('ZSCORE', index, id) or nil)
    if not expires then
      -- A node that knows of no shares has ended it.
      call('ZREM', shares, member)
      call('HDEL', holders, id)
    elseif not first or expires < first then
      first = expires
    end
  end
  return first
end

local function say_full(whose, first)
  local seconds = 60
  if first then seconds = math.floor((first - now) / 1000) + 1 end
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

-- Keys: record. Then whose, timeout, state, limit, holder, limit for each holder, whether it is in use.
local function create(at, operation)
  local _, _, id, whose, timeout, state, limit, holder, own_limit, in_use = unpack(operation, 1, 10)
  local record = KEYS[at]
  local kept = call('HGET', record, 'm')
  if kept then
    -- A client that never got its answer asks again.
    local _, created, _, _, _, owner = unpacked(kept)
    if owner ~= whose then error({ err = 'ERR the id is taken' }) end
    return say(APPLIED, created)
  end
  local victim, meta
  if holder and own_limit and held_by(holder) >= own_limit then
    make_room()
    if held_by(holder) >= own_limit then
      victim, meta = first_to_give_way(holder)
      local first = not victim and first_end_of(holder)
      -- To look for these may have found some that are none any more.
      if held_by(holder) < own_limit then
        victim = nil
      elseif not victim then
        return say_full(1, first)
      end
    end
  end
  if not victim and call('ZCARD', index) >= limit then
    make_room()
    if call('ZCARD', index) >= limit then
      victim, meta = first_to_give_way_to(holder)
      if not victim then return say_full(0, tonumber(call('ZRANGE', index, 0, 0, 'WITHSCORES')[2])) end
    end
  end
  local is_fresh = holder and not in_use and 1 or 0
  local expires = now + timeout
  call('HSET', record, 's', state, 'm', pack(1, now, now, expires, timeout, whose, 0, 0, 0, 0, is_fresh))
  if victim then displace(victim, meta) end
  call('PEXPIREAT', record, expires)
  call('ZADD', index, expires, id)
  call('HSET', sizes, id, pack(is_handle(whose), now, 0, 0, 0))
  created_ever = created_ever + 1
  count_in(is_handle(whose), 0, 0, 0)
  if holder then
    sums[6] = sums[6] + 1
    local place = string.format('%s%016.0f', holder, sums[6])
    call('HSET', holders, id, place)
    call('ZADD', shares, 0, holder .. id)
    if is_fresh == 1 then call('ZADD', fresh, 0, place .. id) end
    rank(holder)
  end
  outlive(expires, true)
  say(APPLIED, now)
end

-- Keys: record, log. Then whose, version, touch, state, what to do with the echo (0 leave,
-- 1 take away, 2 keep), the echo, drop, add (id, stream, data; one after the other), queued, echoed, waiting,
-- known, channels, whether it is in use.
local function change(at, operation)
  local _, _, id, whose, version, touch, state, mode, echo, drop, add = unpack(operation, 1, 11)
  local queued, echoed, waiting, known, channels, in_use = unpack(operation, 12, 17)
  local record, log = KEYS[at], KEYS[at + 1]
  local kept = call('HGET', record, 'm')
  if not kept then return say(MISSING) end
  local old, created, used, expires, timeout, owner, was_queued, was_echoed, was_waiting, logged, is_fresh =
    unpacked(kept)
  if now >= expires or owner ~= whose then return say(MISSING) end
  if old ~= version then return say_record(CONFLICT, at, old, created, used, logged, known) end
  local had_log, was_fresh = logged, is_fresh == 1
  if touch then
    used, expires = now, now + timeout
  end
  if #add > 0 then logged = 1 end
  is_fresh = was_fresh and not in_use and 1 or 0
  local meta = pack(old + 1, created, used, expires, timeout, whose, queued, echoed, waiting, logged, is_fresh)
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
  end
  local place = was_fresh and is_fresh == 0 and call('HGET', holders, id)
  if place then
    call('ZREM', fresh, place .. id)
    rank(string.sub(place, 1, 32))
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

-- Keys: record, log. Then whose and channels.
local function close(at, operation)
  local _, _, id, whose, channels = unpack(operation, 1, 5)
  local kept = call('HGET', KEYS[at], 'm')
  if not kept then return say(MISSING) end
  local _, created, _, expires, _, owner, queued, echoed, waiting = unpacked(kept)
  if now >= expires or owner ~= whose then return say(MISSING) end
  call('DEL', KEYS[at], KEYS[at + 1])
  call('ZREM', index, id)
  call('HDEL', sizes, id)
  closed_ever = closed_ever + 1
  disown({ id })
  count_in(-is_handle(whose), -queued, -echoed, -waiting)
  for i = 1, #channels do call('PUBLISH', channels[i], id) end
  say(APPLIED, created)
end

-- Then the holder whose records are to be counted.
local function count_of(_, operation)
  make_room()
  say(HAS, held_by(operation[4]))
end

local function sweep()
  local found = call('LRANGE', ended, 0, AT_ONCE - 1)
  if #found > 0 then call('LTRIM', ended, #found, -1) end
  local gone = take_away(AT_ONCE)
  say(ENDED, #found + #gone / 2, (#found == AT_ONCE or #gone == 2 * AT_ONCE) and 1 or 0)
  for i = 1, #found do
    local id, lifetime, displaced = unpacked(found[i])
    say_string(id)
    say(lifetime, displaced or 0)
  end
  for i = 1, #gone, 2 do
    say_string(gone[i])
    say(gone[i + 1], 0)
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
  for _, key in ipairs({ own, index, shares, fresh, most }) do
    call('ZADD', key, now, '')
    call('ZCARD', key)
    call('ZSCORE', key, '')
    call('ZLEXCOUNT', key, '-', '-')
    call('ZRANGEBYLEX', key, '-', '-', 'LIMIT', 0, 1)
    call('ZRANGE', key, 0, 0, 'WITHSCORES')
    call('ZREVRANGE', key, 0, 0, 'WITHSCORES')
    call('ZRANGEBYSCORE', key, '-inf', '-inf', 'LIMIT', 0, 1)
    call('ZREMRANGEBYSCORE', key, '-inf', '-inf')
    call('ZREMRANGEBYRANK', key, 1, 0)
    call('ZREM', key, '')
  end
  for _, key in ipairs({ sizes, totals, holders }) do
    call('HSET', key, '', '')
    call('HDEL', key, '')
  end
  call('RPUSH', ended, '')
  call('LTRIM', ended, 0, -2)
  call('DEL', record, log)
  say(APPLIED, now)
end

local doing = { create, change, load, close, sweep, broadcast, listen, secret, trial, count_of }

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
    'made', sums[6], 'created', created_ever, 'expired', expired_ever, 'closed', closed_ever,
    'displaced', displaced_ever)
  call('PEXPIREAT', totals, math.max(last, now) + COUNTED)
end

local all = { now, call('ZCARD', index), sums[1], sums[2], sums[3], sums[4], created_ever, expired_ever, closed_ever,
  displaced_ever }
for i = 1, n do all[10 + i] = head[i] end
local packed = pack(all)
return struct.pack('>I4', #packed) .. packed .. table.concat(strings, '', 1, count)
