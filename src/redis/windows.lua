-- Admissions of all replicas to one region, in sliding windows.
--
-- KEYS[1]      the memory's name: whoever finds none gives it one, so a server
--              that lost its memory is told from one that kept it
-- KEYS[2..]    a sorted set for each window: admissions by time (microseconds)
-- ARGV[1]      the name to give
-- ARGV[2]      how long the name is kept, in milliseconds
-- ARGV[3]      the name of the admission to reserve, or '' for none
-- ARGV[4]      how long from now the slot must at least lie, in microseconds
-- ARGV[5..]    limit, span and least gap between two slots (microseconds) of
--              each window
-- then         name and age (microseconds) of admissions made elsewhere
--
-- Answers the memory's name, now, the slot's distance from now (-1 without
-- one), and each window's log as distances from now.

local SLACK_MS = 1000
-- By how much a replica that AWS throttles stretches its spans at most.
local SLOWEST = 10

local function integer(number)
  return string.format('%.0f', number)
end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

redis.call('SET', KEYS[1], ARGV[1], 'NX')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local memory = redis.call('GET', KEYS[1])

local name = ARGV[3]
local slot = now + tonumber(ARGV[4])
local windows = {}
for i = 2, #KEYS do
  local at = 5 + (i - 2) * 3
  windows[#windows + 1] = {
    key = KEYS[i],
    limit = tonumber(ARGV[at]),
    span = tonumber(ARGV[at + 1]),
    gap = tonumber(ARGV[at + 2]),
  }
end
local told = 5 + #windows * 3

for _, window in ipairs(windows) do
  -- A slot lies at or after now: what is a span old no longer matters, not even
  -- to a replica that goes slowly and asks with a longer span.
  redis.call('ZREMRANGEBYSCORE', window.key, '-inf', integer(now - window.span * SLOWEST))
  for i = told, #ARGV, 2 do
    local age = tonumber(ARGV[i + 1])
    if age < window.span then
      redis.call('ZADD', window.key, 'NX', integer(now - age), ARGV[i])
    end
  end
  -- A span after the limit-th latest admission no span can hold more than the
  -- limit, whatever the order in which the slots were reserved.
  if name ~= '' then
    local oldest = redis.call('ZRANGE', window.key, -window.limit, -window.limit, 'WITHSCORES')
    if oldest[2] then
      slot = math.max(slot, tonumber(oldest[2]) + window.span)
    end
    local latest = redis.call('ZRANGE', window.key, -1, -1, 'WITHSCORES')
    if latest[2] then
      slot = math.max(slot, tonumber(latest[2]) + window.gap)
    end
  end
end

local logs = {}
for i, window in ipairs(windows) do
  if name ~= '' then
    redis.call('ZADD', window.key, integer(slot), name)
  end
  local all = {}
  local entries = redis.call('ZRANGE', window.key, -window.limit, -1, 'WITHSCORES')
  for j = 2, #entries, 2 do
    all[#all + 1] = tonumber(entries[j]) - now
  end
  if #all > 0 then
    local left = all[#all] + window.span * SLOWEST
    redis.call('PEXPIRE', window.key, integer(math.ceil(left / 1000) + SLACK_MS))
  end
  logs[i] = all
end

local wait = -1
if name ~= '' then
  wait = slot - now
end
return { memory, now, wait, logs }
