-- Asks a member to give all its buckets to the others, or takes that back, for operators.
--
-- KEYS[1] hash of the group
-- ARGV    1 instance id, 2 '1' to drain, '0' to take it back, 3 settle ms
--
-- Reply   {'draining', own buckets} | {'resumed', own buckets} | {'not_member'}
--         {'last'}: nobody else takes buckets, so its buckets would be nobody's | {'newer', version}
--         {'wrongtype', key, type}
--
-- Guarantees: no bucket changes its owner here. A member that is to be drained has no share any more, whatever weight
-- it asks for: it gets nothing, and its next beat tells it that all it owns is surplus, which it releases as it always
-- does, once work in a bucket has ended. This lasts until it is taken back, or the membership ends; another incarnation
-- of the id begins undrained. Doing it again changes nothing.

local id, wanted, settle = ARGV[1], ARGV[2] == '1', tonumber(ARGV[3])

local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'none' and kind ~= 'hash' then return { 'wrongtype', KEYS[1], kind } end
if not group_load() then return newer and { 'newer', newer } or { 'not_member' } end
local number = tonumber(redis.call('HGET', base .. 'ids', id) or nil)
local value = number and record(number)
if not value then return { 'not_member' } end

local count = counted(number, value.weight)
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
