-- The second half of a beat: something is to be given, taken or removed, or the past is to be looked at.
--
-- KEYS, ARGV and the reply are those of beat.lua, which it follows, and so are the guarantees.

local past = admit(terms_parse(ARGV[17]), tonumber(ARGV[19]))
if gen ~= group.gen then
  flush()
  return { 'resync' }
end
-- An owner hands over in doubt as well. But what is free may be a forgotten owner's, and renewals may be lost, so nobody's
-- lease is taken for over.
local known = past.standing == 'known'
-- For how many ms nobody is taken for dead whose lease is the first to be over.
local function held_back()
  local over = tonumber(first_lease[2])
  return known and over <= now and clock_wait(over) or 0
end

-- The lease first: were memory full, it would be refused, and nothing else be done.
redis.call('ZADD', base .. 'lease', now + ttl + me.grace, number)
me.seq, me.dirty = seq, true
if me.acked < got then
  redis.call('LPOP', inbox, got - me.acked)
  me.acked = got
end

local changed = false
if known and held_back() == 0 and next_expiry == 0 and tonumber(first_lease[1]) ~= number then
  local dead = tonumber(first_lease[1])
  remove(dead, record(dead) or { weight = 1, id = '' }, settle)
  changed = true
end
first_lease = redis.call('ZRANGE', base .. 'lease', 0, 0, 'WITHSCORES')
-- The wait is counted by calls, of which none counts for more than this.
next_expiry = math.max(math.min(held_back(), math.ceil(ttl / 6)), tonumber(first_lease[2]) - now)

if me.weight ~= weight then
  leave_class(number, me.weight)
  me.weight = weight
  enter_class(number, weight, count)
  membership_changed(settle)
  changed = true
end
if changed then
  extras = shares()
  class = class_of(weight)
end

-- What the caller releases --------------------------------------------------------------------------------------

local outcomes = {}

local function hand_over(released)
  if contiguous then
    for _, bucket in ipairs(released) do
      local target = target_of(bucket)
      if target and is_live(target) then
        give(target, { bucket })
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
      give(needy, part)
      count_change(needy, record(needy).weight, #part)
      publish[needy] = true
    else
      for _, bucket in ipairs(part) do to_free(bucket) end
    end
  end
end

-- What failed at the caller goes to the other member that has least for its weight, and to the caller where there is none or
-- the range says so.
local function hand_to_another(bucket)
  local best, least = number, nil
  for _, class in ipairs(contiguous and {} or group.classes) do
    local lowest = redis.call('ZRANGE', base .. 'count:' .. class.weight, 0, 3, 'WITHSCORES')
    for i = 1, #lowest, 2 do
      local other, has = tonumber(lowest[i]), tonumber(lowest[i + 1]) / class.weight
      if other ~= number and is_live(other) then
        if not least or has < least then best, least = other, has end
        break
      end
    end
  end
  give(best, { bucket }, best ~= number and '!' or nil)
  if best == number then return end
  count = count - 1
  count_change(number, weight, -1)
  count_change(best, record(best).weight, 1)
  publish[best] = true
end

if releases ~= '' then
  local _, marked = string.gsub(releases, '!', '')
  local allowed = math.huge
  if weight ~= 0 and not contiguous then
    local keeps = class.floor
    if class.rest and above() <= extras then keeps = keeps + 1 end
    allowed = count - marked - keeps
  end
  local released, failed = {}, {}
  for bucket, epoch, mark in string.gmatch(releases, '(%d+) (%d+)(!?)') do
    bucket = tonumber(bucket)
    local own = node(bucket)
    if own.owner ~= number or digits(own.epoch) ~= epoch then
      outcomes[#outcomes + 1] = 'g'
    elseif mark == '!' then
      outcomes[#outcomes + 1] = 'm'
      unlink(bucket)
      failed[#failed + 1] = bucket
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
  for _, bucket in ipairs(failed) do hand_to_another(bucket) end
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
  if 0 < #again then give(number, again) end
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

me.limbo = node(limbo).next ~= limbo
free = group.pool + group.virgin
share = quota(number, weight, count, extras)
if known and 0 < free then
  if contiguous then
    for _, bucket in ipairs(take_free(chunk)) do
      local target = target_of(bucket)
      if target and is_live(target) then
        give(target, { bucket })
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
      give(number, taken)
      count_change(number, weight, #taken)
      count = count + #taken
      progress = progress + #taken
    end
  end
  free = group.pool + group.virgin
  more = more or (0 < progress and 0 < free and (contiguous or count < share))
end

if known and next_expiry == 0 then more = true end
settled = group.settle_at <= now
publish[number] = nil
flush()
return answer(past, more, table.concat(outcomes), false)
