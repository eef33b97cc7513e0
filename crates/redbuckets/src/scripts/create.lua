-- Shared by the scripts that may find no group: join and claim.

local function config_text(buckets, assignment)
  return digits(buckets) .. ' ' .. assignment
end

-- nil where every key is of its own kind, else the reply that names one that is not.
local function wrong_type(weight)
  local kinds = {
    { KEYS[1], 'hash' }, { base .. 'members', 'hash' }, { base .. 'ids', 'hash' }, { base .. 'lease', 'zset' },
    { base .. 'retired', 'list' }, { base .. 'table:0', 'string' }, { base .. 'count:' .. weight, 'zset' },
    { base .. 'order:' .. weight, 'zset' },
  }
  for _, kind in ipairs(kinds) do
    local found = redis.call('TYPE', kind[1]).ok
    if found ~= 'none' and found ~= kind[2] then return { 'wrongtype', kind[1], found } end
  end
  return nil
end

-- nil where the group is as the caller thinks it is, or is not there yet.
local function mismatch(buckets, assignment)
  if not group then return nil end
  if group.buckets ~= buckets then return { 'buckets', group.buckets } end
  if group.assignment ~= assignment then return { 'assignment', group.assignment } end
  return nil
end

-- Whether the store has lost a key of the group: what is left does not fit together, and the group has to be made anew.
local function torn()
  local members = group.members
  if redis.call('HLEN', base .. 'members') ~= members or redis.call('HLEN', base .. 'ids') ~= members then return true end
  if redis.call('ZCARD', base .. 'lease') ~= members then return true end
  for _, class in ipairs(group.classes) do
    for _, set in ipairs({ 'count:', 'order:' }) do
      if redis.call('ZCARD', base .. set .. class.weight) ~= class.members then return true end
    end
  end
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    local page = string.match(field, '^page:(%d+)$')
    if page and redis.call('EXISTS', base .. 'table:' .. page) == 0 then return true end
  end
  return false
end

-- Makes the group anew. What is left of an older one, of which keys were lost, is removed. Without a history nothing is
-- granted for `discovery` ms, in which living members whose group was lost find that out, and everybody who starts at
-- the same time joins; where something was lost for certain, for one ttl.
local function create(buckets, assignment, ttl, discovery, lost)
  for number, text in pairs(redis.call('HGETALL', base .. 'members')) do
    local weight = string.match(text, '^%S+ %S+ %d+ %d+ %d+ (%d+) ')
    if weight then redis.call('DEL', base .. 'count:' .. weight, base .. 'order:' .. weight) end
  end
  redis.call('DEL', base .. 'members', base .. 'ids', base .. 'lease', base .. 'retired')
  for page = 0, math.floor((buckets + 131072) / PAGE) do
    redis.call('DEL', base .. 'table:' .. page)
    redis.call('HDEL', KEYS[1], 'page:' .. page)
  end
  group = {
    buckets = buckets, assignment = assignment, gen = digits(now_us), version = 0, settle_at = now, unsettled = now,
    cursor = 0, virgin = buckets, pool = 0, top = 0, doubted = false, members = 0, moves = 0, classes = {},
    weight = 0, dirty = true,
  }
  redis.call('HSET', KEYS[1], 'config', config_text(buckets, assignment), 'state', group_text(), 'classes', ';')
  local past = history_read(KEYS[1])
  if past or lost then
    doubt(ttl)
  else
    history_write(KEYS[1], {
      run = run_id(), till = now + discovery, ttl = ttl, floor = 0, acked = 0, vouched = false, alone = 0, at = 0, most = 0,
    })
  end
  ring_reset(ring_free())
end
