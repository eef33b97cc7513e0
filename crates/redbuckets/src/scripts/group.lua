-- Shared by the scripts of redbuckets. Everything of one group lives under one prefix, in one cluster slot:
--
-- group      hash: "history" (see history.lua), "config" (buckets, assignment), "classes" (weight:members,…) and "state"
-- members    hash: member number -> record, see record_parse; ids: hash, instance id -> member number
-- lease      sorted set: member number by the server ms at which it may be reaped (end of its lease + its grace)
-- count:<w>  sorted set per weight: member number by the buckets it owns; weight 0 is for those that drain
-- order:<w>  sorted set per weight: member number by itself, for contiguous ranges
-- inbox:<n>  list: what member n was granted and has not acknowledged yet, "bucket epoch"
-- retired    list: numbers of reaped members, used again once no free bucket names one as its last owner
-- table:<p>  string: page p of the table
--
-- The table has one node of 14 bytes per bucket: owner (2), epoch (6), previous (3), next (3). The last two link the
-- buckets of one owner into a ring that starts and ends at a node of its own behind the buckets, so that the whole ring
-- of a crashed member joins the free ones at the price of one, and any bucket leaves its ring without a search. Nodes
-- behind the buckets: 0 is the ring of free buckets; 2n-1 the buckets of member n; 2n those that the table gives to n
-- but n has not confirmed: they count as n's and are granted to it anew, with higher epochs, once the past is known.
-- Buckets that were never granted have epoch 0, are in no ring, and are found by a cursor that only rises.
--
-- Nodes and records are changed in memory and written by flush() at the very end: whatever fails before changes nothing.

local NODE, PAGE, BLOCK = 14, 2300, 16
local SKEW, MAX_SETTLE = 10000, 10000

local base = string.sub(KEYS[1], 1, -6)
local now, now_us = server_now()
local group, records, publish = nil, {}, {}

local function group_load()
  local fields = redis.call('HMGET', KEYS[1], 'config', 'state', 'classes', 'history')
  if not (fields[1] and fields[2] and fields[3] and fields[4]) then return nil end
  local buckets, assignment = string.match(fields[1], '^(%d+) (%a)$')
  local gen, version, settle_at, unsettled, cursor, virgin, pool, top, doubted, members =
    string.match(fields[2], '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d) (%d+)$')
  if not buckets or not gen then return nil end
  group = {
    buckets = tonumber(buckets), assignment = assignment, gen = gen, version = tonumber(version),
    settle_at = tonumber(settle_at), unsettled = tonumber(unsettled), cursor = tonumber(cursor),
    virgin = tonumber(virgin), pool = tonumber(pool), top = tonumber(top), doubted = doubted == '1',
    members = tonumber(members), classes = {}, weight = 0,
  }
  for weight, count in string.gmatch(fields[3], '(%d+):(%d+)') do
    local class = { weight = tonumber(weight), members = tonumber(count) }
    group.classes[#group.classes + 1] = class
    group.weight = group.weight + class.weight * class.members
  end
  return group
end

local function group_text()
  return table.concat({
    group.gen, digits(group.version), digits(group.settle_at), digits(group.unsettled), digits(group.cursor),
    digits(group.virgin), digits(group.pool), digits(group.top), group.doubted and '1' or '0', digits(group.members),
  }, ' ')
end

-- Nothing is free of doubt from now on, for one ttl: a new generation, which every member has to confirm.
local function doubt(ttl)
  history_doubt(KEYS[1], history_read(KEYS[1]), run_id(), now, ttl, SKEW)
  group.doubted, group.dirty = true, true
end

local function new_generation()
  group.gen = digits(math.max(tonumber(group.gen) + 1, now_us))
  group.dirty = true
end

-- 'known' and the floor of epochs, or 'suspect' and the ms to wait.
local function admit(ttl)
  local standing, detail, changed = history_admit(KEYS[1], now, 'ask', ttl, SKEW)
  if changed then
    new_generation()
    group.doubted = true
  elseif standing == 'known' and group.doubted then
    group.doubted, group.dirty = false, true
  end
  return standing, detail
end

-- The nodes of the table -----------------------------------------------------------------------------------------

local blocks, nodes, missing = {}, {}, {}

local function node(index)
  local found = nodes[index]
  if found then return found end
  local page = math.floor(index / PAGE)
  local at = index - page * PAGE
  local block = math.floor(at / BLOCK)
  local key = page * 1000 + block
  local text = blocks[key]
  if not text then
    text = redis.call('GETRANGE', base .. 'table:' .. page, block * BLOCK * NODE, (block + 1) * BLOCK * NODE - 1)
    blocks[key] = text
    if text == '' then missing[page] = true end
  end
  local offset = (at - block * BLOCK) * NODE
  if offset + NODE <= #text then
    local owner, epoch, prev, next = struct.unpack('>I2I6I3I3', text, offset + 1)
    found = { owner = owner, epoch = epoch, prev = prev, next = next }
  else
    found = { owner = 0, epoch = 0, prev = index, next = index }
  end
  nodes[index] = found
  return found
end

local function unlink(index)
  local own = node(index)
  local before, after = node(own.prev), node(own.next)
  before.next, after.prev = own.next, own.prev
  before.dirty, after.dirty = true, true
end

local function append(ring, index)
  local head, own = node(ring), node(index)
  local last = head.prev
  own.prev, own.next = last, ring
  node(last).next, node(last).dirty = index, true
  head.prev, head.dirty, own.dirty = index, true, true
end

-- Moves everything of one ring to the end of another.
local function splice(from, to)
  local source, target = node(from), node(to)
  if source.next == from then return end
  local first, last, tail = source.next, source.prev, target.prev
  node(tail).next, node(tail).dirty = first, true
  node(first).prev, node(first).dirty = tail, true
  node(last).next, node(last).dirty = to, true
  target.prev, target.dirty = last, true
  source.prev, source.next, source.dirty = from, from, true
end

local function ring_free() return group.buckets end
local function ring_own(number) return group.buckets + 2 * number - 1 end
local function ring_limbo(number) return group.buckets + 2 * number end

local function ring_reset(ring)
  local head = node(ring)
  head.owner, head.epoch, head.prev, head.next, head.dirty = 0, 0, ring, ring, true
end

local function nodes_flush()
  local list = {}
  for index, value in pairs(nodes) do
    if value.dirty then list[#list + 1] = index end
  end
  table.sort(list)
  local i = 1
  while i <= #list do
    local first = list[i]
    local page = math.floor(first / PAGE)
    local texts, last = {}, first - 1
    while i <= #list and list[i] == last + 1 and list[i] < (page + 1) * PAGE do
      local value = nodes[list[i]]
      texts[#texts + 1] = struct.pack('>I2I6I3I3', value.owner, value.epoch, value.prev, value.next)
      last = list[i]
      i = i + 1
    end
    if missing[page] then
      -- The whole page at once: a string that grows is given twice the room it needs.
      local size = math.min(PAGE, math.max(group.buckets - page * PAGE, last + 1 - page * PAGE))
      if redis.call('EXISTS', base .. 'table:' .. page) == 0 then
        redis.call('SETRANGE', base .. 'table:' .. page, size * NODE - 1, '\0')
      end
      missing[page] = nil
    end
    redis.call('SETRANGE', base .. 'table:' .. page, (first - page * PAGE) * NODE, table.concat(texts))
  end
end

-- Members --------------------------------------------------------------------------------------------------------

local function record(number)
  local found = records[number]
  if found ~= nil then return found end
  local text = redis.call('HGET', base .. 'members', number)
  found = false
  if text then
    local incarnation, gen, seq, acked, given, weight, grace, id =
      string.match(text, '^(%S+) (%S+) (%d+) (%d+) (%d+) (%d+) (%d+) (.+)$')
    if incarnation then
      found = {
        incarnation = incarnation, gen = gen, seq = tonumber(seq), acked = tonumber(acked), given = tonumber(given),
        weight = tonumber(weight), grace = tonumber(grace), id = id,
      }
    end
  end
  records[number] = found
  return found
end

local function record_text(value)
  return table.concat({
    value.incarnation, value.gen, digits(value.seq), digits(value.acked), digits(value.given), digits(value.weight),
    digits(value.grace), value.id,
  }, ' ')
end

local function flush()
  nodes_flush()
  for number, value in pairs(records) do
    if value and value.dirty then redis.call('HSET', base .. 'members', number, record_text(value)) end
  end
  if group.dirty then
    local classes = {}
    for i, class in ipairs(group.classes) do classes[i] = class.weight .. ':' .. class.members end
    redis.call('HSET', KEYS[1], 'state', group_text(), 'classes', table.concat(classes, ',') .. ';')
  end
  for number in pairs(publish) do redis.pcall('PUBLISH', base .. 'wake:' .. number, 'wake') end
end

local function counted(number, weight)
  return tonumber(redis.call('ZSCORE', base .. 'count:' .. weight, number) or '0')
end

local function count_change(number, weight, by)
  redis.call('ZINCRBY', base .. 'count:' .. weight, by, number)
end

-- Another membership: quotas change now, shedding for balance waits until it has been quiet for `settle` ms.
local function membership_changed(settle)
  if group.settle_at <= now then group.unsettled = now end
  group.version = group.version + 1
  group.settle_at = math.max(now, math.min(now + settle, group.unsettled + MAX_SETTLE))
  group.dirty = true
end

local function class_change(weight, by)
  if weight == 0 then return end
  group.weight = group.weight + by * weight
  group.dirty = true
  for i, class in ipairs(group.classes) do
    if class.weight == weight then
      class.members = class.members + by
      if class.members == 0 then table.remove(group.classes, i) end
      return
    end
    if weight < class.weight then
      table.insert(group.classes, i, { weight = weight, members = by })
      return
    end
  end
  group.classes[#group.classes + 1] = { weight = weight, members = by }
end

-- Puts a member into the class of `weight`, with the buckets it owns.
local function enter_class(number, weight, count)
  redis.call('ZADD', base .. 'count:' .. weight, count, number)
  if weight ~= 0 then redis.call('ZADD', base .. 'order:' .. weight, number, number) end
  class_change(weight, 1)
end

local function leave_class(number, weight)
  redis.call('ZREM', base .. 'count:' .. weight, number)
  if weight ~= 0 then redis.call('ZREM', base .. 'order:' .. weight, number) end
  class_change(weight, -1)
end

-- Removes a member; its buckets become free at the price of one.
local function remove(number, value, settle)
  local count = counted(number, value.weight)
  splice(ring_own(number), ring_free())
  splice(ring_limbo(number), ring_free())
  group.pool = group.pool + count
  leave_class(number, value.weight)
  redis.call('ZREM', base .. 'lease', number)
  redis.call('HDEL', base .. 'members', number)
  redis.call('HDEL', base .. 'ids', value.id)
  redis.call('DEL', base .. 'inbox:' .. number)
  redis.call('RPUSH', base .. 'retired', number)
  records[number] = false
  group.members = group.members - 1
  membership_changed(settle)
end

-- The number of a new member; nil where 65,535 are in use.
local function new_number()
  if group.pool == 0 then
    local retired = redis.call('LPOP', base .. 'retired')
    if retired then return tonumber(retired) end
  end
  if 65535 <= group.top then return nil end
  group.top, group.dirty = group.top + 1, true
  return group.top
end

local function new_member(number, id, incarnation, weight, grace, settle)
  local value = {
    incarnation = incarnation, gen = group.gen, seq = 0, acked = 0, given = 0, weight = weight, grace = grace, id = id,
    dirty = true,
  }
  records[number] = value
  ring_reset(ring_own(number))
  ring_reset(ring_limbo(number))
  redis.call('DEL', base .. 'inbox:' .. number)
  redis.call('HSET', base .. 'ids', id, number)
  enter_class(number, weight, 0)
  group.members = group.members + 1
  membership_changed(settle)
  return value
end

-- Whether a member's lease still runs, by this server's clock.
local function is_live(number)
  local value = record(number)
  local reaped_at = value and redis.call('ZSCORE', base .. 'lease', number)
  return reaped_at and now < reaped_at - value.grace
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

-- The member that lacks most, and how many it lacks; nil where nobody does.
local function neediest(extras)
  local best, lacks, candidates = nil, 0, {}
  for _, class in ipairs(group.classes) do
    local lowest = redis.call('ZRANGE', base .. 'count:' .. class.weight, 0, 3, 'WITHSCORES')
    for i = 1, #lowest, 2 do
      local number, missing_here = tonumber(lowest[i]), class.floor - tonumber(lowest[i + 1])
      if missing_here < 0 then break end
      if is_live(number) then
        if lacks < missing_here then best, lacks = number, missing_here end
        if missing_here == 0 and class.rest then candidates[#candidates + 1] = number end
        break
      end
    end
  end
  if best then return best, lacks end
  if candidates[1] and above() < extras then return candidates[1], 1 end
  return nil, 0
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

-- The member whose range a bucket is in.
local function target_of(bucket)
  if group.weight == 0 then return nil end
  local unit = math.ceil((bucket + 1) * group.weight / group.buckets) - 1
  for _, class in ipairs(group.classes) do
    if unit < class.weight * class.members then
      local at = math.floor(unit / class.weight)
      return tonumber(redis.call('ZRANGE', base .. 'order:' .. class.weight, at, at)[1])
    end
    unit = unit - class.weight * class.members
  end
  return nil
end

-- Grants ---------------------------------------------------------------------------------------------------------

-- Gives buckets, which are in no ring, to a member: with an epoch above every earlier one, into its inbox.
local function give(number, buckets, floor)
  local value, entries = record(number), {}
  for i, bucket in ipairs(buckets) do
    local own = node(bucket)
    own.epoch = math.max(own.epoch + 1, now, floor)
    own.owner = number
    append(ring_own(number), bucket)
    entries[i] = bucket .. ' ' .. digits(own.epoch)
  end
  redis.call('RPUSH', base .. 'inbox:' .. number, unpack(entries))
  value.given, value.dirty = value.given + #buckets, true
end

-- Takes up to `most` free buckets out of their ring, or from those that were never granted; looks at 1,024 at most.
local function take_free(most)
  local taken, ring = {}, ring_free()
  while #taken < most and 0 < group.pool do
    local bucket = node(ring).next
    if bucket == ring or node(bucket).prev ~= ring then error('the table is damaged: a page of it is missing') end
    unlink(bucket)
    taken[#taken + 1] = bucket
    group.pool = group.pool - 1
  end
  local last = group.cursor + 1024
  while #taken < most and 0 < group.virgin and group.cursor < group.buckets and group.cursor < last do
    if node(group.cursor).epoch == 0 then
      taken[#taken + 1] = group.cursor
      group.virgin = group.virgin - 1
    end
    group.cursor = group.cursor + 1
  end
  group.dirty = true
  return taken
end

local function to_free(bucket)
  node(bucket).owner = 0
  append(ring_free(), bucket)
  group.pool, group.dirty = group.pool + 1, true
end
