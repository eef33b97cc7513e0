-- The first part of an acquisition (KEYS, ARGV, reply and guarantees: see acquire.lua): where the range is known to be full
-- for no longer than the caller's own ttl there is nothing to find out. Thousands may wait for a slot, so this stands before
-- all definitions, which would cost more than it does.

if ARGV[7] ~= '' then
  local full = redis.pcall('HGET', KEYS[1], 'full')
  local first, last, till = string.match(type(full) == 'string' and full or '', '^(%d+)-(%d+) (%d+)$')
  if first and first .. '-' .. last == ARGV[7] then
    local time = redis.call('TIME')
    local left = till - (time[1] * 1000 + math.floor(time[2] / 1000))
    if 0 < left and left <= tonumber(string.match(ARGV[2], '^%d+')) then
      return { 'taken', last - first + 1, 0, left, '1', 0, '' }
    end
  end
end
