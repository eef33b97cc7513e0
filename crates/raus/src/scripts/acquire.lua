-- Grants the first free one of some slots.
--
-- KEYS[1]   hash of the namespace
-- KEYS[2..] lock keys of the candidates, in order of preference
-- ARGV[1]   holder (UUID)
-- ARGV[2]   ttl, ms
-- ARGV[3]   the holder's wall clock, Unix ms
-- ARGV[4]   how far that may differ from the server's, ms
-- ARGV[5]   label of the holder, may be empty; a free slot last held under it is taken first
-- ARGV[6]   what the holder knows of an absent past: 'ask', 'first:<token>' or 'voice' (see history_admit)
-- ARGV[7]   '1' to accept a slot whose horizon lies further ahead than ARGV[4], else '0'
-- ARGV[8]   how many replicas the holder will have acknowledge the grant: 'all', a number, 'never' or 'unable'
-- ARGV[9..] slot numbers of KEYS[2..]
--
-- Reply     {'granted', slot, fence, floor, horizon, server ms, need, garbled}; the numbers from fence to server ms as
--           strings; where need is not 0, the grant takes effect once so many replicas have acknowledged a renewal of it
--           and the same holder, asking once more for this slot, was given the same fence and no larger need: WAIT tells a
--           number, and whoever came meanwhile may have been counted in place of one that is promoted without the grant
--           {'taken', how many are held, how many are free but too far ahead, garbled}
--           garbled is the number of a slot in whose field stands no record, so that it counts as held, or ''
--           {'suspect', ms to wait, '1' where slots that were never granted or given back would be granted, else '0'}
--           {'few', replicas, how many are wanted}
--           {'absent', token} | {'skew', server ms as a string} | {'wrongtype', key, type}
--
-- Guarantees: a slot is granted only where its lock key does not exist and the lease on record is over, so never while
-- any holder's ttl runs (a lock that was evicted or deleted frees nothing), and never where the past is in doubt. After a
-- failover that replicas vouch for, what the record shows as held is not granted for one ttl, because its renewals may
-- be lost. The fence is above every fence granted for the slot before, the floor at or above every horizon acknowledged
-- before. The same holder asking again for a slot that it has gets the same grant with the ttl started anew, where
-- anything may be granted at all. Nothing is written unless the slot is granted or the past is put on record.

local slots = KEYS[1]
local holder, ttl, wall, skew = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local label, mode, lenient, acks = ARGV[5], ARGV[6], ARGV[7] == '1', ARGV[8]
local FIRST = 8

local refused = wrong_type(slots)
if refused then return refused end

local now, now_us = server_now()
if math.abs(wall - now) > skew then return { 'skew', digits(now) } end

local garbled = ''
local function granted(slot, record, need)
  return {
    'granted', tonumber(slot), digits(record.fence), digits(record.floor), digits(record.horizon), digits(now), need,
    garbled,
  }
end

-- The reply where nothing may be granted as the past stands; nil where something may.
local function not_now(past)
  if past.standing == 'absent' then return { 'absent', past.token } end
  if past.standing == 'suspect' then return { 'suspect', past.wait, '0' } end
  if past.standing == 'few' then return { 'few', past.good, past.need } end
end

local count = #KEYS - 1
local free, held = {}, 0
local NONE = { fence = 0, horizon = 0, floor = 0, till = 0, label = '' }
for i = 1, count do
  local slot = ARGV[FIRST + i]
  local lock = lock_read(KEYS[1 + i])
  if lock == holder then
    local record = record_parse(redis.call('HGET', slots, slot))
    if record then
      record.horizon = math.max(record.horizon, first_horizon(now, wall, skew, record.floor, ttl))
      record.till = now + ttl
      -- A server that restarted has it from its disk, and may have been succeeded by a replica that has not.
      local past = history_admit(slots, now, mode, ttl, skew, acks)
      local refusal = not_now(past)
      if refusal then return refusal end
      redis.call('HSET', slots, slot, record_text(record))
      redis.call('PEXPIRE', KEYS[1 + i], ttl)
      return granted(slot, record, past.need)
    end
    if record == false then garbled = slot end
    held = held + 1
  elseif lock then
    held = held + 1
  else
    free[#free + 1] = i
  end
end
if #free == 0 then return { 'taken', held, 0, garbled } end

-- A label needs all records at once, to find the one that bears it; else they are read one by one until one will do.
local records = {}
-- What the record of a slot says; where something else stands in its place, its holder, if any, is unknown.
local function read_record(i, text)
  local record = record_parse(text)
  if record == false then
    garbled = ARGV[FIRST + i]
    record = { fence = 0, horizon = 0, floor = 0, till = math.huge, label = '' }
  end
  records[i] = record or NONE
end
if label ~= '' then
  local fields = {}
  for j, i in ipairs(free) do fields[j] = ARGV[FIRST + i] end
  for j, text in ipairs(redis.call('HMGET', slots, unpack(fields))) do
    read_record(free[j], text)
  end
end
local function record_of(i)
  if not records[i] then read_record(i, redis.call('HGET', slots, ARGV[FIRST + i])) end
  return records[i]
end
-- The best one, and the best one of those that nobody ever held or that were given back.
local chosen, spare, ahead = nil, nil, 0
if label ~= '' then
  for _, i in ipairs(free) do
    local record = records[i]
    if not chosen and record.label == label and record.till <= now and record.horizon <= now + skew then
      chosen, spare = i, record.till == 0 and i or nil
    end
  end
end
-- Whose lease ended first, before all others what was given back or never granted: where the server's clock was set
-- forward, the leases that ended last have holders that do not know of it yet.
local function search(only_spare)
  local best
  for _, i in ipairs(free) do
    local record = record_of(i)
    if record.till > now then
      held = held + 1
    elseif not lenient and record.horizon > now + skew then
      ahead = ahead + 1
    elseif record.till == 0 or not only_spare then
      if record.till == 0 then return i end
      if not best or record.till < record_of(best).till then best = i end
    end
  end
  return best
end
chosen = chosen or search(false)
if not chosen then return { 'taken', held, ahead, garbled } end

local past = history_admit(slots, now, mode, ttl, skew, acks)
local refusal = not_now(past)
if refusal then return refusal end
if past.standing == 'vouched' then
  chosen = spare or search(true)
  if not chosen then return { 'suspect', past.wait, '1' } end
end

local old = records[chosen]
local floor = math.max(old.horizon, past.floor)
local record = {
  fence = math.max(old.fence + 1, now_us),
  horizon = first_horizon(now, wall, skew, floor, ttl),
  floor = floor,
  till = now + ttl,
  label = label,
}
-- The record first: were the lock refused (memory full), a raised horizon would cost a wait and nothing else.
redis.call('HSET', slots, ARGV[FIRST + chosen], record_text(record))
redis.call('SET', KEYS[1 + chosen], holder, 'NX', 'PX', ttl)
return granted(ARGV[FIRST + chosen], record, past.need)
