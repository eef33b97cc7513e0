-- Shared by the scripts of raus. The hash of a namespace holds one record per slot, field "<n>":
-- "<fence> <horizon> <floor> <till> <label of the last holder>". Fences are server microseconds or the last fence plus
-- one; horizon and floor are Unix milliseconds of minted timestamps, till is the server's time (ms) at which the lease
-- ends, 0 once released. All fit a Lua number (53 bits) and are written by digits(), never by tostring(), which rounds.

-- nil where there is no record, false where something else stands in its place.
local function record_parse(text)
  if not text then return nil end
  local fence, horizon, floor, till, label = string.match(text, '^(%d+) (%d+) (%d+) (%d+) (.*)$')
  if not fence then return false end
  local record = {
    fence = tonumber(fence), horizon = tonumber(horizon), floor = tonumber(floor), till = tonumber(till), label = label,
  }
  if LARGEST < math.max(record.fence, record.horizon, record.floor, record.till) then return false end
  return record
end

local function record_text(record)
  return digits(record.fence) .. ' ' .. digits(record.horizon) .. ' ' .. digits(record.floor) .. ' '
    .. digits(record.till) .. ' ' .. record.label
end

-- What a lock holds: nil where there is none, '?' for another type. As much of it as can be ours is read: anybody may have
-- put any length there.
local function lock_read(key)
  local found = redis.pcall('GETRANGE', key, 0, 127)
  if type(found) ~= 'string' then return '?' end
  if found == '' and redis.call('EXISTS', key) == 0 then return nil end
  return found
end

-- nil where the hash can be used, else the reply that says what stands in its place.
local function wrong_type(key)
  local found = redis.call('TYPE', key).ok
  if found == 'none' or found == 'hash' then return nil end
  return { 'wrongtype', key, found }
end

-- How far a new holder may mint: a ttl from its own clock or its floor, as far as that agrees with the server's clock.
-- What is on record then lies below the floor of a doubt.
local function first_horizon(now, wall, skew, floor, ttl)
  return math.max(floor, math.min(math.max(wall, floor), now + skew) + ttl)
end

-- How far a holder may go on minting: a ttl from its own clock, which counts only as far as it agrees with the server's,
-- or from what it last minted. The latter has no bound: where the server's clock was set back, minting must go on.
local function next_horizon(now, wall, skew, last, ttl)
  return math.max(math.min(wall, now + skew), last) + ttl
end
