-- Puts another layout on record, if nobody holds one of some slots, for operators.
--
-- KEYS[1]  hash of the namespace
-- KEYS[2..] lock keys of some slots, at most 1,000
-- ARGV[1]  layout as read, '' if there was none
-- ARGV[2]  the new layout; '' to see who holds a slot, and change nothing
-- ARGV[3]  slots on record in the whole namespace as read
-- ARGV[4..] slot numbers of KEYS[2..]
--
-- Reply    {'layout', the one on record} | {'held', slot, …} | {'changed'}: it is not as it was read
--          {'newer', version} | {'wrongtype', key, type}
--
-- Guarantees: compare-and-set on what was read. Nobody holds any of the slots, by lock or by lease on record. Of a namespace
-- with more slots than one call takes, the earlier calls have seen the others; a holder that came meanwhile loses its lease
-- with its next renewal, because that names the old layout. IDs minted under the old layout may be minted again.

local slots = KEYS[1]
local FIRST = 3
local refused = wrong_type(slots)
if refused then return refused end
local _, newer = history_read(slots)
if type(newer) == 'number' then return { 'newer', newer } end

local layout = redis.call('HGET', slots, 'layout') or ''
if layout ~= ARGV[1] or record_count(slots) ~= tonumber(ARGV[3]) then return { 'changed' } end
local now = server_now()
local held = { 'held' }
for i = 2, #KEYS do
  local slot = ARGV[FIRST + i - 1]
  local record = record_parse(redis.call('HGET', slots, slot))
  -- Who holds a slot without a readable record is unknown.
  local runs = record == false or (record and now < record.till)
  if runs or lock_read(KEYS[i]) then held[#held + 1] = slot end
end
if 1 < #held then return held end
if ARGV[2] ~= '' then
  redis.call('HSET', slots, 'layout', ARGV[2])
  layout = ARGV[2]
end
return { 'layout', layout }
