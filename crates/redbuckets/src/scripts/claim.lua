-- A member tells the store what it holds, after either of them may have forgotten something. First it says how much that is:
-- most often the store has forgotten nothing of it, and one call is enough. Otherwise it says what, in several calls where
-- it holds much; until the last one it is not in step, and a beat tells it to start over.
--
-- KEYS[1] hash of the group; [2] a key that never exists (see group.lua)
-- ARGV    1 instance id, 2 incarnation, 3 number of the request, 4 generation ('-' in the first call), 5 buckets,
--         6 assignment, 7 weight, 8 terms, see terms_parse in history.lua, 9 grace ms, 10 settle ms, 11 '1' in the first
--         call, 12 '1' in the last call, 13 number of the last request that was answered, 14 claims, as runs (see
--         grants.lua), in the order of buckets, 15 server ms at which the last request before the claim was answered,
--         16 discovery ms, 17 '-', or "<generation> <grants received> <buckets>" in place of claims: what the caller was in
--         step with, how many grants it received since, and how many buckets it holds
--
-- Reply   {'claimed', member number, generation, rejected "bucket …", longest terms, server ms}: the caller must stop
--         working on what is rejected now
--         {'piecemeal'}: the store cannot tell by the count what that is
--         {'restart'}: the store changed in between | {'fenced', incarnation} | {'stale'} | {'full'}
--         {'buckets', …} | {'assignment', …} | {'wrongtype', …} | {'newer', …} as in join.lua
--
-- Guarantees: epochs decide. A bucket granted with a higher epoch than the claimed one is not given back; one with a
-- lower epoch becomes the caller's, because a holder's higher epoch proves that the earlier holding ended before. What
-- the table gave to the caller and it does not claim is not granted to anybody, not even to the caller, before the past
-- is known. A caller whose record is gone or older than an answer it had, or whose claim is ahead of the table, proves that
-- the store has forgotten something: a quarantine begins, for the longest terms that the caller or the store know of, unless
-- one is under way that began later than the caller was answered. Each claim prolongs the caller's lease, and while more is
-- to come nothing is granted for as long: what it has not claimed yet stays nobody else's while it believes in it.
--
-- A count is enough where the caller's ring is the one that it knows. The store has forgotten no answer that the caller had,
-- and it was in step, so the ring was what it held; since then the ring grew by grants, of which the caller has received as
-- many as the store knows to have given, and shrank by releases of the caller's own, of which there is none that only one of
-- them knows, as both have the same number of buckets.

local id, incarnation, seq, gen = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local buckets, assignment, weight = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local terms, grace, settle = terms_parse(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local first_call, last_call, heard = ARGV[11] == '1', ARGV[12] == '1', tonumber(ARGV[13])
local ttl, answered_at, discovery, count = terms.ttl, tonumber(ARGV[15]), tonumber(ARGV[16]), ARGV[17]

local refused = wrong_type(weight)
if refused then return refused end
group_load()
refused = mismatch(buckets, assignment)
if refused then return refused end
if group and first_call and torn(id) then group = nil end
if not group then
  if not first_call then return { 'restart' } end
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
local is_known = me and me.incarnation == incarnation
if me and not is_known then
  if is_later(me.incarnation, incarnation) then
    flush()
    return { 'fenced', me.incarnation }
  end
  -- The caller joined in the part of the past that the store has lost.
  me.incarnation, me.seq = incarnation, 0
  lost_something()
end
if me and seq <= me.seq then return { 'stale' } end
if not first_call and (not me or gen ~= group.gen) then
  flush()
  return { 'restart' }
end

-- Whether the caller's ring is what it holds. Its own last claim may have been executed and never answered, so being in
-- step with the present generation is as good.
local function is_whole()
  local generation, got, own = string.match(count, '^(%d+) (%d+) (%d+)$')
  local in_step = not lost and generation and (me.gen == generation or me.gen == group.gen)
  return in_step and node(ring_limbo(number)).next == ring_limbo(number)
    and me.acked <= tonumber(got) and me.given == tonumber(got) and counted(number, me.weight) == tonumber(own)
end

if me then
  redis.call('ZADD', base .. 'lease', now + ttl + me.grace, number)
  if first_call and me.seq < heard then lost_something() end
  if count ~= '-' then
    if is_whole() then
      -- What waits for a receipt was received.
      redis.call('DEL', base .. 'inbox:' .. number)
      me.seq, me.gen, me.acked, me.dirty = seq, group.gen, me.given, true
      flush()
      return { 'claimed', number, group.gen, '', terms_text(group.past.longest), digits(now) }
    end
  elseif first_call then
    splice(ring_own(number), ring_limbo(number))
    redis.call('DEL', base .. 'inbox:' .. number)
    me.acked, me.given, me.limbo = 0, 0, true
  end
elseif count == '-' then
  number = new_number()
  if not number then
    flush()
    return { 'full' }
  end
  redis.call('ZADD', base .. 'lease', now + ttl + grace, number)
  me = new_member(number, id, incarnation, weight, grace, settle)
  lost_something()
end
if count ~= '-' then
  flush()
  return { 'piecemeal' }
end
if not last_call then doubt_lasts(ttl) end
me.seq, me.gen, me.dirty = seq, last_call and group.gen or '-', true

-- One bucket, whoever had it. Returns how many more the caller has for that.
local function claim_one(bucket, epoch)
  local own = node(bucket)
  local run = { first = bucket, last = bucket, epoch = epoch }
  local former = own.owner
  local owner = former ~= 0 and record(former) or nil
  unlink(run)
  if owner and former ~= number then
    count_change(former, owner.weight, -1)
    -- That member holds it no more, if it ever did: it has to come into step.
    owner.gen, owner.dirty = '-', true
  elseif not owner then
    group.pool, group.dirty = group.pool - 1, true
  end
  if own.epoch < epoch then lost_something() end
  append(ring_own(number), run, number, epoch)
  return owner and former == number and 0 or 1
end

local rejected, gained, highest = {}, 0, -1
for first, last, epoch in string.gmatch(ARGV[14], '(%d+)%-?(%d*) (%d+)') do
  first, epoch = tonumber(first), tonumber(epoch)
  last = math.min(tonumber(last) or first, group.buckets - 1)
  while first <= last do
    local own, run = node(first), { first = first, last = first, epoch = epoch }
    local owner = own.epoch ~= 0 and own.owner ~= 0 and record(own.owner) or nil
    if epoch < own.epoch or (epoch == own.epoch and owner and own.owner ~= number) then
      rejected[#rejected + 1] = first
    elseif own.epoch == 0 then
      -- What this call has claimed is not in the table yet.
      if highest < first then run.last = virgin_from(first, last - first + 1) end
      group.virgin, group.dirty = group.virgin - size_of(run), true
      gained = gained + size_of(run)
      lost_something()
      append(ring_own(number), run, number, epoch)
    elseif owner and own.owner == number and own.epoch == epoch then
      run = run_from(first, last - first + 1)
      unlink(run)
      append(ring_own(number), run, number, epoch, true)
    else
      gained = gained + claim_one(first, epoch)
    end
    first = run.last + 1
    highest = math.max(highest, run.last)
  end
end
if gained ~= 0 then count_change(number, me.weight, gained) end
flush()
return { 'claimed', number, group.gen, table.concat(rejected, ' '), terms_text(group.past.longest), digits(now) }
