-- Takes back timestamps that lie too far ahead, after a clock was, for operators.
--
-- KEYS[1]  hash of the namespace
-- KEYS[2..] lock keys of some slots, at most 1,000
-- ARGV[1]  '1' to change, '0' to say what would be changed
-- ARGV[2]  the operator's terms, see terms_parse in history.lua; they count if the namespace has no history
-- ARGV[3]  floor of the namespace as read; '' to leave it alone
-- ARGV[4..] for each of KEYS[2..]: slot number, fence as read, horizon as read
--
-- Reply    {'repair', server ms, limit, what became of the floor, {slot, what became of it}, …}; times as strings
--          'fine': not beyond the limit | 'changed': it is not as it was read | 'reset': to the limit
--          'held': somebody holds the slot, so it is left alone | 'cut': as before, and the deadline of its lease, further
--          away than any ttl, is the longest ttl from now
--          {'newer', version} | {'wrongtype', key, type}
--
-- Guarantees: compare-and-set on what was read. Only what lies beyond the limit is changed: the server's time, the longest ttl
-- (or what is left of a quarantine) and the longest clock skew. A slot that somebody holds keeps its horizon. Timestamps between the limit and what was on
-- record may have been minted, and are minted again when the clock gets there.

local slots, changes, terms = KEYS[1], ARGV[1] == '1', terms_parse(ARGV[2])
local FIRST = 3

local refused = wrong_type(slots)
if refused then return refused end
local past, newer = history_read(slots)
if type(newer) == 'number' then return { 'newer', newer } end

local now = server_now()
local longest = longest_in_use(past, now, terms)
local limit = limit_of(past, longest, now)

local function repair_floor(read)
  if read == '' or not past or past.floor <= limit then return 'fine' end
  if digits(past.floor) ~= read then return 'changed' end
  if changes then
    past.floor = limit
    history_write(slots, past)
  end
  return 'reset'
end

local function repair_slot(lock, slot, fence, horizon)
  local record = record_parse(redis.call('HGET', slots, slot))
  if not record or digits(record.fence) ~= fence or digits(record.horizon) ~= horizon then return 'changed' end
  if record.horizon <= limit then return 'fine' end
  local found = lock_read(lock)
  if found or now < record.till then
    local furthest = now + longest.ttl
    if record.till <= furthest then return 'held' end
    if changes then
      record.till = furthest
      redis.call('HSET', slots, slot, record_text(record))
      if found and longest.ttl < redis.call('PTTL', lock) then redis.call('PEXPIRE', lock, longest.ttl) end
    end
    return 'cut'
  end
  if changes then
    record.horizon, record.floor = limit, math.min(record.floor, limit)
    redis.call('HSET', slots, slot, record_text(record))
  end
  return 'reset'
end

local reply = { 'repair', digits(now), digits(limit), repair_floor(ARGV[3]) }
for i = 2, #KEYS do
  local at = FIRST + 3 * (i - 2)
  local slot = ARGV[at + 1]
  reply[#reply + 1] = { slot, repair_slot(KEYS[i], slot, ARGV[at + 2], ARGV[at + 3]) }
end
if changes then redis.call('HDEL', slots, 'full') end
return reply
