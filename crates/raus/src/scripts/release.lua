-- Gives one slot back.
--
-- KEYS[1] hash of the namespace
-- KEYS[2] lock key of the slot
-- ARGV[1] holder (UUID)
-- ARGV[2] slot number
-- ARGV[3] fence of the grant
-- ARGV[4] horizon to leave behind, Unix ms: the first timestamp that was never minted, if ARGV[5] is '1'; else the one
--         that was acknowledged last
-- ARGV[5] '1' if the horizon on record may be lowered to ARGV[4], else '0'
-- ARGV[6] the holder's terms, see terms_parse in history.lua
-- ARGV[7] the server's time at which the last acknowledged lease ends, Unix ms
-- ARGV[8] chain, as in renew.lua
-- ARGV[9] label of the holder
-- ARGV[10] channel of those who wait for a slot
--
-- Reply   {'released'} | {'not_held'}
--
-- Guarantees: a lock key that is not the holder's is not touched. The horizon is lowered only if no other grant was made
-- since and no other process renewed this one, and never below the grant's own floor. If the store has forgotten the
-- grant, its horizon is put back, so that the next holder begins above it. Doing it again changes nothing. Of a hash that
-- cannot be used, or that a newer version has written, only the lock is freed.

local slots, lock = KEYS[1], KEYS[2]
local holder, slot, fence = ARGV[1], ARGV[2], tonumber(ARGV[3])
local horizon, lowers, terms = tonumber(ARGV[4]), ARGV[5] == '1', terms_parse(ARGV[6])
local acknowledged_till, chain, label = tonumber(ARGV[7]), ARGV[8], ARGV[9]

local now = server_now()
local found = lock_read(lock)
local past, newer
local usable = not wrong_type(slots)
if usable then past, newer = history_read(slots) end
usable = usable and type(newer) ~= 'number'
local record = usable and record_parse(redis.call('HGET', slots, slot))
if (found and found ~= holder) or (record and fence < record.fence) then
  if usable then
    note_forgotten(slots, slot, record, fence, horizon, label, past, now, terms, acknowledged_till)
  end
  return { 'not_held' }
end

local step = record and record.fence == fence and chain_step(record, chain) or 'forgotten'
if step == 'cloned' then return { 'not_held' } end
local forgotten = step == 'forgotten' or step == 'rewound'
if forgotten and (not usable or acknowledged_till <= now) then
  if found then redis.call('DEL', lock) end
  return { found and 'released' or 'not_held' }
end
if record and not forgotten and record.till == 0 and not found then return { 'released' } end

if step == 'forgotten' then
  record = { fence = fence, horizon = record and record.horizon or 0, floor = 0, label = label }
end
if lowers and not forgotten then
  record.horizon = math.max(record.floor, horizon)
else
  record.horizon = math.max(record.horizon, horizon)
end
-- With the chain, a renewal that comes late is told from one of another process.
record.till, record.chain = 0, chain
-- Freeing the lock matters more: if memory is full, horizon and lease on record stay as they are.
local written = redis.pcall('HSET', slots, slot, record_text(record))
if found == holder then redis.call('DEL', lock) end
if type(written) == 'table' and written.err then return { 'released' } end
redis.call('HDEL', slots, 'full')
if forgotten then history_rewound(slots, past, now, terms, acknowledged_till - terms.ttl) end
redis.pcall('PUBLISH', ARGV[10], slot)
return { 'released' }
