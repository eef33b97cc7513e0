-- Shared by the scripts that change who owns what: the table, memberships and grants. See group.lua for the data.

-- The group's state -------------------------------------------------------------------------------------------------

local function group_text()
  return table.concat({
    group.gen, digits(group.version), digits(group.settle_at), digits(group.unsettled), digits(group.cursor),
    digits(group.virgin), digits(group.pool), digits(group.top), digits(group.doubt_from),
    digits(group.doubt_till), digits(group.members), digits(group.moves), digits(group.taken),
  }, ' ')
end

-- The group keeps from when until when nothing is granted, server ms; 0 and 0 if something is.
local function doubt_begins(from, till)
  if group.doubt_from == from and group.doubt_till == till then return end
  group.doubt_from, group.doubt_till, group.dirty = from, till, true
end

local function doubt_lasts(ms)
  local from = group.doubt_till == 0 and now or group.doubt_from
  doubt_begins(from, math.max(group.doubt_till, now + ms))
end

-- Something that was acknowledged at `acknowledged`, server ms, is missing: nothing is granted in a quarantine.
local function doubt(terms, acknowledged)
  group.past = history_rewound(KEYS[1], history_read(KEYS[1]), now, terms, acknowledged)
  doubt_lasts(quarantine_left(group.past, now))
end

local function new_generation()
  group.gen = generation(tonumber(group.gen) + 1)
  group.dirty = true
end

-- Whether anything may be granted: 'known' or 'quarantine' in `standing`, in `wait` for how many ms nothing is, in `longest`
-- the group's terms. Besides a quarantine there is a discovery: a group that nobody was heard in for the longest ttl may be
-- an old copy, and then living members of the other one shall be heard first, as when a group is made. The floor that
-- history keeps is for timestamps; epochs do without, because whatever was granted and forgotten was granted before the
-- wait began, by a clock that is not a ttl ahead, or never took effect.
local function admit(terms, discovery)
  local is_silent = group.past.longest.ttl < wait.silent
  local found = history_admit(KEYS[1], now, 'group', terms, history_read(KEYS[1]))
  group.past = found.past or history_read(KEYS[1])
  if found.changed then new_generation() end
  -- A clock that was set back prolongs neither.
  if group.doubt_till ~= 0 then
    doubt_begins(math.max(0, group.doubt_from - wait.back), math.max(0, group.doubt_till - wait.back))
  end
  if is_silent then
    doubt_lasts(discovery)
    publish.all = true
  end
  if found.standing ~= 'known' then doubt_lasts(found.wait or quarantine_of(group.past)) end
  -- A step of the clock ends neither.
  local stepped = group.doubt_from < wait.mark and clock_wait(group.doubt_till) or 0
  local left = math.max(0, group.doubt_till - now, stepped)
  if left == 0 then doubt_begins(0, 0) end
  return { standing = left == 0 and 'known' or 'quarantine', wait = left, longest = group.past.longest }
end

-- The nodes of the table -----------------------------------------------------------------------------------------

local blocks, nodes, missing = {}, {}, {}
-- Runs that were written in this call (see grants.lua): what lies between their ends is in no block.
local runs = {}

-- Something in the group does not fit together. Without a state the group is not there: the next request of each member
-- is a claim.
local function give_up(what)
  redis.call('HDEL', KEYS[1], 'state')
  error('-TRYAGAIN ' .. what .. '; the group is made anew from what its members hold')
end

-- Nodes `from` to `to` of a page as they are stored: fewer where they were never written.
local function stored(page, from, to)
  local text = redis.pcall('GETRANGE', base .. 'table:' .. page, from * NODE, (to + 1) * NODE - 1)
  if type(text) ~= 'string' then give_up('page ' .. page .. ' of the table is none of ours') end
  if text == '' and not missing[page] then
    missing[page] = true
    if redis.call('HEXISTS', KEYS[1], 'page:' .. page) == 1 and redis.call('EXISTS', base .. 'table:' .. page) == 0 then
      give_up('the table has lost a page')
    end
  end
  return text
end

local function node(index)
  local found = nodes[index]
  if found then return found end
  for _, run in ipairs(runs) do
    if run.first < index and index < run.last then
      found = { owner = run.owner, epoch = run.epoch, prev = index - 1, next = index + 1 }
      nodes[index] = found
      return found
    end
  end
  local page = math.floor(index / PAGE)
  local at = index - page * PAGE
  local block = math.floor(at / BLOCK)
  local key = page * 1000 + block
  local text = blocks[key]
  if not text then
    text = stored(page, block * BLOCK, (block + 1) * BLOCK - 1)
    blocks[key] = text
  end
  local offset = (at - block * BLOCK) * NODE
  if offset + NODE <= #text then
    local owner, epoch, prev, next = struct.unpack('>I2I6I3I3', text, offset + 1)
    if math.max(prev, next) > group.buckets + 2 * group.top or owner > group.top then
      give_up('page ' .. page .. ' of the table holds what is none of ours')
    end
    found = { owner = owner, epoch = epoch, prev = prev, next = next }
  else
    found = { owner = 0, epoch = 0, prev = index, next = index }
  end
  nodes[index] = found
  return found
end

-- The neighbours of a node in its ring, which point back at it.
local function neighbours(index)
  local own = node(index)
  local before, after = node(own.prev), node(own.next)
  if before.next ~= index or after.prev ~= index then give_up('a ring of the table is broken') end
  return before, after
end

-- Moves everything of one ring to the end of another.
local function splice(from, to)
  local source, target = node(from), node(to)
  neighbours(from)
  neighbours(to)
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

-- Several nodes in one call; their format is read once.
local ONE, EIGHT = '>I2I6I3I3', '>' .. string.rep('I2I6I3I3', 8)

-- The nodes from `from` to `to`, each of which follows its neighbour.
local function run_text(from, to, owner, epoch)
  local texts, i = {}, from
  while i + 7 <= to do
    texts[#texts + 1] = struct.pack(EIGHT,
      owner, epoch, i - 1, i + 1, owner, epoch, i, i + 2, owner, epoch, i + 1, i + 3, owner, epoch, i + 2, i + 4,
      owner, epoch, i + 3, i + 5, owner, epoch, i + 4, i + 6, owner, epoch, i + 5, i + 7, owner, epoch, i + 6, i + 8)
    i = i + 8
  end
  for at = i, to do texts[#texts + 1] = struct.pack(ONE, owner, epoch, at - 1, at + 1) end
  return table.concat(texts)
end

local function page_write(page, first, last, text)
  if missing[page] then
    -- The whole page at once: a string that grows is given twice the room it needs.
    local size = math.min(PAGE, math.max(group.buckets - page * PAGE, last + 1 - page * PAGE))
    if redis.call('EXISTS', base .. 'table:' .. page) == 0 then
      redis.call('SETRANGE', base .. 'table:' .. page, size * NODE - 1, '\0')
      redis.call('HSET', KEYS[1], 'page:' .. page, '1')
    end
    missing[page] = nil
  end
  redis.call('SETRANGE', base .. 'table:' .. page, (first - page * PAGE) * NODE, text)
end

local function nodes_flush()
  for _, run in ipairs(runs) do
    local from = run.first + 1
    while from < run.last do
      local page = math.floor(from / PAGE)
      local to = math.min(run.last - 1, (page + 1) * PAGE - 1)
      page_write(page, from, to, run_text(from, to, run.owner, run.epoch))
      from = to + 1
    end
  end
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
      texts[#texts + 1] = struct.pack(ONE, value.owner, value.epoch, value.prev, value.next)
      last = list[i]
      i = i + 1
    end
    page_write(page, first, last, table.concat(texts))
  end
end

-- Writing --------------------------------------------------------------------------------------------------------

local function flush()
  nodes_flush()
  for number, value in pairs(records) do
    if value and value.dirty then redis.call('HSET', base .. 'members', number, record_text(value)) end
  end
  if group.dirty then
    redis.call('HSET', KEYS[1], 'state', group_text(), 'classes', classes_text())
  end
  for number in pairs(publish) do redis.pcall('PUBLISH', base .. 'wake:' .. number, 'wake') end
end

-- Memberships ----------------------------------------------------------------------------------------------------

-- Every change of a count changes the group's state, so that who finds that unchanged has the share it had.
local function count_change(number, weight, by)
  group.moves, group.dirty = group.moves + 1, true
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
  if weight ~= 0 and class_of(weight).members == 0 then
    -- Left behind by a group of which keys were lost.
    redis.call('DEL', base .. 'count:' .. weight, base .. 'order:' .. weight)
  end
  redis.call('ZADD', base .. 'count:' .. weight, count, number)
  if weight ~= 0 then redis.call('ZADD', base .. 'order:' .. weight, number, number) end
  class_change(weight, 1)
end

local function leave_class(number, weight)
  redis.call('ZREM', base .. 'count:' .. weight, number)
  if weight ~= 0 then redis.call('ZREM', base .. 'order:' .. weight, number) end
  class_change(weight, -1)
end

-- Removes a member; its buckets become free at the price of one, which leaves its number in them. Free buckets are taken
-- in the order in which they came, so none names it any more when as many were taken as there are now.
local function remove(number, value, settle)
  local count = counted(number, value.weight)
  local had_any = node(ring_own(number)).next ~= ring_own(number) or node(ring_limbo(number)).next ~= ring_limbo(number)
  splice(ring_own(number), ring_free())
  splice(ring_limbo(number), ring_free())
  group.pool = group.pool + count
  leave_class(number, value.weight)
  redis.call('ZREM', base .. 'lease', number)
  redis.call('HDEL', base .. 'members', number)
  redis.call('HDEL', base .. 'ids', value.id)
  redis.call('DEL', base .. 'inbox:' .. number)
  if had_any then
    redis.call('RPUSH', base .. 'retired', number .. ' ' .. digits(group.taken + group.pool))
  else
    redis.call('LPUSH', base .. 'retired', number .. ' 0')
  end
  records[number] = false
  group.members, group.dirty = group.members - 1, true
  -- One that never spoke had no share.
  if value.weight ~= 0 or 0 < value.seq then membership_changed(settle) end
end

-- A member's lease was over at `over`, server ms. One that has left for a while did not die.
local function died(value, over)
  if string.sub(value.incarnation, -2) == ':-' then return end
  local ttl, ms, before = group.past.longest.ttl, trial()
  local came, last_seen = born(value), over - ttl
  if YOUNG * math.max(ttl, ms) < last_seen - came then return end
  -- Many that die together are no series.
  if before ~= 0 and before < came then
    if ms == 0 then
      ms = ttl
    elseif came + ms <= last_seen then
      -- It had a share in the end, and died all the same.
      ms = math.min(2 * ms, MOST_TRIAL * ttl)
    end
  end
  redis.call('HSET', KEYS[1], 'trial', digits(ms) .. ' ' .. digits(math.max(before, last_seen)))
end

-- The number of a new member; nil where 65,535 are in use.
local function new_number()
  while true do
    local oldest = redis.call('LRANGE', base .. 'retired', 0, 0)[1]
    if not oldest then break end
    local number, gone = string.match(oldest, '^(%d+) (%d+)$')
    number, gone = tonumber(number or nil), tonumber(gone or nil)
    local is_ours = number and 0 < number and number <= group.top
    if is_ours and 0 < group.pool and group.taken < gone then break end
    redis.call('LPOP', base .. 'retired')
    if is_ours and redis.call('HEXISTS', base .. 'members', number) == 0 then return number end
  end
  if MAX_MEMBERS <= group.top then return nil end
  group.top, group.dirty = group.top + 1, true
  return group.top
end

local function new_member(number, id, incarnation, weight, grace, settle)
  local value = {
    incarnation = incarnation, gen = group.gen, seq = 0, acked = 0, given = 0, weight = weight, grace = grace,
    limbo = false, drained = false, id = id, dirty = true,
  }
  records[number] = value
  ring_reset(ring_own(number))
  ring_reset(ring_limbo(number))
  redis.call('DEL', base .. 'inbox:' .. number)
  redis.call('HSET', base .. 'ids', id, number)
  enter_class(number, weight, 0)
  group.members, group.dirty = group.members + 1, true
  if weight ~= 0 then membership_changed(settle) end
  return value
end

-- Whether a member may be given something: it has spoken, and its lease still runs, by this server's clock.
local function is_live(number)
  local value = record(number)
  local reaped_at = value and 0 < value.seq and redis.call('ZSCORE', base .. 'lease', number)
  return reaped_at and now < reaped_at - value.grace
end

-- The member that lacks most, and how many it lacks, an extra included where one is left: a newcomer that takes over a
-- leaver's buckets takes them all. nil where nobody lacks any.
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
  if best then
    local class = class_of(record(best).weight)
    if class.rest and above() < extras then lacks = lacks + 1 end
    return best, lacks
  end
  if candidates[1] and above() < extras then return candidates[1], 1 end
  return nil, 0
end

-- Something is free: those who have least are told.
local function wake_neediest()
  for _, class in ipairs(group.classes) do
    for _, needy in ipairs(redis.call('ZRANGE', base .. 'count:' .. class.weight, 0, 15)) do
      publish[tonumber(needy)] = true
    end
  end
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
