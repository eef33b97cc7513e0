-- Prolongs one slot and raises its horizon, if it is still the holder's.
--
-- KEYS[1] hash of the namespace
-- KEYS[2] lock key of the slot
-- ARGV[1] holder (UUID)
-- ARGV[2] slot number
-- ARGV[3] fence of the grant
-- ARGV[4] ttl, ms
-- ARGV[5] the holder's wall clock, Unix ms
-- ARGV[6] how far that may differ from the server's, ms
-- ARGV[7] timestamp last minted under the grant, Unix ms; its floor where nothing was
-- ARGV[8] label of the holder
-- ARGV[9] the server's time at which the last acknowledged lease ends, Unix ms
--
-- Reply   {'renewed', horizon, server ms} | {'reasserted', horizon, server ms}
--         {'capped', stored horizon, server ms, error}: the ttl runs anew, but the horizon could not be raised
--         {'lost', 'foreign'} | {'lost', 'forgotten'} | {'lost', 'superseded', stored fence} | {'wrongtype', key, type}
--
-- Guarantees: a lock key that is not the holder's is neither changed nor deleted. A missing one is put back only where
-- nobody was granted the slot since (the stored fence is not above the holder's). The horizon never falls. A holder
-- whose record is gone or older than its grant proves that the store has forgotten something: it writes its own back
-- and puts the past in doubt, so that nothing is granted for one ttl. It may do so only while its own lease runs: a
-- late message from a holder that has been succeeded must not bring it back.

local slots, lock = KEYS[1], KEYS[2]
local holder, slot, fence, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local wall, skew, last, label = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
local till = tonumber(ARGV[9])

local refused = wrong_type(slots)
if refused then return refused end

local found = lock_read(lock)
local missing = found == nil
if not missing and found ~= holder then return { 'lost', 'foreign' } end

local record = record_parse(redis.call('HGET', slots, slot))
if record and record.fence > fence then return { 'lost', 'superseded', digits(record.fence) } end

local now = server_now()
local forgotten = not record or record.fence < fence
if forgotten and till <= now then return { 'lost', 'forgotten' } end
if forgotten then
  record = { fence = fence, horizon = record and record.horizon or 0, floor = last, label = label }
end
local before = record.horizon
record.horizon = math.max(before, next_horizon(now, wall, skew, last, ttl))
record.till = now + ttl

if missing then
  redis.call('SET', lock, holder, 'NX', 'PX', ttl)
else
  redis.call('PEXPIRE', lock, ttl)
end
local written = redis.pcall('HSET', slots, slot, record_text(record))
if type(written) == 'table' and written.err then return { 'capped', digits(before), digits(now), written.err } end
if forgotten then history_doubt(slots, history_read(slots), run_id(), now, ttl, skew) end
return { (missing or forgotten) and 'reasserted' or 'renewed', digits(record.horizon), digits(now) }
