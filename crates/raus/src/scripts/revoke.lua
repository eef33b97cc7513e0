-- Takes a slot away from its holder by force, for operators.
--
-- KEYS[1] hash of the namespace
-- KEYS[2] lock key of the slot
-- ARGV[1] slot number
-- ARGV[2] the lock's value as read, '' where there was none
-- ARGV[3] fence as read, '0' where there was no record
-- ARGV[4] '1' to free the slot at once, else '0'
--
-- Reply   {'revoked', fence on record now as a string, ms until the slot may be granted again}
--         {'changed'}: it is not as it was read | {'free'}: nobody holds it
--         {'unrecorded'}: its holder keeps no record (a process of the Go original), so no raised fence would stop it
--         {'newer', version} | {'wrongtype', key, type}
--
-- Guarantees: compare-and-set by holder and fence as read. The fence on record rises, and the lock no longer holds the
-- holder's value, so the holder's next renewal says that it has lost the slot, and its release frees nothing. The
-- horizon stays: the next grant's timestamps begin above all that the holder may have minted. Unless freed at once, the
-- slot is granted to nobody before the holder's lease is over by this server's clock; a marker with that ttl keeps its
-- lock from processes that know no record.

local slots, lock = KEYS[1], KEYS[2]
local slot, holder, fence, at_once = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1'

local refused = wrong_type(slots)
if refused then return refused end
local _, newer = history_read(slots)
if type(newer) == 'number' then return { 'newer', newer } end
local kind = redis.call('TYPE', lock).ok
if kind ~= 'none' and kind ~= 'string' then return { 'wrongtype', lock, kind } end

local now, now_us = server_now()
local found = lock_read(lock) or ''
local record = record_parse(redis.call('HGET', slots, slot))
if found ~= holder or (record and record.fence or 0) ~= fence then return { 'changed' } end
local left = record and math.max(0, record.till - now) or 0
if found == '' and left == 0 then return { 'free' } end
if left == 0 and not at_once then return { 'unrecorded' } end

if record then
  record.fence = math.max(record.fence + 1, now_us)
  -- As with a grant, or the holder would take it for one that the store made because it has forgotten something.
  record.floor = math.max(record.floor, record.horizon)
  if at_once then record.till, left = 0, 0 end
  redis.call('HSET', slots, slot, record_text(record))
end
redis.call('HDEL', slots, 'full')
if at_once then
  redis.call('DEL', lock)
else
  redis.call('SET', lock, 'revoked', 'PX', left)
end
return { 'revoked', digits(record and record.fence or 0), left }
