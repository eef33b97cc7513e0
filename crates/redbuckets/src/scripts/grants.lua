-- Shared by the scripts that claim buckets or give them away. They move runs: neighbouring buckets that follow one another in
-- their ring as well, under one epoch and one owner. Only the ends of a run are looked at and linked anew. What lies
-- between them is one text, so a run costs little more than its ends, however long it is. See table.lua for rings.
--
-- In a request or a reply a run is "first-last epoch", or "bucket epoch" where it is one bucket; a marked one ends with "!".

-- The most buckets that one call moves, the most that it passes in search of free ones, and how many are read at once.
local MOST, PASSED, AT_ONCE = 1024, 2048, 64

local function size_of(run) return run.last - run.first + 1 end

-- Buckets as they are stored; zeros for what was never written.
local function slice(first, last)
  local texts = {}
  while first <= last do
    local page = math.floor(first / PAGE)
    local to = math.min(last, (page + 1) * PAGE - 1)
    local text = stored(page, first - page * PAGE, to - page * PAGE)
    texts[#texts + 1] = text
    texts[#texts + 1] = string.rep('\0', (to - first + 1) * NODE - #text)
    first = to + 1
  end
  return table.concat(texts)
end

-- The run that begins with a bucket, of at most `most` buckets. What this call has changed before ends it.
local function run_from(first, most)
  local head = node(first)
  local run, following = { first = first, last = first, epoch = head.epoch }, head.next
  local end_of_all, text, read = math.min(first + most, group.buckets), '', first
  while following == run.last + 1 and following < end_of_all do
    local at = following
    if read <= at then
      read = math.min(at + AT_ONCE, end_of_all)
      text = slice(at, read - 1)
    end
    local owner, epoch, prev, next = struct.unpack(ONE, text, #text - (read - at) * NODE + 1)
    local is_changed = nodes[at] and nodes[at].dirty
    if is_changed or owner ~= head.owner or epoch ~= head.epoch or prev ~= run.last then break end
    run.last, following = at, next
  end
  return run
end

-- The last of the buckets from `first` on that were never granted; `first` is one of them.
local function virgin_from(first, most)
  local last, limit = first, math.min(first + most, group.buckets) - 1
  while last < limit do
    local to = math.min(last + AT_ONCE, limit)
    local text = slice(last + 1, to)
    if text ~= string.rep('\0', #text) then
      for at = 0, to - last - 1 do
        if struct.unpack('>I6', text, at * NODE + 3) ~= 0 then return last + at end
      end
    end
    last = to
  end
  return last
end

-- The first bucket from `first` on that was never granted; `limit` if that is none before it.
local function virgin_after(first, limit)
  while first < limit do
    local to = math.min(first + AT_ONCE, limit) - 1
    local text = slice(first, to)
    for at = 0, to - first do
      if struct.unpack('>I6', text, at * NODE + 3) == 0 then return first + at end
    end
    first = to + 1
  end
  return limit
end

local function unlink(run)
  local one, other = node(run.first), node(run.last)
  local before, after = node(one.prev), node(other.next)
  if before.next ~= run.first or after.prev ~= run.last then give_up('a ring of the table is broken') end
  before.next, after.prev = other.next, one.prev
  before.dirty, after.dirty = true, true
end

-- Puts a run that is in no ring at the end of one. `is_written`: what lies between its ends is in the table already.
local function append(ring, run, owner, epoch, is_written)
  local head, one, other = node(ring), node(run.first), node(run.last)
  neighbours(ring)
  local tail = node(head.prev)
  tail.next, tail.dirty = run.first, true
  one.prev = head.prev
  if run.first < run.last then one.next, other.prev = run.first + 1, run.last - 1 end
  other.next, head.prev, head.dirty = ring, run.last, true
  one.owner, one.epoch, one.dirty = owner, epoch, true
  other.owner, other.epoch, other.dirty = owner, epoch, true
  if run.first + 1 < run.last and not is_written then
    runs[#runs + 1] = { first = run.first, last = run.last, owner = owner, epoch = epoch }
  end
end

-- Gives runs, which are in no ring, to a member: with an epoch above every earlier one, into its inbox. Marked are those that
-- it gets because work failed elsewhere, which it should keep as long as it has others to give.
local function give(number, list, mark)
  local value, entries = record(number), {}
  for i, run in ipairs(list) do
    local epoch = math.max(run.epoch + 1, now)
    append(ring_own(number), run, number, epoch)
    local buckets = run.first == run.last and run.first or run.first .. '-' .. run.last
    entries[i] = buckets .. ' ' .. digits(epoch) .. (mark or '')
  end
  redis.call('RPUSH', base .. 'inbox:' .. number, unpack(entries))
  value.given, value.dirty = value.given + #list, true
end

local function to_free(run)
  append(ring_free(), run, 0, run.epoch)
  group.pool, group.dirty = group.pool + size_of(run), true
end

-- Takes free buckets out of their ring, or those that were never granted: at most `most`, in at most `chunk` runs. Returns
-- the runs, and how many buckets that are.
local function take_free(most, chunk)
  local taken, count, ring = {}, 0, ring_free()
  while count < most and #taken < chunk and 0 < group.pool do
    local first = node(ring).next
    if group.buckets <= first then give_up('the table has lost free buckets') end
    local run = run_from(first, math.min(most - count, group.pool))
    unlink(run)
    taken[#taken + 1] = run
    count = count + size_of(run)
    group.pool, group.taken = group.pool - size_of(run), group.taken + size_of(run)
  end
  local limit = math.min(group.cursor + PASSED, group.buckets)
  while count < most and #taken < chunk and 0 < group.virgin and group.cursor < limit do
    local first = virgin_after(group.cursor, limit)
    group.cursor = first
    if first < limit then
      local run = { first = first, last = virgin_from(first, math.min(most - count, group.virgin)), epoch = 0 }
      taken[#taken + 1] = run
      count = count + size_of(run)
      group.virgin, group.cursor = group.virgin - size_of(run), run.last + 1
    end
  end
  group.dirty = true
  return taken, count
end
