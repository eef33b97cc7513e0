-- One heartbeat of a member: renews its lease, takes back what it releases, gives it what it lacks.
--
-- KEYS[1] hash of the group
-- ARGV    1 instance id, 2 incarnation, 3 member number, 4 number of the request, 5 generation, 6 how many grants were
--         received so far, 7 weight (0 gives everything away), 8 ttl ms, 9 settle ms, 10 the most buckets to grant in one
--         call, 11 releases: "bucket epoch bucket epoch …", of buckets that nobody works on any more
--
-- Reply   {'ok', version, members, quota, surplus, ms until something is to be done or -1, '1' to ask again at once,
--          first bucket of the range, end of the range, grants "bucket epoch …", outcomes of the releases, free buckets,
--          ms until the past is known, own buckets}; the range is only set for contiguous groups;
--         an outcome is m (given to another member), f (free), k (keep it, nobody lacks it), g (was not the caller's)
--         {'resync'}: the store's view may differ from the caller's, which must claim what it holds (see claim.lua)
--         {'fenced'}: another incarnation has taken the id | {'stale'}: a later request was executed before
--
-- Guarantees: a bucket is granted only while the past is known and nobody owns it, or handed over within this call by
-- its owner, and always with an epoch above every earlier one. A member is removed only once its lease and its grace
-- are over by this server's clock. A release is verified against owner and epoch. A member above its quota loses no
-- more buckets than that; a grant stays in the inbox until its receipt is acknowledged.

local id, incarnation, number = ARGV[1], ARGV[2], tonumber(ARGV[3])
local seq, gen, got = tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])
local weight, ttl, settle, chunk = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])

local me = group_load() and record(number)
if not me or me.id ~= id then return { 'resync' } end
if me.incarnation ~= incarnation then return { 'fenced' } end
if seq <= me.seq then return { 'stale' } end
local standing, detail = admit(ttl)
if me.gen ~= group.gen or gen ~= group.gen or got < me.acked or me.given < got then
  flush()
  return { 'resync' }
end
local known = standing == 'known'
local floor = known and detail or history_read(KEYS[1]).floor
local inbox = base .. 'inbox:' .. number

-- The lease first: were memory full, it would be refused, and nothing else be done.
redis.call('ZADD', base .. 'lease', now + ttl + me.grace, number)
me.seq, me.dirty = seq, true
if me.acked < got then
  redis.call('LTRIM', inbox, got - me.acked, -1)
  me.acked = got
end

local next_lease = redis.call('ZRANGE', base .. 'lease', 0, 0, 'WITHSCORES')
if known and tonumber(next_lease[2]) <= now then
  local dead = tonumber(next_lease[1])
  remove(dead, record(dead) or { weight = 1, id = '' }, settle)
  next_lease = redis.call('ZRANGE', base .. 'lease', 0, 0, 'WITHSCORES')
end
local next_expiry = math.max(0, tonumber(next_lease[2]) - now)

local count = counted(number, me.weight)
if me.weight ~= weight then
  leave_class(number, me.weight)
  me.weight = weight
  enter_class(number, weight, count)
  membership_changed(settle)
end

local extras = shares()
local class = class_of(weight)
local contiguous = group.assignment == 'c'

-- What the caller releases --------------------------------------------------------------------------------------

local outcomes = {}

local function hand_over(released)
  if contiguous then
    for _, bucket in ipairs(released) do
      local target = target_of(bucket)
      if target and is_live(target) then
        give(target, { bucket }, floor)
        count_change(target, record(target).weight, 1)
        publish[target] = true
      else
        to_free(bucket)
      end
    end
    return
  end
  local at = 1
  while at <= #released do
    local needy, lacks = neediest(extras)
    local part = {}
    while at <= #released and (not needy or #part < lacks) do
      part[#part + 1] = released[at]
      at = at + 1
    end
    if needy then
      give(needy, part, floor)
      count_change(needy, record(needy).weight, #part)
      publish[needy] = true
    else
      for _, bucket in ipairs(part) do to_free(bucket) end
    end
  end
end

if ARGV[11] ~= '' then
  local allowed = math.huge
  if weight ~= 0 and not contiguous then
    local keeps = class.floor
    if class.rest and above() <= extras then keeps = keeps + 1 end
    allowed = count - keeps
  end
  local released = {}
  for bucket, epoch in string.gmatch(ARGV[11], '(%d+) (%d+)') do
    bucket = tonumber(bucket)
    local own = node(bucket)
    if own.owner ~= number or digits(own.epoch) ~= epoch then
      outcomes[#outcomes + 1] = 'g'
    elseif allowed <= #released or (contiguous and target_of(bucket) == number) then
      outcomes[#outcomes + 1] = 'k'
    else
      outcomes[#outcomes + 1] = 'm'
      unlink(bucket)
      released[#released + 1] = bucket
    end
  end
  if 0 < #released then
    count = count - #released
    count_change(number, weight, -#released)
    hand_over(released)
  end
end

-- What the caller gets ------------------------------------------------------------------------------------------

local progress, more = 0, false

-- Buckets that the table gives to the caller but that it did not claim: granted to it anew.
local limbo = ring_limbo(number)
if known and weight ~= 0 then
  local again = {}
  while #again < chunk and node(limbo).next ~= limbo do
    local bucket = node(limbo).next
    unlink(bucket)
    again[#again + 1] = bucket
  end
  if 0 < #again then give(number, again, floor) end
  more = node(limbo).next ~= limbo
  progress = #again
elseif weight == 0 and node(limbo).next ~= limbo then
  -- Whoever gives everything away works on none of these: they need no release.
  while node(limbo).next ~= limbo do
    local bucket = node(limbo).next
    unlink(bucket)
    to_free(bucket)
    count = count - 1
    progress = progress + 1
    if progress == chunk then break end
  end
  count_change(number, weight, -progress)
  more = node(limbo).next ~= limbo
end

local free = group.pool + group.virgin
local share = quota(number, weight, count, extras)
if known and 0 < free then
  if contiguous then
    for _, bucket in ipairs(take_free(chunk)) do
      local target = target_of(bucket)
      if target and is_live(target) then
        give(target, { bucket }, floor)
        count_change(target, record(target).weight, 1)
        if target == number then count = count + 1 else publish[target] = true end
        progress = progress + 1
      else
        to_free(bucket)
      end
    end
  else
    local taken = take_free(math.min(share - count, chunk - progress))
    if 0 < #taken then
      give(number, taken, floor)
      count_change(number, weight, #taken)
      count = count + #taken
      progress = progress + #taken
    end
  end
  free = group.pool + group.virgin
  more = more or (0 < progress and 0 < free and (contiguous or count < share))
end

-- What the caller is told ---------------------------------------------------------------------------------------

local settled = group.settle_at <= now
local surplus, low, high = 0, 0, 0
if contiguous then low, high = range_of(number, weight) end
if weight == 0 then
  surplus = count
elseif known and settled then
  surplus = math.max(0, count - share)
elseif contiguous then
  low, high = 0, group.buckets
end

local again = known and next_expiry or detail
if not settled then again = math.min(again, group.settle_at - now) end
if known and next_expiry == 0 then more = true end

local grants = ''
if me.acked < me.given then
  local entries = redis.call('LRANGE', inbox, 0, chunk - 1)
  grants = table.concat(entries, ' ')
  more = more or #entries < me.given - me.acked
end
publish[number] = nil
flush()
return {
  'ok', group.version, group.members, share, surplus, again, more and '1' or '0', low, high, grants,
  table.concat(outcomes), free, known and 0 or detail, count,
}
