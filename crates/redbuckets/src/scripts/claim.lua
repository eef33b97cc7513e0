-- A member tells the store what it holds, after either of them may have forgotten something. Takes several calls where
-- it holds much; until the last one it is not in step, and a beat tells it to start over.
--
-- KEYS[1] hash of the group; [2] a key that never exists (see group.lua)
-- ARGV    1 instance id, 2 incarnation, 3 number of the request, 4 generation ('-' in the first call), 5 buckets,
--         6 assignment, 7 weight, 8 terms, see terms_parse in history.lua, 9 grace ms, 10 settle ms, 11 '1' in the first
--         call, 12 '1' in the last call, 13 number of the last request that was answered, 14 claims: "bucket epoch bucket
--         epoch …", 15 server ms at which the last request before the claim was answered, 16 discovery ms
--
-- Reply   {'claimed', member number, generation, rejected "bucket …", longest terms, server ms}: the caller must stop
--         working on what is rejected now
--         {'restart'}: the store changed in between | {'fenced', incarnation} | {'stale'} | {'full'}
--         {'buckets', …} | {'assignment', …} | {'wrongtype', …} | {'newer', …} as in join.lua
--
-- Guarantees: epochs decide. A bucket granted with a higher epoch than the claimed one is not given back; one with a
-- lower epoch becomes the caller's, because a holder's higher epoch proves that the earlier holding ended before. What
-- the table gave to the caller and it does not claim is not granted to anybody, not even to the caller, before the past
-- is known. A caller whose record is gone or older than an answer it had, or whose claim is ahead of the table, proves that
-- the store has forgotten something: a quarantine begins, for the longest terms that the caller or the store know of, unless
-- one is under way that began later than the caller was answered.

local id, incarnation, seq, gen = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local buckets, assignment, weight = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local terms, grace, settle = terms_parse(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local first, last, heard = ARGV[11] == '1', ARGV[12] == '1', tonumber(ARGV[13])
local ttl, answered_at, discovery = terms.ttl, tonumber(ARGV[15]), tonumber(ARGV[16])

local refused = wrong_type(weight)
if refused then return refused end
group_load()
refused = mismatch(buckets, assignment)
if refused then return refused end
if group and torn(id) then group = nil end
if not group then
  if not first then return { 'restart' } end
  create(buckets, assignment, terms, 0, true)
end
clock_look(ttl)
admit(terms, discovery)

local lost = false
local function lost_something()
  if not lost then doubt(terms, answered_at) end
  lost = true
end

local number = tonumber(redis.call('HGET', base .. 'ids', id) or nil)
local me = number and record(number)
if me and me.incarnation ~= incarnation then
  if is_later(me.incarnation, incarnation) then
    flush()
    return { 'fenced', me.incarnation }
  end
  -- The caller joined in the part of the past that the store has lost.
  me.incarnation, me.seq = incarnation, 0
  lost_something()
end
if me and seq <= me.seq then return { 'stale' } end
if not first and (not me or gen ~= group.gen) then
  flush()
  return { 'restart' }
end
if me then
  redis.call('ZADD', base .. 'lease', now + ttl + me.grace, number)
  if first then
    splice(ring_own(number), ring_limbo(number))
    redis.call('DEL', base .. 'inbox:' .. number)
    me.acked, me.given, me.limbo = 0, 0, true
    if me.seq < heard then lost_something() end
  end
else
  number = new_number()
  if not number then
    flush()
    return { 'full' }
  end
  redis.call('ZADD', base .. 'lease', now + ttl + grace, number)
  me = new_member(number, id, incarnation, weight, grace, settle)
  lost_something()
end
me.seq, me.gen, me.dirty = seq, last and group.gen or '-', true

local rejected, gained = {}, 0
for bucket, epoch in string.gmatch(ARGV[14], '(%d+) (%d+)') do
  bucket, epoch = tonumber(bucket), tonumber(epoch)
  local own = node(bucket)
  local owner = own.epoch ~= 0 and own.owner ~= 0 and record(own.owner) or nil
  if epoch < own.epoch or (epoch == own.epoch and owner and own.owner ~= number) then
    rejected[#rejected + 1] = bucket
  else
    if own.epoch == 0 then
      group.virgin, group.dirty = group.virgin - 1, true
      gained = gained + 1
    elseif own.owner == number and owner then
      unlink(bucket)
    elseif owner then
      unlink(bucket)
      count_change(own.owner, owner.weight, -1)
      -- That member holds it no more, if it ever did: it has to come into step.
      owner.gen, owner.dirty = '-', true
      gained = gained + 1
    else
      unlink(bucket)
      group.pool, group.dirty = group.pool - 1, true
      gained = gained + 1
    end
    if own.epoch < epoch then lost_something() end
    own.owner, own.epoch = number, epoch
    append(ring_own(number), bucket)
  end
end
if gained ~= 0 then count_change(number, me.weight, gained) end
flush()
return { 'claimed', number, group.gen, table.concat(rejected, ' '), terms_text(group.past.longest), digits(now) }
