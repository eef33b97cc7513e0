-- Shared by nothing but the beat, whose first part it is (KEYS, ARGV, reply and guarantees: see beat.lua): where the group
-- and the member's record are to the letter what the caller was last told, nobody's lease is over, and the group was heard
-- a moment ago and waits for nothing (see group.lua), there is nothing to find out. It stands before all definitions,
-- which would cost more than it does.

if ARGV[13] ~= '' then
  local base, number = string.sub(KEYS[1], 1, -6), ARGV[3]
  local known = redis.call('HMGET', KEYS[1], 'state', 'heard')
  if known[1] == ARGV[13] and redis.call('HGET', base .. 'members', number) == ARGV[14] then
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local first = redis.call('ZRANGE', base .. 'lease', 0, 0, 'WITHSCORES')[2]
    local left = first and first - now or 0
    local since = now - (tonumber(known[2] or nil) or 0)
    if 0 < left and 0 <= since and since <= ARGV[8] / 2 then
      if ARGV[8] / 12 <= since then redis.call('HSET', KEYS[1], 'heard', now) end
      redis.call('ZADD', base .. 'lease', now + ARGV[16], number)
      redis.call('HSET', base .. 'members', number, ARGV[15])
      return { 'same', left }
    end
  end
end
