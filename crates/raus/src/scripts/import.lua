-- Writes records that another server had, for operators.
--
-- KEYS[1]  hash of the namespace
-- ARGV[1]  the operator's terms, with the longest ones of the exported namespace; see terms_parse in history.lua
-- ARGV[2]  slots on record in the namespace as read
-- ARGV[3]  floor of the exported namespace, Unix ms
-- ARGV[4]  its layout, '' if it had none
-- ARGV[5..] for each record, of at most 1,000: slot number, fence, horizon, floor, '1' if a lease was on record else '0', label
--
-- Reply    {'imported', ms of the quarantine, slots on record now}
--          {'changed'}: it is not as it was read | {'taken', slot}: another grant of the slot is on record
--          {'layout', the one on record} | {'unverified'} | {'newer', version} | {'wrongtype', key, type}
--
-- Guarantees: all or nothing. A quarantine begins, in which nothing is granted, and its floor lies above all that holders mint
-- until then. Fences and horizons never fall; every lease is over. Doing it again changes nothing else.

local slots, terms = KEYS[1], terms_parse(ARGV[1])
local floor, layout = tonumber(ARGV[3]), ARGV[4]
local FIRST, EACH = 4, 6
local refused = wrong_type(slots)
if refused then return refused end
local past, newer = history_read(slots)
if type(newer) == 'number' then return { 'newer', newer } end
if run_id() == '?' and not terms.unverified then return { 'unverified' } end
if record_count(slots) ~= tonumber(ARGV[2]) then return { 'changed' } end
local stored = redis.call('HGET', slots, 'layout')
if stored and layout ~= '' and stored ~= layout then return { 'layout', stored } end

local now = server_now()
local records = {}
for at = FIRST + 1, #ARGV, EACH do
  local slot, fence = ARGV[at], tonumber(ARGV[at + 1])
  local record = record_parse(redis.call('HGET', slots, slot))
  if record == false or (record and record.fence ~= fence) then return { 'taken', slot } end
  -- A holder that has found its way to this server has put its record back by itself.
  if not record then
    record = {
      fence = fence, horizon = 0, floor = 0, till = ARGV[at + 4] == '1' and now or 0, chain = '-', label = ARGV[at + 5],
    }
  end
  record.horizon = math.max(record.horizon, tonumber(ARGV[at + 2]))
  record.floor = math.max(record.floor, tonumber(ARGV[at + 3]))
  records[slot] = record_text(record)
end

past = history_doubt(slots, past, run_id(), now, terms)
past.floor = math.max(past.floor, floor)
history_write(slots, past)
for slot, text in pairs(records) do redis.call('HSET', slots, slot, text) end
if layout ~= '' then redis.call('HSET', slots, 'layout', layout) end
redis.call('HDEL', slots, 'discovery', 'full')
return { 'imported', quarantine_of(past), record_count(slots) }
