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
  if newer then return { 'newer', newer } end
  if not group then return nil end
  if group.buckets ~= buckets then return { 'buckets', group.buckets } end
  if group.assignment ~= assignment then return { 'assignment', group.assignment } end
  return nil
end

-- Whether the store has lost a key of the group, or somebody has written into it: what is left does not fit together, and
-- the group has to be made anew.
local function torn(id)
  local number = redis.call('HGET', base .. 'ids', id)
  if number and not record(tonumber(number)) then return true end
  local members = group.members
  if redis.call('HLEN', base .. 'members') ~= members or redis.call('HLEN', base .. 'ids') ~= members then return true end
  if redis.call('ZCARD', base .. 'lease') ~= members then return true end
  local weighty = 0
  for _, class in ipairs(group.classes) do
    weighty = weighty + class.members
    for _, set in ipairs({ 'count:', 'order:' }) do
      if redis.pcall('ZCARD', base .. set .. class.weight) ~= class.members then return true end
    end
  end
  if redis.pcall('ZCARD', base .. 'count:0') ~= members - weighty then return true end
  local fields, pages = {}, {}
  for page = 0, math.floor((group.buckets + 2 * group.top) / PAGE) do fields[page + 1] = 'page:' .. page end
  for i, is_there in ipairs(redis.call('HMGET', KEYS[1], unpack(fields))) do
    if is_there then pages[#pages + 1] = base .. 'table:' .. i - 1 end
  end
  if 0 < #pages and redis.call('EXISTS', unpack(pages)) < #pages then return true end
  return false
end

-- Makes the group anew. What is left of an older one, of which keys were lost, is removed. Without a history nothing is
-- granted for `discovery` ms, in which living members whose group was lost find that out, for which all are woken, and
-- everybody who starts at the same time joins; where something was lost for certain, in a quarantine.
local function create(buckets, assignment, terms, discovery, lost)
  redis.call('DEL', base .. 'count:0')
  -- More than there can be are none of ours. What is left of their classes is removed when one of them is needed.
  local count = redis.call('HLEN', base .. 'members')
  local known = count <= MAX_MEMBERS and redis.call('HGETALL', base .. 'members') or {}
  for _, text in pairs(known) do
    local weight = string.match(text, '^%S+ %S+ %d+ %d+ %d+ (%d+) ')
    if weight then redis.call('DEL', base .. 'count:' .. weight, base .. 'order:' .. weight) end
  end
  redis.call('DEL', base .. 'members', base .. 'ids', base .. 'lease', base .. 'retired')
  local pages, fields = {}, {}
  for page = 0, math.floor((buckets + 131072) / PAGE) do
    pages[page + 1], fields[page + 1] = base .. 'table:' .. page, 'page:' .. page
  end
  redis.call('DEL', unpack(pages))
  redis.call('HDEL', KEYS[1], unpack(fields))
  group = {
    buckets = buckets, assignment = assignment, gen = generation(0), version = 0, settle_at = now, unsettled = now,
    cursor = 0, virgin = buckets, pool = 0, top = 0, doubt_from = now, doubt_till = now, members = 0, moves = 0, taken = 0,
    classes = {}, weight = 0, dirty = true,
  }
  redis.call('HSET', KEYS[1], 'config', config_text(buckets, assignment), 'state', group_text(), 'classes', ';')
  records = {}
  local run, past, garbled = run_id(), history_read(KEYS[1])
  if past or garbled or lost or 0 < count or terms.expects then
    group.past = history_doubt(KEYS[1], past, run, now, terms)
    group.doubt_till = group.past.till
  else
    group.past = history_new(run, now, terms)
    history_write(KEYS[1], group.past)
    group.doubt_till = now + discovery
    publish.all = true
  end
  ring_reset(ring_free())
end
