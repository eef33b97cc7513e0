-- Reads what is on record of some slots, for operators.
--
-- KEYS[1]   hash of the namespace
-- KEYS[2..] lock keys of the slots, at most 1,024
-- ARGV[1..] slot numbers of KEYS[2..]
--
-- Reply     {'slots', server ms as a string, standing, ms, slots on record in the whole namespace, slots, layout, floor of
--           the namespace as a string, longest terms, '1' if this server wrote last, so that a quarantine has begun,
--           '1' if the server tells its identity}
--           {'newer', version} | {'wrongtype', key, type}
--           the standing is 'known', 'absent', or 'quarantine' with the ms for which nothing new is granted; layout is ''
--           if none is on record; terms are "<ttl> <bound> <skew>", ms;
--           a slot is {number, '1' where there is a lock, its value, its ttl in ms (-1: none), fence, horizon, floor,
--           ms left of the lease on record, label}, fence, horizon and floor as strings; '0' and '' where there is no
--           record. Slots with neither lock nor record are left out.
--
-- Guarantees: nothing is written, so that what was read may be out of date when it arrives.

local slots = KEYS[1]
local refused = wrong_type(slots)
if refused then return refused end
local past, newer = history_read(slots)
if type(newer) == 'number' then return { 'newer', newer } end

local now, run = server_now(), run_id()

local records = redis.call('HMGET', slots, unpack(ARGV))
local found = {}
for i = 1, #ARGV do
  local lock, ttl = lock_read(KEYS[1 + i]), 0
  if lock == '?' then lock = '(a ' .. redis.call('TYPE', KEYS[1 + i]).ok .. ')' end
  if lock then ttl = redis.call('PTTL', KEYS[1 + i]) end
  local record = record_parse(records[i])
  if lock or record ~= nil then
    local what = record == false and '(no record)' or ''
    record = record or { fence = 0, horizon = 0, floor = 0, till = 0, chain = '-', label = what }
    found[#found + 1] = {
      tonumber(ARGV[i]), lock and '1' or '0', lock or '', ttl, digits(record.fence), digits(record.horizon),
      digits(record.floor), math.max(0, record.till - now), string.sub(record.label, 1, 128),
    }
  end
end
local state, left = history_standing(past, run, now)
return {
  'slots', digits(now), state, left, record_count(slots), found, redis.call('HGET', slots, 'layout') or '',
  digits(past and past.floor or 0), past and terms_text(longest_in_use(past, now)) or '0 0 0',
  past and is_same_server(past.run, run) and '1' or '0', run ~= '?' and '1' or '0',
}
