-- Reads who owns some buckets, for operators.
--
-- KEYS[1] hash of the group
-- ARGV    1 first bucket, 2 end of the buckets; at most 4,096 of them
--
-- Reply   {'owners', stamp, runs}: runs of one owner, as "length owner length owner …" with the member's number, or 0
--         where nobody owns them; the stamp is that of members.lua
--         {'absent'}: there is no such group | {'newer', version} | {'wrongtype', key, type}
--
-- Guarantees: nothing is written.

local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'none' and kind ~= 'hash' then return { 'wrongtype', KEYS[1], kind } end
if not group_load() then return newer and { 'newer', newer } or { 'absent' } end

local first, last = tonumber(ARGV[1]), math.min(tonumber(ARGV[2]), group.buckets)
local lives = {}

-- A bucket of a member that was removed still names it.
local function is_member(number)
  if lives[number] == nil then lives[number] = redis.call('HEXISTS', base .. 'members', number) == 1 end
  return lives[number]
end

local runs, length, owner = {}, 0, nil
local function push(number)
  if number ~= owner then
    if owner then runs[#runs + 1] = length .. ' ' .. owner end
    length, owner = 0, number
  end
  length = length + 1
end

local bucket = first
while bucket < last do
  local page = math.floor(bucket / PAGE)
  local page_end = math.min(last, (page + 1) * PAGE)
  local from, to = bucket - page * PAGE, page_end - page * PAGE
  local text = redis.call('GETRANGE', base .. 'table:' .. page, from * NODE, to * NODE - 1)
  for at = 0, to - from - 1 do
    local number = 0
    if (at + 1) * NODE <= #text then
      local found, epoch = struct.unpack('>I2I6', text, at * NODE + 1)
      if epoch ~= 0 and found ~= 0 and is_member(found) then number = found end
    end
    push(number)
  end
  bucket = page_end
end
if owner then runs[#runs + 1] = length .. ' ' .. owner end
return { 'owners', group.text, table.concat(runs, ' ') }
