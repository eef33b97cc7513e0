-- Asks a member to give all its buckets to the others, takes that back, or gives up one that has gone, for operators.
--
-- KEYS[1] hash of the group
-- ARGV    1 instance id, 2 '1' to drain, '0' to take it back, 'e' to evict, 3 settle ms
--
-- Reply   {'draining', own buckets} | {'resumed', own buckets} | {'not_member'}
--         {'evicted', own buckets}: it is not waited for any more | {'lives', ms}: its lease runs for so long
--         {'last'}: nobody else takes buckets, so its buckets would be nobody's | {'newer', version}
--         {'wrongtype', key, type}
--
-- Guarantees: no bucket changes its owner here. A member that is to be drained has no share any more, whatever weight
-- it asks for: it gets nothing, and its next beat tells it that all it owns is surplus, which it releases as it always
-- does, once work in a bucket has ended. This lasts until it is taken back, or the membership ends; another incarnation
-- of the id begins undrained. Doing it again changes nothing. Nobody whose lease runs is evicted: only the grace ends for
-- which the buckets are kept, and then the next heartbeat of anybody finds a lease that is over, as any other. Draining a
-- member that has left for a while evicts it.

local id, wanted, evict, settle = ARGV[1], ARGV[2] == '1', ARGV[2] == 'e', tonumber(ARGV[3])

local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'none' and kind ~= 'hash' then return { 'wrongtype', KEYS[1], kind } end
if not group_load() then return newer and { 'newer', newer } or { 'not_member' } end
local number = tonumber(redis.call('HGET', base .. 'ids', id) or nil)
local value = number and record(number)
if not value then return { 'not_member' } end

local count = counted(number, value.weight)
if evict or (wanted and string.match(value.incarnation, ':%-$')) then
  local till = tonumber(redis.call('ZSCORE', base .. 'lease', number) or '0') - value.grace
  if now < till then return { 'lives', till - now } end
  redis.call('ZADD', base .. 'lease', till, number)
  value.grace, value.dirty = 0, true
  for _, class in ipairs(group.classes) do
    for _, other in ipairs(redis.call('ZRANGE', base .. 'count:' .. class.weight, 0, 15)) do publish[other] = true end
  end
  flush()
  return { 'evicted', count }
end
if wanted and not value.drained and group.weight <= value.weight then return { 'last' } end
if value.drained ~= wanted then
  value.drained, value.dirty = wanted, true
  -- Its own weight comes back with its next beat, for which it is woken.
  if wanted and value.weight ~= 0 then
    leave_class(number, value.weight)
    value.weight = 0
    enter_class(number, 0, count)
    membership_changed(settle)
  end
  publish[number] = true
  flush()
end
return { wanted and 'draining' or 'resumed', count }
