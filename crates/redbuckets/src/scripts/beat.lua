-- One heartbeat of a member: renews its lease, takes back what it releases, gives it what it lacks.
--
-- KEYS[1] hash of the group; [2] a key that never exists (see group.lua)
-- ARGV    1 instance id, 2 incarnation, 3 member number, 4 number of the request, 5 generation, 6 how many grants were
--         received so far, 7 weight (0 gives everything away), 8 ttl ms, 9 settle ms, 10 the most runs (see grants.lua)
--         to grant in one call, 11 number of the last request that was answered, 12 releases, as runs: buckets that nobody
--         works on any more or, marked, in which work failed, 13 state of the group as last told or '', 14 the member's
--         record as last told, 15 that with the number of this request, 16 ttl and grace, ms, 17 terms, see terms_parse in
--         history.lua, 18 '1' to look at everything, although nothing has changed, 19 discovery ms, 20 '1' where the others
--         should hear at once of another weight
--
-- Reply   {'ok', version, members, quota, surplus, ms until something is to be done or -1, '1' to ask again at once,
--          first bucket of the range, end of the range, grants, as runs, outcomes of the releases, free buckets,
--          ms until anything is granted, own buckets, state, record, longest terms, server ms}; the range is only set for
--          contiguous groups; state and record are for the next request, or '' where something is going on; the terms are
--          those of the group, "<ttl> <bound> <skew>", ms, as is the server's time text
--         {'same', ms until something is to be done}: group and record are as last told; the lease runs anew
--         there is an outcome for each bucket: m (given to another member), f (free), k (keep it, nobody lacks it), g (was not the caller's)
--         {'resync'}: the store's view may differ from the caller's, which must claim what it holds (see claim.lua)
--         {'fenced', incarnation with its time}: a later one has taken the id | {'stale'}: a later request was executed before
--
-- The first part (glance.lua) is all that an idle member in an idle group needs, this one what an idle member needs; the
-- last part (hand.lua) moves buckets.
--
-- Guarantees: a bucket is granted only while the past is known and nobody owns it, or handed over within this call by its
-- owner, and always with an epoch above every earlier one. A member has a share from its first beat on. It is removed only once its lease and its grace are over
-- by this server's clock, and not while renewals may have been lost. A release is verified against owner and epoch. A
-- member above its quota loses no more buckets than that; a marked one goes to another member whoever lacks or has enough,
-- and comes back under a higher epoch where there is none; a grant stays in the inbox until its receipt is acknowledged, so
-- an answer that does not count (it was lost, or too few replicas have what it says) comes again.

local id, incarnation, number = ARGV[1], ARGV[2], tonumber(ARGV[3])
local seq, gen, got = tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])
local weight, ttl, settle, chunk = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local heard, releases = tonumber(ARGV[11]), ARGV[12]

local me = group_load() and record(number)
if not me or me.id ~= id then return { 'resync' } end
if me.incarnation ~= incarnation then
  if is_later(me.incarnation, incarnation) then return { 'fenced', me.incarnation } end
  return { 'resync' }
end
if seq <= me.seq then return { 'stale' } end
local in_step = me.gen == group.gen and gen == group.gen and heard <= me.seq and me.acked <= got and got <= me.given
if not in_step then return { 'resync' } end
-- A newcomer in a crash loop waits for its share; an operator's wish goes before the member's own.
local waits = not me.drained and weight ~= 0 and me.weight == 0 and on_trial(me)
if me.drained or waits then weight = 0 end

local inbox = base .. 'inbox:' .. number
local first_lease = redis.call('ZRANGE', base .. 'lease', 0, 0, 'WITHSCORES')
local count = tonumber(redis.call('ZSCORE', base .. 'count:' .. me.weight, number) or nil)
local contiguous = group.assignment == 'c'
-- Keys of the group that are lost: the claim finds that out too, and makes the group anew.
local ordered = not contiguous or me.weight == 0 or redis.call('ZSCORE', base .. 'order:' .. me.weight, number)
local delivered = me.acked == me.given or redis.call('LLEN', inbox) == me.given - me.acked
local classed = me.weight == 0 or 0 < class_of(me.weight).members
if not (tonumber(first_lease[1] or nil) and count and classed and ordered and delivered) then return { 'resync' } end
clock_look(ttl)
local next_expiry = math.max(0, tonumber(first_lease[2]) - now)
local extras = shares()
local class = class_of(weight)
local share = quota(number, weight, count, extras)
local free = group.pool + group.virgin
local settled = group.settle_at <= now

-- What the caller is told; outcomes come from the second half.
local function answer(past, more, outcomes, calm)
  local known = past.standing == 'known'
  local surplus, low, high = 0, 0, 0
  if contiguous then
    low, high = 0, group.buckets
    if weight == 0 or (known and settled) then low, high = range_of(number, weight) end
  end
  if weight == 0 then
    surplus = count
  elseif known and settled and not contiguous then
    surplus = math.max(0, count - share)
  end
  local again = known and next_expiry or past.wait
  if not settled then again = math.min(again, group.settle_at - now) end
  local grants = ''
  if me.acked < me.given then
    local entries = redis.call('LRANGE', inbox, 0, chunk - 1)
    grants = table.concat(entries, ' ')
    more = more or #entries < me.given - me.acked
  end
  calm = calm and settled and surplus == 0 and grants == '' and not waits
  return {
    'ok', group.version, group.members, share, surplus, again, more and '1' or '0', low, high, grants, outcomes, free,
    known and 0 or past.wait, count, calm and group.text or '', calm and record_text(me) or '', terms_text(past.longest),
    digits(now),
  }
end

-- The identity of the server is looked at when the caller asks for that, and whenever a bucket is to change its owner:
-- asking for it costs as much as the rest.
local idle = releases == '' and ARGV[18] ~= '1' and weight == me.weight and not me.limbo and got == me.given
  and wait.back == 0 and 0 < next_expiry and (free == 0 or (share <= count and not contiguous))
  and group.doubt_till == 0 and wait.silent <= group.past.longest.ttl
if idle then
  redis.call('ZADD', base .. 'lease', now + ttl + me.grace, number)
  if me.acked < got then
    redis.call('LPOP', inbox, got - me.acked)
    me.acked = got
  end
  me.seq = seq
  redis.call('HSET', base .. 'members', number, record_text(me))
  return answer({ standing = 'known', longest = group.past.longest }, false, '', true)
end
