-- Shared by the scripts of redbuckets. Everything of one group lives under one prefix, in one cluster slot:
--
-- group      hash: "history" (see history.lua), "config" (buckets, assignment), "classes" (weight:members,…), "state",
--            "page:<p>" for every page of the table that there has to be, and "heard": when somebody was heard (server
--            ms, a twelfth of a ttl late at most), and while nobody is taken for dead what clock_look() knows of that;
--            "trial": for how long newcomers have no share (ms), and when a member last died young (server ms)
-- members    hash: member number -> record, see record_parse; ids: hash, instance id -> member number
-- lease      sorted set: member number by the server ms at which it may be reaped (end of its lease + its grace)
-- count:<w>  sorted set per weight: member number by the buckets it owns; weight 0 is for those that drain
-- order:<w>  sorted set per weight: member number by itself, for contiguous ranges
-- inbox:<n>  list: what member n was granted and has not acknowledged yet, one run (see grants.lua) each
-- retired    list: numbers of reaped members, each with how many free buckets were to be taken (`taken` in the state counts
--            them) until none names it as its last owner; then it is used again
-- table:<p>  string: page p of the table
--
-- The table has one node of 14 bytes per bucket: owner (2), epoch (6), previous (3), next (3). The last two link the
-- buckets of one owner into a ring that starts and ends at a node of its own behind the buckets, so that the whole ring
-- of a crashed member joins the free ones at the price of one, and any bucket leaves its ring without a search. Nodes
-- behind the buckets: 0 is the ring of free buckets; 2n-1 the buckets of member n; 2n those that the table gives to n
-- but n has not confirmed: they count as n's and are granted to it anew, with higher epochs, once the past is known.
-- Buckets that were never granted have epoch 0, are in no ring, and are found by a cursor that only rises.
--
-- Channels: wake:<n> wakes one member, wake:all everybody whose group may have been lost.
--
-- A member's record says: incarnation ("<server µs of its join>:<UUID>", so that the later of two is known; "…:-" where
-- it has left for a while), generation it is in step with ('-': none), number of its last request, how many
-- grants it has acknowledged and was given, weight, grace, whether it has unconfirmed buckets (plus 2 where an operator
-- wants it drained), id.
--
-- Every script declares KEYS[1], the group, from whose name the others follow, and KEYS[2], "-", which never exists. While a
-- cluster moves the slot key by key a node may have only some of these keys; the missing one makes it refuse the script
-- before it begins, where it would else fail halfway, after writes.
--
-- Whoever may write can put anything in these places. What is none of ours counts as lost: a group of which anything
-- does not fit together is not there, and is made anew from what its members hold.
--
-- Nodes and records are changed in memory and written by flush() at the very end: whatever fails before changes nothing.

local NODE, PAGE, BLOCK = 14, 2300, 16
local MAX_SETTLE, MAX_BUCKETS, MAX_MEMBERS = 10000, 1048576, 65535
-- Different weights: every call looks at each of them.
local MAX_CLASSES = 64

local base = string.sub(KEYS[1], 1, -6)
local now, now_us = server_now()
local group, records, publish = nil, {}, {}
-- The version of a group that a newer client has written.
local newer = nil

-- A glance counts no terms, so a member has everything looked at at least once in half a ttl: together with that, a window
-- outlasts every lease.
WINDOW = 2

-- A generation that no copy of the group makes as well, which may be asked by somebody else in the same microsecond.
local function generation(least)
  local caller = string.match(ARGV[2] or '', '%x%x%x%x%x$') or '0'
  return digits(math.max(least, now_us) + tonumber(caller, 16))
end

local function classes_text()
  local classes = {}
  for i, class in ipairs(group.classes) do classes[i] = class.weight .. ':' .. class.members end
  return table.concat(classes, ',') .. ';'
end

local function group_load()
  local fields = redis.call('HMGET', KEYS[1], 'config', 'state', 'classes', 'history')
  local past
  if fields[4] then past, newer = history_parse(fields[4]) end
  if not (fields[1] and fields[2] and fields[3] and past) then return nil end
  local buckets, assignment = string.match(fields[1], '^(%d+) (%a)$')
  local gen, version, settle_at, unsettled, cursor, virgin, pool, top, doubt_from, doubt_till, members, moves, taken =
    string.match(fields[2], '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
  if not buckets or not gen then return nil end
  group = {
    past = past, buckets = tonumber(buckets), assignment = assignment, gen = gen, version = tonumber(version),
    settle_at = tonumber(settle_at), unsettled = tonumber(unsettled), cursor = tonumber(cursor),
    virgin = tonumber(virgin), pool = tonumber(pool), top = tonumber(top), doubt_from = tonumber(doubt_from),
    doubt_till = tonumber(doubt_till), members = tonumber(members), moves = tonumber(moves), taken = tonumber(taken),
    text = fields[2], classes = {}, weight = 0,
  }
  local known = 0
  for weight, count in string.gmatch(fields[3], '(%d+):(%d+)') do
    local class = { weight = tonumber(weight), members = tonumber(count) }
    group.classes[#group.classes + 1] = class
    group.weight = group.weight + class.weight * class.members
    known = known + class.members
  end
  local sound = 0 < group.buckets and group.buckets <= MAX_BUCKETS and group.top <= MAX_MEMBERS
    and group.cursor <= group.buckets and group.virgin + group.pool <= group.buckets
    and known <= group.members and group.members <= group.top and group.weight <= 1000 * MAX_MEMBERS
    and math.max(tonumber(gen), group.version, group.settle_at, group.unsettled, group.doubt_from, group.doubt_till,
      group.moves, group.taken) < LARGEST
    and fields[3] == classes_text()
  if not sound then group = nil end
  return group
end

-- The clock ------------------------------------------------------------------------------------------------------

-- A clock that is set forward ends leases of members that live. But while anybody lives the group is heard all the time:
-- where more than half a ttl seems to have passed in silence, the clock was set forward (a step), or nothing arrived. From
-- then on nobody is taken for dead until those who live have been heard, which takes them a third of their ttl. That time
-- is counted as it passes from call to call, and none of them counts for more than a sixth of a ttl: what looks like
-- passing time may be a step, too.
--
-- Steps may follow one another. One that comes during a wait counts for no time, and another wait follows: who was heard
-- may have been leapt over since. Who was not heard in the whole of the first is dead, and is not waited for again. More
-- than MOST_STEPS of them end a wait all the same, so that a clock which never stops stepping does not keep the dead for
-- ever: whose lease is over is removed after two waits at the latest, each of a third of a ttl and MOST_STEPS + 1 calls.
-- What still ends the lease of a member that lives: more steps than that between two of its heartbeats, and steps of less
-- than half a ttl, several between two heartbeats, that are together longer than what is left of the lease.
local MOST_STEPS = 8

-- For how long nobody is taken for dead (left, ms; 0 where there is no wait), how many steps there were in this time, when
-- it began (mark, server ms), and until when everything is known that this clock says: when the wait began that it
-- follows, or when the group was last heard before the step (ripe). For how long nobody was heard (silent, ms), and by how
-- much the clock was set back since (back, ms).
local wait = { left = 0, steps = 0, mark = 0, ripe = 0, silent = 0, back = 0 }

-- The clock was set back since these times were written: they come as much earlier. No lease ends sooner than in the longest
-- ttl, by which everybody who lives has prolonged its own, whatever stands in the place of the time before.
local function times_back(ttl)
  group.settle_at, group.unsettled = math.max(0, group.settle_at - wait.back), math.max(0, group.unsettled - wait.back)
  group.dirty = true
  -- How exactly it is known when the group was last heard.
  if wait.back < ttl / 12 then return end
  local soonest = now + math.max(ttl, group.past.longest.ttl)
  local leases, cut = redis.call('ZRANGE', base .. 'lease', 0, -1, 'WITHSCORES'), {}
  for i = 1, #leases, 2 do
    local till = tonumber(leases[i + 1])
    if soonest < till then
      cut[#cut + 1], cut[#cut + 2] = digits(math.max(till - wait.back, soonest)), leases[i]
    end
    if 0 < #cut and (i + 2 > #leases or 1000 <= #cut) then
      redis.call('ZADD', base .. 'lease', unpack(cut))
      cut = {}
    end
  end
end

-- For whoever looks whether a lease is over, before that.
local function clock_look(ttl)
  local text = redis.call('HGET', KEYS[1], 'heard') or ''
  local heard, left, steps, mark, ripe = string.match(text, '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
  heard = tonumber(heard or string.match(text, '^%d+$') or nil)
  local third, since = math.ceil(ttl / 3), heard and now - heard or ttl
  wait.silent, wait.back = now - math.max(heard or 0, group.past.seen), math.max(0, -since)
  wait.left, wait.steps = math.min(tonumber(left or nil) or 0, third), tonumber(steps or nil) or 0
  if 0 < wait.back then times_back(ttl) end
  -- A clock that was set back since has not come to these yet.
  wait.mark, wait.ripe = math.min(tonumber(mark or nil) or 0, now), math.min(tonumber(ripe or nil) or 0, now)
  local waited, stepped = 0 < wait.left, heard and ttl / 2 < since
  if stepped and not waited then
    wait.left, wait.steps, wait.mark, wait.ripe = third, 0, now, heard
  elseif stepped and wait.steps < MOST_STEPS then
    wait.steps = wait.steps + 1
  elseif waited then
    wait.left = stepped and 0 or wait.left - math.max(0, math.min(since, math.ceil(ttl / 6)))
    if wait.left <= 0 and 0 < wait.steps then
      wait.left, wait.steps, wait.mark, wait.ripe = third, 0, now, wait.mark
    end
  end
  if 0 < wait.left then
    redis.call('HSET', KEYS[1], 'heard', table.concat({ now, wait.left, wait.steps, wait.mark, wait.ripe }, ' '))
  elseif waited or since < 0 or ttl / 12 <= since then
    wait.left = 0
    redis.call('HSET', KEYS[1], 'heard', now)
  end
end

-- For how many ms a lease, or a doubt, that was over at `over` is not taken for over.
local function clock_wait(over)
  return wait.ripe < over and wait.left or 0
end

-- Members --------------------------------------------------------------------------------------------------------

-- false where there is none, or something else in its place.
local function record(number)
  if not number then return false end
  local found = records[number]
  if found ~= nil then return found end
  local text = redis.call('HGET', base .. 'members', number)
  found = false
  if text then
    local incarnation, gen, seq, acked, given, weight, grace, limbo, id =
      string.match(text, '^(%d+:%S+) (%S+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d) (.+)$')
    if incarnation and tonumber(seq) < LARGEST and tonumber(given) < LARGEST and tonumber(weight) <= 1000 then
      found = {
        incarnation = incarnation, gen = gen, seq = tonumber(seq), acked = tonumber(acked), given = tonumber(given),
        weight = tonumber(weight), grace = tonumber(grace), limbo = limbo % 2 == 1, drained = 2 <= tonumber(limbo),
        id = id,
      }
    end
  end
  records[number] = found
  return found
end

-- These numbers stay below 10^14, which concatenation writes exactly.
local function record_text(value)
  local flags = (value.limbo and 1 or 0) + (value.drained and 2 or 0)
  return table.concat({
    value.incarnation, value.gen, value.seq, value.acked, value.given, value.weight, value.grace, flags, value.id,
  }, ' ')
end

-- Whether the incarnation on record is another and later than the caller's, which is over then. An earlier one is what a
-- store has that lost its last writes; the same one with a later time is a late copy of the caller's own join.
local function is_later(on_record, callers)
  local mine, me = string.match(callers, '^(%d+):(.+)$')
  local its, it = string.match(on_record, '^(%d+):(.+)$')
  return me ~= it and tonumber(mine) < tonumber(its)
end

local function counted(number, weight)
  return tonumber(redis.call('ZSCORE', base .. 'count:' .. weight, number) or '0')
end

-- A member that dies soon after it came costs its share for as long as its lease runs on, and again whenever its successor
-- does the same. So where one dies young that came after another had died young, whoever comes then has no share before it
-- has lived for a longest ttl, for two where that happens again, and so on. It is over when nobody died young for a while.
local YOUNG, MOST_TRIAL, REMEMBERED = 3, 10, 8

-- For how long newcomers have no share, ms, and when a member last died young, server ms; 0 and 0 where none did.
local function trial()
  local ms, died = string.match(redis.call('HGET', KEYS[1], 'trial') or '', '^(%d+) (%d+)$')
  ms, died = tonumber(ms or nil) or 0, tonumber(died or nil) or 0
  local ttl = group.past.longest.ttl
  ms = math.min(ms, MOST_TRIAL * ttl)
  if now < died or died + REMEMBERED * math.max(ttl, ms) < now then return 0, 0 end
  return ms, died
end

-- When a member came, server ms.
local function born(value)
  return math.floor(tonumber(string.match(value.incarnation, '^%d+')) / 1000)
end

-- Whether a member has no share yet. Where nobody else has one it does not wait.
local function on_trial(value)
  if group.weight == 0 then return false end
  local came = born(value)
  return came <= now and now < came + trial()
end

-- Shares ---------------------------------------------------------------------------------------------------------

-- floor(B × weight / all weights) for each class, whether the division leaves a rest, and how many members get one more.
local function shares()
  local extras = group.buckets
  for _, class in ipairs(group.classes) do
    local exact = group.buckets * class.weight
    class.floor = math.floor(exact / group.weight)
    class.rest = exact % group.weight ~= 0
    extras = extras - class.members * class.floor
  end
  if group.weight == 0 then extras = 0 end
  return extras
end

local function class_of(weight)
  for _, class in ipairs(group.classes) do
    if class.weight == weight then return class end
  end
  return { weight = 0, members = 0, floor = 0, rest = false }
end

-- How many members have more than their floor and may keep one of the extras.
local function above()
  local sum = 0
  for _, class in ipairs(group.classes) do
    if class.rest then
      sum = sum + redis.call('ZCOUNT', base .. 'count:' .. class.weight, '(' .. class.floor, '+inf')
    end
  end
  return sum
end

-- How many buckets a member may have, so that nobody sheds in vain: of those above their floor the ones with the fewest
-- keep an extra, and one at or under its floor takes an extra where fewer have one than there are.
local function quota(number, weight, count, extras)
  local class = class_of(weight)
  if not class.rest or extras == 0 then return class.floor end
  local taken = above()
  if count <= class.floor then return class.floor + (taken < extras and 1 or 0) end
  if taken <= extras then return class.floor + 1 end
  local rank = 0
  for _, other in ipairs(group.classes) do
    local key = base .. 'count:' .. other.weight
    if other.weight == weight then
      rank = rank + redis.call('ZRANK', key, number) - redis.call('ZCOUNT', key, '-inf', other.floor)
      break
    end
    if other.rest then rank = rank + redis.call('ZCOUNT', key, '(' .. other.floor, '+inf') end
  end
  return class.floor + (rank < extras and 1 or 0)
end

-- Contiguous ranges: members in the order of weight and number, each with the buckets that its weight covers.
local function range_of(number, weight)
  if weight == 0 or group.weight == 0 then return 0, 0 end
  local before = 0
  for _, class in ipairs(group.classes) do
    if class.weight == weight then
      before = before + weight * redis.call('ZRANK', base .. 'order:' .. weight, number)
      break
    end
    before = before + class.weight * class.members
  end
  return math.floor(group.buckets * before / group.weight),
    math.floor(group.buckets * (before + weight) / group.weight)
end
