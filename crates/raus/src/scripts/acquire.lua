-- Grants the first free one of some slots.
--
-- KEYS[1]   hash of the namespace
-- KEYS[2..] lock keys of the candidates, in order of preference, at most 1,024
-- ARGV[1]   holder (UUID)
-- ARGV[2]   the holder's terms, see terms_parse in history.lua
-- ARGV[3]   the holder's wall clock, Unix ms
-- ARGV[4]   label of the holder, may be empty; a free slot last held under it is taken first
-- ARGV[5]   what the holder knows of a past that is absent or quiet: 'ask', 'first:<token>' or 'voice' (history_admit)
-- ARGV[6]   '1' to accept a slot whose horizon lies further ahead of the server's clock than the skew, else '0'
-- ARGV[7]   the range that the candidates are from, "<first>-<last>"; '' if the holder may have been granted a slot before
-- ARGV[8]   number of this request in the holder's chain, see slots.lua
-- ARGV[9..] slot numbers of KEYS[2..]
--
-- Reply     {'granted', slot, fence, floor, horizon, server ms, longest terms, layout, garbled}; the numbers from fence to
--           server ms as strings; layout is '' if none is on record
--           {'taken', held, free but too far ahead, ms until the first lease ends (-1: unknown), '1' if that is said of the
--           whole range, ms by which the nearest of those too far ahead is so, garbled}
--           garbled is the number of a slot in whose field stands no record, so that it counts as held, or ''
--           {'quarantine', ms to wait} | {'absent', token} | {'quiet', token} | {'unverified'} | {'newer', version}
--           {'ahead', ms}: the namespace's floor lies so far ahead that nothing granted now could mint
--           {'skew', server ms as a string} | {'wrongtype', key, type}
--
-- Guarantees: a slot is granted only if its lock key does not exist and the lease on record is over, so never while any
-- holder's ttl runs (a lock that was evicted or deleted frees nothing), and only if the past is known. The fence is above
-- every fence granted for the slot before, the floor at or above every horizon acknowledged before, and no further ahead
-- than the longest ttl and skew. The same holder asking again for a slot that it has gets the same grant with the ttl
-- started anew. A refused holder changes nothing, except what is on record of the past, a deadline further away than any
-- ttl (its clock was set back), and the field "full": "<range> <server ms>", before which no slot of the range is free.

local slots = KEYS[1]
local holder, terms, wall, label = ARGV[1], terms_parse(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local mode, lenient, range, number = ARGV[5], ARGV[6] == '1', ARGV[7], ARGV[8]
local ttl, skew = terms.ttl, terms.skew
local FIRST = 8

local refused = wrong_type(slots)
if refused then return refused end

local now, now_us = server_now()
if math.abs(wall - now) > skew then return { 'skew', digits(now) } end

local known = redis.call('HMGET', slots, 'history', 'full', 'layout')
local past, other = history_of(known[1])
if type(other) == 'number' then return { 'newer', other } end
local longest = past and longer(past.longest, terms) or longer(terms, terms.known)

-- Many wait for a slot of one range: what the first of them has found serves the others (also where one with a longer ttl
-- has it, see full.lua).
local full_range, full_until = string.match(known[2] or '', '^(%S+) (%d+)$')
full_until = tonumber(full_until or nil) or 0
if range ~= '' and full_range == range and now < full_until and full_until <= now + longest.ttl then
  local first, last = string.match(range, '^(%d+)-(%d+)$')
  return { 'taken', last - first + 1, 0, full_until - now, '1', 0, '' }
end

local garbled = ''
local function granted(slot, record, past)
  return {
    'granted', tonumber(slot), digits(record.fence), digits(record.floor), digits(record.horizon), digits(now),
    terms_text(past.longest), known[3] or '', garbled,
  }
end

-- The past if something may be granted, else nil and the reply.
local function admit()
  local found = history_admit(slots, now, mode, terms, past, other)
  if found.standing == 'known' then
    local ahead = found.past.floor - (now + found.past.longest.ttl + found.past.longest.skew)
    if 0 < ahead then return nil, { 'ahead', ahead } end
    return found.past
  end
  return nil, { found.standing, found.wait or found.token or found.version }
end

local count = #KEYS - 1
local free, locked = {}, {}
-- Most of the few that are offered are free, of which one question tells.
local is_any_locked = 0 < redis.call('EXISTS', unpack(KEYS, 2))
for i = 1, count do
  local lock = is_any_locked and lock_read(KEYS[1 + i]) or nil
  if lock == holder then
    local slot = ARGV[FIRST + i]
    local record = record_parse(redis.call('HGET', slots, slot))
    -- A clone of the holder that asks has its name, not its number.
    if record and chain_head(record.chain) == number then
      -- A server that restarted has it from its disk, and may have been succeeded by a replica that has not.
      local past, refusal = admit()
      if refusal then return refusal end
      record.horizon = math.max(record.horizon, first_horizon(now, wall, skew, record.floor, ttl))
      record.till, record.chain = now + ttl, number
      redis.call('HSET', slots, slot, record_text(record))
      redis.call('PEXPIRE', KEYS[1 + i], ttl)
      return granted(slot, record, past)
    end
    if record == false then garbled = slot end
  end
  local group = lock and locked or free
  group[#group + 1] = i
end

local NONE = { fence = 0, horizon = 0, floor = 0, till = 0, chain = '-', label = '' }
local records = {}
-- What the record of a slot says; if something else stands in its place, its holder, if any, is unknown.
local function read_record(i, text)
  local record = record_parse(text)
  if record == false then
    garbled = ARGV[FIRST + i]
    record = { fence = 0, horizon = 0, floor = 0, till = math.huge, chain = '-', label = '' }
  end
  records[i] = record or NONE
end
local function read_records(of)
  if #of == 0 then return end
  local fields = {}
  for j, i in ipairs(of) do fields[j] = ARGV[FIRST + i] end
  for j, text in ipairs(redis.call('HMGET', slots, unpack(fields))) do read_record(of[j], text) end
end
-- A label needs all records at once, to find the one that bears it; else they are read one by one until one will do.
if label ~= '' then read_records(free) end
local function record_of(i)
  if not records[i] then read_record(i, redis.call('HGET', slots, ARGV[FIRST + i])) end
  return records[i]
end

local limit = now + (lenient and longest.ttl + longest.skew or skew)
local ahead, nearest = 0, math.huge
-- The one whose lease ended first, before all others what was given back or never granted: if the server's clock was set
-- forward, the leases that ended last have holders that do not know of it yet.
local function search()
  local best
  for _, i in ipairs(free) do
    local record = record_of(i)
    if record.till <= now then
      if limit < record.horizon then
        ahead, nearest = ahead + 1, math.min(nearest, record.horizon - limit)
      elseif record.till == 0 then
        return i
      elseif not best or record.till < record_of(best).till then
        best = i
      end
    end
  end
  return best
end
local chosen
if label ~= '' then
  for _, i in ipairs(free) do
    local record = records[i]
    if not chosen and record.label == label and record.till <= now and record.horizon <= now + skew then chosen = i end
  end
end
chosen = chosen or search()

-- Until when the slot cannot be free, server ms. A deadline that is further away than the longest ttl was written before
-- the clock was set back, and is cut. What the longest ttl is, a store that has forgotten something may not know yet.
local cuts = past and (past.till <= now or now + quarantine_of(past) < past.till)
local function held_until(i, is_locked)
  local record, lock, slot = records[i], KEYS[1 + i], ARGV[FIRST + i]
  if record.till == math.huge then return now + longest.ttl end
  if cuts and now + longest.ttl < record.till then
    record.till = now + longest.ttl
    redis.call('HSET', slots, slot, record_text(record))
    if is_locked and longest.ttl < redis.call('PTTL', lock) then redis.call('PEXPIRE', lock, longest.ttl) end
  end
  if is_locked and record.till <= now then
    local left = redis.call('PTTL', lock)
    -- A lock that lasts forever says nothing of when it ends.
    return 0 <= left and now + left or math.huge
  end
  return record.till
end

if not chosen then
  read_records(locked)
  local first = math.huge
  for _, i in ipairs(locked) do first = math.min(first, held_until(i, true)) end
  for _, i in ipairs(free) do
    if now < records[i].till then first = math.min(first, held_until(i, false)) end
  end
  local lowest, highest = string.match(range, '^(%d+)-(%d+)$')
  local whole = lowest and ahead == 0 and garbled == '' and count == highest - lowest + 1
  if whole and first < math.huge then redis.call('HSET', slots, 'full', range .. ' ' .. digits(first)) end
  return {
    'taken', count - ahead, ahead, first < math.huge and math.max(0, first - now) or -1, whole and '1' or '0',
    ahead ~= 0 and nearest or 0, garbled,
  }
end

local past, refusal = admit()
if refusal then return refusal end

local old = records[chosen]
local floor = math.max(old.horizon, past.floor)
local record = {
  fence = math.max(old.fence + 1, now_us),
  horizon = first_horizon(now, wall, skew, floor, ttl),
  floor = floor,
  till = now + ttl,
  chain = number,
  label = label,
}
-- The record first: were the lock refused (memory full), a raised horizon would cost a wait and nothing else.
redis.call('HSET', slots, ARGV[FIRST + chosen], record_text(record))
redis.call('SET', KEYS[1 + chosen], holder, 'NX', 'PX', ttl)
return granted(ARGV[FIRST + chosen], record, past)
