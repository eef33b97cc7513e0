-- Shared by the scripts of raus. The hash of a namespace holds one record per slot, field "<n>":
-- "<fence> <horizon> <floor> <till> <chain> <label of the last holder>". Fences are server microseconds or the last fence
-- plus one; horizon and floor are Unix ms of minted timestamps; till is the server's time (ms) at which the lease ends, 0
-- once released. All fit a Lua number (53 bits) and are written by digits(), never by tostring(), which rounds.
-- Other fields: "history" and "discovery" (history.lua); "layout", that of the IDs that are minted in the namespace;
-- "full", see acquire.lua.
--
-- The chain tells a holder from its clone, a process that was copied with its memory and renews the same lease. Each
-- grant and renewal bears a number, <count> × 2^20 + <randomness of that moment>, that no clone has, and names the numbers
-- that the holder knows: the last one that was answered, and those whose answer it misses. The record keeps what the last
-- renewal named, its own number first; "-" is none, and "!" that two processes renewed.

local SPREAD = 1048576

-- nil if there is no record, false if something else stands in its place.
local function record_parse(text)
  if not text then return nil end
  local fence, horizon, floor, till, chain, label = string.match(text, '^(%d+) (%d+) (%d+) (%d+) (%S+) (.*)$')
  if not fence or not (chain == '-' or chain == '!' or string.find(chain, '^%d[%d,]*$')) then return false end
  local record = {
    fence = tonumber(fence), horizon = tonumber(horizon), floor = tonumber(floor), till = tonumber(till), chain = chain,
    label = label,
  }
  if LARGEST < math.max(record.fence, record.horizon, record.floor, record.till) then return false end
  return record
end

local function record_text(record)
  return digits(record.fence) .. ' ' .. digits(record.horizon) .. ' ' .. digits(record.floor) .. ' '
    .. digits(record.till) .. ' ' .. record.chain .. ' ' .. record.label
end

local function chain_head(chain)
  return string.match(chain, '^[^,]+')
end

local function chain_has(chain, number)
  return string.find(',' .. chain .. ',', ',' .. number .. ',', 1, true) ~= nil
end

-- How a renewal whose chain is `named` continues the chain on record:
--   'next'    it knows the last one
--   'late'    a later one of the same holder came before it
--   'rewound' the record is older than what the holder was answered: the store has forgotten something
--   'cloned'  another process has continued the chain
local function chain_step(record, named)
  local head = chain_head(record.chain)
  if head == '!' then return 'cloned' end
  if head == '-' or chain_has(named, head) then return 'next' end
  if chain_has(record.chain, chain_head(named)) then return 'late' end
  local answered = tonumber(string.match(named, '([^,]+)$'))
  if math.floor(tonumber(head) / SPREAD) < math.floor(answered / SPREAD) then return 'rewound' end
  return 'cloned'
end

-- What a lock holds: nil if there is none, '?' for another type. As much of it as can be ours is read: anybody may have
-- put any length there.
local function lock_read(key)
  local found = redis.pcall('GETRANGE', key, 0, 127)
  if type(found) ~= 'string' then return '?' end
  if found == '' and redis.call('EXISTS', key) == 0 then return nil end
  return found
end

-- Another has the slot of whoever asks. Where its record is older than the caller's grant, or there is none, or its grant
-- began below what the caller may still mint, the store has forgotten what it acknowledged to the caller. That horizon is put
-- back, and a quarantine begins; the slot stays the other's.
local function note_forgotten(slots, slot, record, fence, horizon, label, past, now, terms, acknowledged_till)
  if record == false or acknowledged_till <= now then return end
  if record and (record.fence == fence or fence < record.fence and horizon <= record.floor) then return end
  record = record or { fence = fence, horizon = 0, floor = 0, till = 0, chain = '-', label = label }
  record.horizon = math.max(record.horizon, horizon)
  redis.call('HSET', slots, slot, record_text(record))
  history_rewound(slots, past, now, terms, acknowledged_till - terms.ttl)
end

-- nil if the hash can be used, else the reply that says what stands in its place.
local function wrong_type(key)
  local found = redis.call('TYPE', key).ok
  if found == 'none' or found == 'hash' then return nil end
  return { 'wrongtype', key, found }
end

-- How far a new holder may mint: a ttl from its own clock or its floor, as far as that agrees with the server's clock.
-- What is on record then lies below the floor of a quarantine.
local function first_horizon(now, wall, skew, floor, ttl)
  return math.max(floor, math.min(math.max(wall, floor), now + skew) + ttl)
end

-- How far a holder may go on minting: a ttl from its own clock, or from what it last minted. Both count only as far as they
-- agree with the server's clock, so that no horizon lies beyond what a quarantine assumes of holders that are forgotten.
-- Unless the clocks differ: if the server's was set back, minting must go on.
local function next_horizon(now, wall, skew, last, ttl)
  local limit = now + skew
  if wall <= limit then last = math.min(last, limit) end
  return math.max(math.min(wall, limit), last) + ttl
end
