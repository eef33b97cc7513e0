-- Shared by every script that grants. A store can only grant safely if it can vouch for its own past: one record per
-- namespace or group, "<run_id> <until> <ttl> <floor>", says which server wrote last (run_id), until when new grants
-- must wait (until, server ms), the longest ttl ever granted (ttl, ms), and the timestamp below which forgotten
-- holders may have minted (floor, ms).

local function server_now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000), time[1] * 1000000 + time[2]
end

local function digits(number)
  return string.format('%.0f', number)
end

-- The identity of this server, or '?' where INFO is forbidden or tells nothing: then nothing can be compared.
local function run_id()
  local info = redis.pcall('INFO', 'server')
  return type(info) == 'string' and string.match(info, 'run_id:(%w+)') or '?'
end

local function history_read(key)
  local text = redis.call('HGET', key, 'history')
  if not text then return nil end
  local run, till, ttl, floor = string.match(text, '^(%S+) (%d+) (%d+) (%d+)$')
  if not run then return nil end
  return { run = run, till = tonumber(till), ttl = tonumber(ttl), floor = tonumber(floor) }
end

local function history_write(key, past)
  redis.call('HSET', key, 'history', past.run .. ' ' .. digits(past.till) .. ' ' .. digits(past.ttl) .. ' ' .. digits(past.floor))
end

-- Marks the past as doubtful from now on: nothing new is granted for one ttl, the longest that was ever granted, and
-- what is granted afterwards mints above everything that a forgotten holder may still be minting.
local function history_doubt(key, past, run, now, ttl, skew)
  local longest = math.max(ttl, past and past.ttl or 0)
  local till = now + longest
  local floor = math.max(till + skew, past and past.floor or 0)
  history_write(key, { run = run, till = till, ttl = longest, floor = floor })
  return till
end

-- Says whether a grant is safe now: 'known' and the floor; 'suspect', the ms to wait and whether the server's
-- identity was found changed just now; or 'absent' and a token.
-- mode: 'ask' (nothing is known of an absent past), 'first:<token>' (silence was heard since the token was given: this
-- is the first use) or 'voice' (somebody was heard: an absent past was lost). The token makes a late 'first' harmless:
-- it went with everything else if the store has forgotten its past since, and then nobody has listened yet.
local function history_admit(key, now, mode, ttl, skew)
  local past, run = history_read(key), run_id()
  if not past then
    if mode == 'voice' then return 'suspect', history_doubt(key, nil, run, now, ttl, skew) - now end
    local token = redis.call('HGET', key, 'discovery')
    if not token or string.sub(token, 1, #run + 1) ~= run .. '@' then
      token = run .. '@' .. digits(now)
      redis.call('HSET', key, 'discovery', token)
      return 'absent', token
    end
    if mode ~= 'first:' .. token then return 'absent', token end
    redis.call('HDEL', key, 'discovery')
    history_write(key, { run = run, till = 0, ttl = ttl, floor = 0 })
    return 'known', 0
  end
  if run ~= '?' and past.run ~= '?' and past.run ~= run then
    return 'suspect', history_doubt(key, past, run, now, ttl, skew) - now, true
  end
  if now < past.till then
    -- A clock that was set back must not prolong the wait beyond one ttl.
    if past.till > now + past.ttl then
      past.till = now + past.ttl
      history_write(key, past)
    end
    return 'suspect', past.till - now
  end
  if past.ttl < ttl or (past.run == '?' and run ~= '?') then
    past.ttl = math.max(past.ttl, ttl)
    if run ~= '?' then past.run = run end
    history_write(key, past)
  end
  return 'known', past.floor
end
