-- Ends a membership. The caller works on nothing any more and will not send another beat.
--
-- KEYS[1] hash of the group; [2] a key that never exists (see group.lua)
-- ARGV    1 instance id, 2 incarnation, 3 member number, 4 settle ms, 5 '1' to keep its buckets for its grace
--
-- Reply   {'left'} | {'not_member'}
--
-- Guarantees: only the caller's own membership is touched. What it still owned is free at once, or kept for the next
-- incarnation of its id until the grace is over. Doing it again changes nothing.

local id, incarnation, number = ARGV[1], ARGV[2], tonumber(ARGV[3])
local settle, keep = tonumber(ARGV[4]), ARGV[5] == '1'

local me = group_load() and record(number)
if not me or me.id ~= id or me.incarnation ~= incarnation then return { 'not_member' } end
if keep and 0 < me.grace then
  redis.call('ZADD', base .. 'lease', now + me.grace, number)
  me.incarnation, me.dirty = string.match(me.incarnation, '^%d+') .. ':-', true
else
  remove(number, me, settle)
  if 0 < group.pool then wake_neediest() end
end
flush()
return { 'left' }
