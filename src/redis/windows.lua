-- Admissions of all replicas to one region, in sliding windows.
--
-- KEYS[1]      the memory's name: whoever finds none gives it one, with the time
--              after an "@", so a server that lost its memory is told from one
--              that kept it. After another "@", the latest time that was seen
-- KEYS[2..]    a sorted set for each window: admissions by time (microseconds),
--              named "replica:number"
-- ARGV[1]      the name to give, without the time
-- ARGV[2]      how long the name is kept, in milliseconds
-- ARGV[3]      the replica that asks
-- ARGV[4]      the number of the admission to reserve, or '' for none
-- ARGV[5]      how long from now the slot must at least lie, in microseconds
-- ARGV[6..]    limit, span and least gap between two slots (microseconds) of
--              each window, and whether half of its places are for bursts (1)
-- then         number and age (microseconds) of admissions that the replica made
--              elsewhere
--
-- Answers the memory's name and age (-1 if it is not known), now, the slot's
-- distance from now (-1 without one), each window's log as distances from now, and
-- of the first window's last span the admissions of this replica, those of all, and
-- the number of replicas.

local SLACK_MS = 1000

-- For how many spans admissions are kept: a replica that goes over to a longer span
-- before the others do must still find what matters to it.
local KEPT_SPANS = 2

-- By how much, in microseconds, a clock may be behind the latest time that was seen.
-- Of a clock that was set back further the logs are of no use: their admissions seem
-- to lie ahead, and would keep everybody waiting until then.
local BEHIND = 1000000

local function integer(number)
  return string.format('%.0f', number)
end

-- The admissions of a window that matter now, the oldest first: their times and
-- replicas. A slot lies at or after now: what is a span old no longer does.
local function read(window, now)
  local entries = redis.call('ZRANGE', window.key, -window.limit, -1, 'WITHSCORES')
  local times, replicas = {}, {}
  for i = 1, #entries, 2 do
    local at = tonumber(entries[i + 1])
    if at > now - window.span then
      times[#times + 1] = at
      replicas[#replicas + 1] = string.match(entries[i], '^[^:]*')
    end
  end
  return times, replicas
end

-- How far the next slot lies at least after the latest. A window that keeps
-- places for bursts is spread once half of them are taken, evenly until the next
-- one comes free: else those who wait would use it up at once, and whoever comes
-- later would wait for its end.
local function gap(window, times)
  if not window.bursts then
    return window.gap
  end
  local latest = times[#times]
  local first = 1
  while times[first] + window.span <= latest do
    first = first + 1
  end
  local free = window.limit - (#times - first + 1)
  if free * 2 > window.limit then
    return 0
  end
  return math.max(window.gap, (times[first] + window.span - latest) / (free + 1))
end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

local known = redis.call('GET', KEYS[1]) or ''
local memory, seen = string.match(known, '^(.+@%d+)@(%d+)$')
seen = math.max(now, tonumber(seen or 0))
if seen > now + BEHIND then
  for i = 2, #KEYS do
    redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', '+inf')
  end
  memory, seen = nil, now
end
memory = memory or ARGV[1] .. '@' .. integer(now)
redis.call('SET', KEYS[1], memory .. '@' .. integer(seen), 'PX', ARGV[2])
local born = tonumber(string.match(memory, '@(%d+)$'))
local age = -1
if born then
  age = integer(now - born)
end

local me = ARGV[3]
local number = ARGV[4]
local slot = now + tonumber(ARGV[5])
local windows = {}
for i = 2, #KEYS do
  local at = 6 + (i - 2) * 4
  windows[#windows + 1] = {
    key = KEYS[i],
    limit = tonumber(ARGV[at]),
    span = tonumber(ARGV[at + 1]),
    gap = tonumber(ARGV[at + 2]),
    bursts = ARGV[at + 3] == '1',
  }
end
local told = 6 + #windows * 4

for _, window in ipairs(windows) do
  redis.call('ZREMRANGEBYSCORE', window.key, '-inf', integer(now - KEPT_SPANS * window.span))
  for i = told, #ARGV, 2 do
    local age = tonumber(ARGV[i + 1])
    if age < window.span then
      redis.call('ZADD', window.key, 'NX', integer(now - age), me .. ':' .. ARGV[i])
    end
  end
  window.times, window.replicas = read(window, now)
  -- A span after the limit-th latest admission no span can hold more than the
  -- limit, whatever the order in which the slots were reserved.
  if #window.times == window.limit then
    slot = math.max(slot, window.times[1] + window.span)
  end
  if #window.times > 0 then
    slot = math.max(slot, window.times[#window.times] + gap(window, window.times))
  end
end

local logs = {}
for i, window in ipairs(windows) do
  local times = window.times
  if number ~= '' then
    redis.call('ZADD', window.key, integer(slot), me .. ':' .. number)
    times[#times + 1] = slot
    window.replicas[#window.replicas + 1] = me
  end
  if #times > 0 then
    local left = times[#times] - now + KEPT_SPANS * window.span
    redis.call('PEXPIRE', window.key, integer(math.ceil(left / 1000) + SLACK_MS))
  end
  logs[i] = {}
  for j, at in ipairs(times) do
    logs[i][j] = integer(at - now)
  end
end

local mine, all, replicas, seen = 0, 0, 1, { [me] = true }
if windows[1] then
  for _, replica in ipairs(windows[1].replicas) do
    all = all + 1
    if replica == me then
      mine = mine + 1
    end
    if not seen[replica] then
      seen[replica] = true
      replicas = replicas + 1
    end
  end
end

local wait = -1
if number ~= '' then
  wait = integer(slot - now)
end
return { memory, age, integer(now), wait, logs, { mine, all, replicas } }
