-- Shared by nothing but the beat, whose first part it is (KEYS, ARGV, reply and guarantees: see beat.lua): where the group
-- and the member's record are to the letter what the caller was last told, and nobody's lease is over, there is nothing
-- to find out. It stands before all definitions, which would cost more than it does.

if ARGV[13] ~= '' then
  local base, number = string.sub(KEYS[1], 1, -6), ARGV[3]
  if redis.call('HGET', KEYS[1], 'state') == ARGV[13] and redis.call('HGET', base .. 'members', number) == ARGV[14] then
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local first = redis.call('ZRANGE', base .. 'lease', 0, 0, 'WITHSCORES')[2]
    local left = first and first - now or 0
    if 0 < left then
      redis.call('ZADD', base .. 'lease', now + ARGV[16], number)
      redis.call('HSET', base .. 'members', number, ARGV[15])
      return { 'same', left }
    end
  end
end
