-- Shared by the scripts of raus. The hash of a namespace holds one record per slot, field "<n>":
-- "<fence> <horizon> <floor> <till> <label of the last holder>". Fences are server microseconds or the last fence plus
-- one; horizon and floor are Unix milliseconds of minted timestamps, till is the server's time (ms) at which the lease
-- ends, 0 once released. All fit a Lua number (53 bits) and are written by digits(), never by tostring(), which rounds.

local function record_parse(text)
  if not text then return nil end
  local fence, horizon, floor, till, label = string.match(text, '^(%d+) (%d+) (%d+) (%d+) (.*)$')
  if not fence then return nil end
  return {
    fence = tonumber(fence), horizon = tonumber(horizon), floor = tonumber(floor), till = tonumber(till), label = label,
  }
end

local function record_text(record)
  return digits(record.fence) .. ' ' .. digits(record.horizon) .. ' ' .. digits(record.floor) .. ' '
    .. digits(record.till) .. ' ' .. record.label
end

-- nil where the hash can be used, else the reply that says what stands in its place.
local function wrong_type(key)
  local found = redis.call('TYPE', key).ok
  if found == 'none' or found == 'hash' then return nil end
  return { 'wrongtype', key, found }
end

-- How far a holder may mint: a ttl from its own clock, or from what it last minted, where its clock was set back; but
-- only as far as that agrees with the server's. Whatever is on record then lies below the floor of a doubt.
local function next_horizon(now, wall, skew, last, ttl)
  return math.min(math.max(wall, last), now + skew) + ttl
end
