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

-- Those who have most to give away.
local function wake_most_loaded()
  for _, class in ipairs(group.classes) do
    for _, other in ipairs(redis.call('ZREVRANGE', base .. 'count:' .. class.weight, 0, 127)) do
      publish[tonumber(other)] = true
    end
  end
end

local changed = false
if known and held_back() == 0 and next_expiry == 0 and tonumber(first_lease[1]) ~= number then
  local dead = tonumber(first_lease[1])
  local gone = record(dead)
  if gone then died(gone, tonumber(first_lease[2]) - gone.grace) end
  remove(dead, gone or { weight = 1, id = '' }, settle)
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
  if ARGV[20] == '1' then wake_most_loaded() end
end
if changed then
  extras = shares()
  class = class_of(weight)
end

-- What the caller releases --------------------------------------------------------------------------------------

local outcomes = {}

local function hand_over(released)
  if contiguous then
    for _, run in ipairs(released) do
      local target = target_of(run.first)
      if target and is_live(target) then
        give(target, { run })
        count_change(target, record(target).weight, 1)
        publish[target] = true
      else
        to_free(run)
      end
    end
    return
  end
  local at, served = 1, 0
  while at <= #released do
    -- Looking for whoever lacks most costs as much as some runs. Those that are not served here take what is free.
    local needy, lacks
    if served < chunk then
      needy, lacks = neediest(extras)
    else
      wake_neediest()
    end
    served = served + 1
    local part, size = {}, 0
    while at <= #released and (not needy or size < lacks) do
      local run = released[at]
      local most = needy and lacks - size or math.huge
      if most < size_of(run) then
        released[at] = { first = run.first + most, last = run.last, epoch = run.epoch }
        run = { first = run.first, last = run.first + most - 1, epoch = run.epoch }
      else
        at = at + 1
      end
      part[#part + 1] = run
      size = size + size_of(run)
    end
    if needy then
      give(needy, part)
      count_change(needy, record(needy).weight, size)
      publish[needy] = true
    else
      for _, run in ipairs(part) do to_free(run) end
    end
  end
end

-- What failed at the caller goes to the other member that has least for its weight, and to the caller where there is none or
-- the range says so.
local function hand_to_another(run)
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
  give(best, { run }, best ~= number and '!' or '')
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
  local released, size, failed = {}, 0, {}
  for first, last, epoch, mark in string.gmatch(releases, '(%d+)%-?(%d*) (%d+)(!?)') do
    first = tonumber(first)
    last = math.min(tonumber(last) or first, group.buckets - 1)
    while first <= last do
      local own, run = node(first), { first = first, last = first }
      if own.owner ~= number or digits(own.epoch) ~= epoch then
        outcomes[#outcomes + 1] = 'g'
      elseif mark == '!' then
        run = run_from(first, 1)
        outcomes[#outcomes + 1] = 'm'
        unlink(run)
        failed[#failed + 1] = run
      elseif allowed <= size or (contiguous and target_of(first) == number) then
        outcomes[#outcomes + 1] = 'k'
      else
        run = run_from(first, contiguous and 1 or math.min(last - first + 1, allowed - size))
        outcomes[#outcomes + 1] = string.rep('m', size_of(run))
        unlink(run)
        released[#released + 1] = run
        size = size + size_of(run)
      end
      first = run.last + 1
    end
  end
  if 0 < size then
    count = count - size
    count_change(number, weight, -size)
    hand_over(released)
  end
  for _, run in ipairs(failed) do hand_to_another(run) end
end

-- What the caller gets ------------------------------------------------------------------------------------------

local progress, more = 0, false

-- Buckets that the table gives to the caller but that it did not claim: granted to it anew.
local limbo = ring_limbo(number)
if (known or weight == 0) and node(limbo).next ~= limbo then
  local again = {}
  while progress < MOST and #again < chunk and node(limbo).next ~= limbo do
    local run = run_from(node(limbo).next, MOST - progress)
    unlink(run)
    again[#again + 1] = run
    progress = progress + size_of(run)
  end
  if weight ~= 0 then
    give(number, again)
  else
    -- Whoever gives everything away works on none of these: they need no release.
    for _, run in ipairs(again) do to_free(run) end
    count = count - progress
    count_change(number, weight, -progress)
  end
  more = node(limbo).next ~= limbo
end

me.limbo = node(limbo).next ~= limbo
free = group.pool + group.virgin
share = quota(number, weight, count, extras)
if known and 0 < free then
  local passed = group.cursor
  if contiguous then
    for _, run in ipairs(take_free(chunk, chunk)) do
      for bucket = run.first, run.last do
        local part = { first = bucket, last = bucket, epoch = run.epoch }
        local target = target_of(bucket)
        if target and is_live(target) then
          give(target, { part })
          count_change(target, record(target).weight, 1)
          if target == number then count = count + 1 else publish[target] = true end
          progress = progress + 1
        else
          to_free(part)
        end
      end
    end
  elseif count < share then
    local taken, size = take_free(math.min(share - count, MOST - progress), chunk)
    if 0 < size then
      give(number, taken)
      count_change(number, weight, size)
      count = count + size
      progress = progress + size
    end
  end
  free = group.pool + group.virgin
  local goes_on = 0 < progress or passed < group.cursor
  more = more or (goes_on and 0 < free and (contiguous or count < share))
end

if known and next_expiry == 0 then more = true end
settled = group.settle_at <= now
publish[number] = nil
flush()
return answer(past, more, table.concat(outcomes), false)
