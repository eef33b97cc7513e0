-- Shared by the scripts for operators, which may need more rights than those of clients.

-- How many slots are on record in the whole namespace.
local function record_count(key)
  local fields, count = redis.call('HMGET', key, 'history', 'discovery', 'layout', 'full'), redis.call('HLEN', key)
  for i = 1, 4 do
    if fields[i] then count = count - 1 end
  end
  return count
end

-- The longest terms as the next grant finds them: when a window is over, those of the window before it are forgotten.
local function longest_in_use(past, now, terms)
  if not past then return longer(terms, terms.known) end
  local is_over = past.till <= now and past.since + WINDOW * past.longest.ttl < now
  return is_over and past.used or past.longest
end

-- The timestamp beyond which no floor and no horizon of a free slot lies, unless a clock was wrong: a holder reserves a ttl
-- from a clock that is ahead by the skew, and the floor of a quarantine lies above what holders reserve until its end.
local function limit_of(past, longest, now)
  return now + math.max(longest.ttl, past and quarantine_left(past, now) or 0) + longest.skew
end
