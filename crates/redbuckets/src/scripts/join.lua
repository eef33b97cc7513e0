-- Makes an instance a member of its group, which is made where there is none.
--
-- KEYS[1] hash of the group; [2] a key that never exists (see group.lua)
-- ARGV    1 instance id, 2 incarnation (UUID), 3 an earlier incarnation (with its time) of the same process or '-', 4 buckets,
--         5 assignment ('s' or 'c'), 6 weight, 7 terms, see terms_parse in history.lua, 8 grace ms, 9 discovery ms
--
-- Reply   {'joined', member number, generation, incarnation with its time, longest terms, server ms}
--         {'occupied', ms until the lease of that id is over, server ms at which it is over}
--         {'buckets', count of the group} | {'assignment', that of the group} | {'full'} | {'wrongtype', key, type}
--         {'weights', how many different ones a group may have}: it has them, and this would be another
--         {'unverified'}: the server does not tell its identity, and the caller insists on that
--         {'newer', version}: a newer client has made the group
--
-- Guarantees: an id whose lease runs, or may do so because its renewals were lost, is not taken, except by the same
-- process. Whoever takes an id over fences its earlier incarnation and gets its buckets again, with higher epochs. Nobody's
-- share changes: the answer may be lost, so a share begins with the first beat. A refused instance changes nothing, but
-- that a group of which something was lost is made anew. Asking again with the same incarnation gives the same answer.

local id, incarnation, previous = ARGV[1], ARGV[2], ARGV[3]
local buckets, assignment, weight = tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])
local terms, grace, discovery = terms_parse(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local ttl = terms.ttl

local refused = wrong_type(weight)
if refused then return refused end
group_load()
refused = mismatch(buckets, assignment)
if refused then return refused end
if run_id() == '?' and not terms.unverified then return { 'unverified' } end
if group and torn(id) then group = nil end

-- A process that was a member knows that there was a group.
if not group then create(buckets, assignment, terms, discovery, previous ~= '-') end
clock_look(ttl)
local past = admit(terms, discovery)

local token = digits(now_us) .. ':' .. incarnation
if class_of(weight).members == 0 and MAX_CLASSES <= #group.classes then
  flush()
  return { 'weights', MAX_CLASSES }
end
local number = tonumber(redis.call('HGET', base .. 'ids', id) or nil)
local value = number and record(number)
if not value then
  number = new_number()
  if not number then
    flush()
    return { 'full' }
  end
  redis.call('ZADD', base .. 'lease', now + ttl + grace, number)
  new_member(number, id, token, 0, grace)
elseif string.match(value.incarnation, ':(.+)$') == incarnation then
  token = value.incarnation
else
  local over = tonumber(redis.call('ZSCORE', base .. 'lease', number) or '0') - value.grace
  if value.incarnation ~= previous then
    local left = over - now
    left = math.max(left, past.wait, clock_wait(over))
    if 0 < left then
      flush()
      return { 'occupied', left, digits(over) }
    end
    died(value, over)
    if 0 < value.weight and value.weight < group.weight and 0 < trial() then
      local count = counted(number, value.weight)
      leave_class(number, value.weight)
      value.weight = 0
      enter_class(number, 0, count)
      membership_changed(0)
    end
  end
  redis.call('ZADD', base .. 'lease', now + ttl + grace, number)
  splice(ring_own(number), ring_limbo(number))
  redis.call('DEL', base .. 'inbox:' .. number)
  local born = math.max(tonumber(string.match(value.incarnation, '^(%d+)')) + 1, now_us)
  token = digits(born) .. ':' .. incarnation
  value.incarnation, value.gen, value.seq, value.acked, value.given = token, group.gen, 0, 0, 0
  value.grace, value.limbo, value.drained, value.dirty = grace, true, false, true
end
flush()
return { 'joined', number, group.gen, token, terms_text(past.longest), digits(now) }
