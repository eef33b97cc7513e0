-- Reads a group and some of its members, for operators.
--
-- KEYS[1] hash of the group
-- ARGV    1 first member number, 2 last member number; at most 256 of them
--
-- Reply   {'group', server ms as a string, standing, ms, buckets, assignment, version, members, free buckets,
--          ms until membership has been quiet, highest member number, stamp, members}
--         {'absent'}: there is no such group | {'newer', version} | {'wrongtype', key, type}
--         the standing is 'known', or 'quarantine' with the ms until something free is granted again; the stamp changes
--         whenever who owns what does;
--         a member is {number, id, incarnation with its time, weight, '1' where an operator wants it drained, owned,
--         quota, ms left of its lease (negative: over), grace ms, grants it has not acknowledged, '1' where it is in
--         step, first bucket of its range, end of the range}; the range is only set for contiguous groups
--
-- Guarantees: nothing is written.

local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'none' and kind ~= 'hash' then return { 'wrongtype', KEYS[1], kind } end
if not group_load() then return newer and { 'newer', newer } or { 'absent' } end

local extras, members = shares(), {}
for number = tonumber(ARGV[1]), math.min(tonumber(ARGV[2]), group.top) do
  local value = record(number)
  if value then
    local count = counted(number, value.weight)
    local low, high = 0, 0
    if group.assignment == 'c' then low, high = range_of(number, value.weight) end
    local reaped_at = tonumber(redis.call('ZSCORE', base .. 'lease', number) or '0')
    members[#members + 1] = {
      number, value.id, value.incarnation, value.weight, value.drained and '1' or '0', count,
      quota(number, value.weight, count, extras), digits(reaped_at - value.grace - now), value.grace,
      value.given - value.acked, value.gen == group.gen and not value.limbo and '1' or '0', low, high,
    }
  end
end
local state, left = history_standing(group.past, run_id(), now)
if now < group.doubt_till then state, left = 'quarantine', math.max(left, group.doubt_till - now) end
return {
  'group', digits(now), state, left, group.buckets, group.assignment, group.version, group.members,
  group.pool + group.virgin, math.max(0, group.settle_at - now), group.top, group.text, members,
}
