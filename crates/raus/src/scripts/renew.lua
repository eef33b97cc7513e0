-- Prolongs one slot and raises its horizon, if it is still the holder's.
--
-- KEYS[1]  hash of the namespace
-- KEYS[2]  lock key of the slot
-- ARGV[1]  holder (UUID)
-- ARGV[2]  slot number
-- ARGV[3]  fence of the grant
-- ARGV[4]  the holder's terms, see terms_parse in history.lua
-- ARGV[5]  the holder's wall clock, Unix ms
-- ARGV[6]  timestamp last minted under the grant, Unix ms; its floor if nothing was
-- ARGV[7]  label of the holder
-- ARGV[8]  the server's time at which the last acknowledged lease ends, Unix ms
-- ARGV[9]  chain: the number of this renewal, those whose answer is missing, the last one that was answered; see slots.lua
-- ARGV[10] layout of the IDs that the holder mints, '' if it mints none
-- ARGV[11] horizon that was acknowledged last, Unix ms
--
-- Reply   {'renewed' | 'reasserted', horizon, server ms, longest terms}
--         {'capped', stored horizon, server ms, longest terms, error}: the ttl runs anew, but the horizon could not be raised
--         {'lost', 'foreign' | 'forgotten' | 'cloned'} | {'lost', 'superseded', stored fence} | {'lost', 'layout', stored}
--         {'late'}: a later renewal of the same holder came first | {'newer', version} | {'wrongtype', key, type}
--
-- Guarantees: a lock key that is not the holder's is neither changed nor deleted. A missing one is put back only if nobody
-- was granted the slot since (the stored fence is not above the holder's). The horizon never falls. A holder whose record
-- is gone, is older than what it was answered, or is another's that began below what it may mint, proves that the store has
-- forgotten something: its horizon is put back and a quarantine begins, even if the slot itself is another's by now. It may
-- do so only while its own lease runs: a late message from a holder that has been succeeded must not bring it back. If two
-- processes renew one lease, both lose it: the second at once, the first with its next renewal.

local slots, lock = KEYS[1], KEYS[2]
local holder, slot, fence, terms = ARGV[1], ARGV[2], tonumber(ARGV[3]), terms_parse(ARGV[4])
local wall, last, label = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local acknowledged_till, chain, layout, horizon = tonumber(ARGV[8]), ARGV[9], ARGV[10], tonumber(ARGV[11])

local refused = wrong_type(slots)
if refused then return refused end

local now = server_now()
local found = lock_read(lock)
local stored = redis.call('HMGET', slots, slot, 'history', 'layout')
local record = record_parse(stored[1])
local past, newer
if stored[2] then past, newer = history_parse(stored[2]) end
if newer then return { 'newer', newer } end

local missing = found == nil
local is_foreign = not missing and found ~= holder
if is_foreign or (record and fence < record.fence) then
  note_forgotten(slots, slot, record, fence, horizon, label, past, now, terms, acknowledged_till)
  if is_foreign then return { 'lost', 'foreign' } end
  return { 'lost', 'superseded', digits(record.fence) }
end
if layout ~= '' and stored[3] and stored[3] ~= layout then return { 'lost', 'layout', stored[3] } end

local forgotten = not record or record.fence < fence
if not forgotten then
  local step = chain_step(record, chain)
  if step == 'late' then return { 'late' } end
  if step == 'cloned' then
    -- Not by a message that comes too late to be anybody's: the other process goes on then.
    if now < acknowledged_till then
      record.chain = '!'
      redis.call('HSET', slots, slot, record_text(record))
    end
    return { 'lost', 'cloned' }
  end
  forgotten = step == 'rewound'
end
if forgotten and acknowledged_till <= now then return { 'lost', 'forgotten' } end
if not record or record.fence < fence then
  record = { fence = fence, horizon = record and record.horizon or 0, floor = last, label = label }
end
if forgotten then record.horizon = math.max(record.horizon, horizon) end
local before = record.horizon
record.horizon = math.max(before, next_horizon(now, wall, terms.skew, last, terms.ttl))
record.till, record.chain = now + terms.ttl, chain

if missing then
  redis.call('SET', lock, holder, 'NX', 'PX', terms.ttl)
else
  redis.call('PEXPIRE', lock, terms.ttl)
end
local written = redis.pcall('HSET', slots, slot, record_text(record))
if type(written) == 'table' and written.err then
  local longest = past and past.longest or terms.known
  return { 'capped', digits(before), digits(now), terms_text(longest), written.err }
end
if layout ~= '' and not stored[3] then redis.call('HSET', slots, 'layout', layout) end
if forgotten then
  past = history_rewound(slots, past, now, terms, acknowledged_till - terms.ttl)
else
  past = history_watch(slots, past, now, terms)
end
return {
  (missing or forgotten) and 'reasserted' or 'renewed', digits(record.horizon), digits(now), terms_text(past.longest),
}
