-- Reads what is on record of some slots, for operators.
--
-- KEYS[1]   hash of the namespace
-- KEYS[2..] lock keys of the slots, at most 1,024
-- ARGV[1..] slot numbers of KEYS[2..]
--
-- Reply     {'slots', server ms as a string, standing, ms, slots on record in the whole namespace, slots}
--           {'wrongtype', key, type}
--           the standing is 'known', 'absent', or with the ms that it lasts 'suspect' (nothing is granted) or 'vouched'
--           (only what was free at a failover is);
--           a slot is {number, '1' where there is a lock, its value, its ttl in ms (-1: none), fence, horizon, floor,
--           ms left of the lease on record, label}, fence, horizon and floor as strings; '0' and '' where there is no
--           record. Slots with neither lock nor record are left out.
--
-- Guarantees: nothing is written, so that what was read may be out of date when it arrives.

local slots = KEYS[1]
local refused = wrong_type(slots)
if refused then return refused end

local now = server_now()

local records = redis.call('HMGET', slots, unpack(ARGV))
local found = {}
for i = 1, #ARGV do
  local lock, ttl = lock_read(KEYS[1 + i]), 0
  if lock == '?' then lock = '(a ' .. redis.call('TYPE', KEYS[1 + i]).ok .. ')' end
  if lock then ttl = redis.call('PTTL', KEYS[1 + i]) end
  local record = record_parse(records[i])
  if lock or record ~= nil then
    local what = record == false and '(no record)' or ''
    record = record or { fence = 0, horizon = 0, floor = 0, till = 0, label = what }
    found[#found + 1] = {
      tonumber(ARGV[i]), lock and '1' or '0', lock or '', ttl, digits(record.fence), digits(record.horizon),
      digits(record.floor), math.max(0, record.till - now), string.sub(record.label, 1, 128),
    }
  end
end
local recorded = redis.call('HLEN', slots) - redis.call('HEXISTS', slots, 'history')
  - redis.call('HEXISTS', slots, 'discovery')
local state, left = history_standing(history_read(slots), run_id(), now)
return { 'slots', digits(now), state, left, recorded, found }
