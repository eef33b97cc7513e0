-- Gives one slot back.
--
-- KEYS[1] hash of the namespace
-- KEYS[2] lock key of the slot
-- ARGV[1] holder (UUID)
-- ARGV[2] slot number
-- ARGV[3] fence of the grant
-- ARGV[4] horizon to leave behind, Unix ms: just past the last minted timestamp
--
-- Reply   {'released'} | {'not_held'}
--
-- Guarantees: a lock key that is not the holder's is not touched. The horizon is lowered only where no other grant
-- was made since, and never below the grant's own floor. Doing it again changes nothing.

local slots, lock = KEYS[1], KEYS[2]
local holder, slot, fence, horizon = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local found = lock_read(lock)
local record = not wrong_type(slots) and record_parse(redis.call('HGET', slots, slot))
if found and found ~= holder then return { 'not_held' } end
if record and record.fence > fence then return { 'not_held' } end
if not found and not record then return { 'not_held' } end

if record and record.fence == fence then
  record.horizon, record.till = math.max(record.floor, horizon), 0
  -- Freeing the lock matters more: where memory is full, horizon and lease on record stay as they are.
  redis.pcall('HSET', slots, slot, record_text(record))
end
if found == holder then redis.call('DEL', lock) end
return { 'released' }
