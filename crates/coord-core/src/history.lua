-- Shared by every script that grants. A store can only grant safely if it can vouch for its own past. There is one record
-- per namespace or group, "<identity> <until> <ttl> <floor> <acked> <vouched> <alone> <at> <most> <joins>":
--   identity  which server wrote last, "<run_id>:<replication id>": one that was succeeded and comes back has its old run_id
--   until     until when new grants must wait, server ms
--   ttl       the longest that was ever granted, ms
--   floor     the timestamp below which forgotten holders may have minted, ms
--   acked     whether replicas acknowledge every grant before it takes effect: 1 they do; 2 they still do, but somebody
--             wants to go on without; 0 they do not
--   vouched   whether the wait is only for what the record shows as held, 0 or 1
--   alone     when a replica was last found to be missing, server ms; 0 once that is a ttl ago
--   at        about when replicas were last looked at under acked, server ms
--   most      how many replicas were there then
--   joins     how often one had come to this server's process by then
--
-- Why acked can be trusted after a failover: what replicas have is always a prefix of what the master wrote. Where that
-- prefix holds the mark 1, it holds everything before it, and everything that took effect after it was acknowledged.
-- Who wants to go on without acknowledgements replaces the mark by 2, and has that, with his grant, acknowledged like
-- any other. It never becomes 0 while a replica is connected, because whether one has the 2 is known to nobody for sure.
-- The prefix is that of a replica which was promoted: the server's second replication id is the recorded one, and its
-- process is older than the last grant. A server that restarts from its own disk has what the disk had, whatever
-- replicas acknowledged.
--
-- Why that is not enough: where a replica is promoted while its master goes on for a moment, the others acknowledge to the
-- master what the promoted one never hears of. So a server that misses a replica may have been succeeded by it, and grants
-- nothing for one ttl. It misses one also where it has not seen it: each replica that came since it last looked has
-- to be there, because a number of replicas that is the same again may be that of others. One that came and went and came
-- back looks like two of which one is gone, and costs the wait as well.

local function server_now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000), time[1] * 1000000 + time[2]
end

local function digits(number)
  return string.format('%.0f', number)
end

-- What INFO says, asked once for each section in a script; '' where it is forbidden.
local infos = {}
local function info_of(section)
  if not infos[section] then
    local info = redis.pcall('INFO', section)
    infos[section] = type(info) == 'string' and info or ''
  end
  return infos[section]
end

-- The identity of this server, or '?' where INFO is forbidden or tells nothing: then nothing can be compared.
local function run_id()
  local run = string.match(info_of('server'), 'run_id:(%w+)')
  local replication = string.match(info_of('replication'), 'master_replid:(%w+)')
  return run and replication and run .. ':' .. replication or '?'
end

-- Whether this server took over from the one that wrote `past`, as its replica, and not from a disk. It started up to a second
-- after what its uptime says, which is in whole seconds.
local function is_successor(past, now)
  local uptime = tonumber(string.match(info_of('server'), 'uptime_in_seconds:(%d+)') or nil)
  local second = string.match(info_of('replication'), 'master_replid2:(%w+)')
  return uptime and second and second == string.match(past.run, ':(%w+)$') and now - uptime * 1000 + 1000 < past.at
end

-- How many replicas are in step and were heard of within 10 s (the default of min-replicas-max-lag), how many are there,
-- with those that are being brought up to date, and how often one has come since this process started; where nobody waits
-- for any and none is there, that does not matter and is 0. The lag is -1 where one was heard of in the first ms of this
-- second: the server notes that by a finer clock than the one it compares it with.
local function replicas(acked)
  local good, there = 0, 0
  for state, lag in string.gmatch(info_of('replication'), 'slave%d+:[^\r\n]*state=([%w_]+)[^\r\n]*lag=(%-?%d+)') do
    if state ~= 'online' then
      there = there + 1
    elseif tonumber(lag) <= 10 then
      good, there = good + 1, there + 1
    end
  end
  if acked == 0 and there == 0 then return 0, 0, 0 end
  local stats = info_of('stats')
  local full, partial = string.match(stats, 'sync_full:(%d+)'), string.match(stats, 'sync_partial_ok:(%d+)')
  return good, there, (tonumber(full or nil) or 0) + (tonumber(partial or nil) or 0)
end

-- The largest number that is written exactly and has a next one, and the longest ttl, ms. What exceeds them is not ours.
local LARGEST, LONGEST_TTL = 9007199254740990, 3600000

-- What the text says; nil where it is none of ours.
local function history_parse(text)
  local run, till, ttl, floor, acked, vouched, alone, at, most, joins =
    string.match(text, '^(%S+) (%d+) (%d+) (%d+) ([012]) ([01]) (%d+) (%d+) (%d+) (%d+)$')
  if not run then return nil end
  local past = {
    run = run, till = tonumber(till), ttl = tonumber(ttl), floor = tonumber(floor),
    acked = tonumber(acked), vouched = vouched == '1', alone = tonumber(alone), at = tonumber(at), most = tonumber(most),
    joins = tonumber(joins),
  }
  local largest = math.max(past.till, past.floor, past.alone, past.at, past.most, past.joins)
  if LONGEST_TTL < past.ttl or LARGEST < largest then return nil end
  return past
end

-- nil where there is none, and then whether something else stands in its place.
local function history_read(key)
  local text = redis.call('HGET', key, 'history')
  if not text then return nil, false end
  local past = history_parse(text)
  return past, not past
end

local function history_write(key, past)
  redis.call('HSET', key, 'history', past.run .. ' ' .. digits(past.till) .. ' ' .. digits(past.ttl) .. ' '
    .. digits(past.floor) .. ' ' .. digits(past.acked) .. (past.vouched and ' 1 ' or ' 0 ') .. digits(past.alone) .. ' '
    .. digits(past.at) .. ' ' .. digits(past.most) .. ' ' .. digits(past.joins))
end

-- Whether replicas vouch for a past that another server wrote. A doubt that nobody vouched for lasts until its end.
local function is_vouched(past, now)
  return past.acked == 1 and (past.till <= now or past.vouched) and is_successor(past, now)
end

-- How the past stands, for onlookers: 'absent', 'known', 'suspect' or 'vouched', and for how many ms.
local function history_standing(past, run, now)
  if not past then return 'absent', 0 end
  if run ~= '?' and past.run ~= '?' and past.run ~= run then
    return is_vouched(past, now) and 'vouched' or 'suspect', past.ttl
  end
  local left = math.min(past.till - now, past.ttl)
  if left <= 0 then return 'known', 0 end
  return past.vouched and 'vouched' or 'suspect', left
end

-- Marks the past as doubtful from now on: for one ttl, the longest that was ever granted, nothing new is granted, or
-- where `vouched` only what the record shows as never granted or given back. What is granted afterwards mints above
-- everything that a forgotten holder may still be minting. Who came before is waited for by the doubt itself, but where
-- grants go on: there each replica has to be there that ever came.
local function history_doubt(key, past, run, now, ttl, skew, vouched)
  local longest = math.max(ttl, past and past.ttl or 0)
  local _, most, joins = replicas(past and past.acked or 0)
  if vouched then most, joins = 0, 0 end
  local doubtful = {
    run = run, till = now + longest, ttl = longest, alone = 0, at = past and past.at or 0,
    floor = math.max(now + longest + skew, past and past.floor or 0),
    acked = vouched and 1 or past and 0 < past.acked and 2 or 0, vouched = vouched or false,
    most = most, joins = joins,
  }
  history_write(key, doubtful)
  return doubtful
end

-- Looks whether a replica is missing that was there, or came since, and says how many are good.
local function look_after_replicas(past, now)
  local good, there, joins = replicas(past.acked)
  local came = joins - past.joins
  -- A count that fell was set back, so that nobody knows who came.
  if past.acked ~= 0 and (came < 0 or there < past.most + came) then past.alone = now end
  past.most, past.joins = there, joins
  return good
end

-- A holder that renews looks as well, about every third of a ttl: what came and went is then waited for before somebody
-- asks for more.
local function history_watch(key, now)
  local text = redis.call('HGET', key, 'history')
  -- Most have no replicas, and are to pay little for those who have.
  if not text or string.find(text, '^%S+ %d+ %d+ %d+ 0 ') then return end
  local past = history_parse(text)
  if not past or now < past.at + past.ttl / 3 or past.run ~= run_id() then return end
  look_after_replicas(past, now)
  past.at = now
  history_write(key, past)
end

-- How many replicas must acknowledge a grant before it takes effect: all that are good, and where `acks` is a number so many
-- at least; or 'never' any. Who is 'unable' to wait is granted nothing where others do: after a failover they would not
-- know of it.
-- nil where there is nothing to be granted now: how many there are, how many are wanted, and the ms to wait where that
-- helps: after a replica went missing, and after a failover until the first one has followed.
local function history_acknowledgements(key, past, acks, now)
  local before, since, most, joins = past.acked, past.alone, past.most, past.joins
  local alike = acks == 'never' or acks == 'unable'
  local good = 0
  if not alike or before ~= 0 then good = look_after_replicas(past, now) end
  if acks == 'unable' and 0 < good then return nil, 0, good end
  -- A clock that was set back must not prolong the wait.
  past.alone = math.min(past.alone, now)
  local noticed = past.alone ~= since or past.most ~= most or past.joins ~= joins
  local need = math.max(tonumber(acks) or 0, good)
  if good < need then
    if noticed then history_write(key, past) end
    return nil, good, need
  end
  local wait = past.alone == 0 and 0 or past.alone + past.ttl - now
  if before ~= 0 and good == 0 and past.vouched then wait = math.max(wait, past.till - now) end
  if 0 < wait then
    if noticed then history_write(key, past) end
    return nil, good, math.max(1, past.most), wait
  end
  past.alone = 0
  if need == 0 and before ~= 0 then
    past.acked = 0
  elseif alike then
    past.acked = before == 0 and 0 or 2
  else
    past.acked = 0 < need and 1 or 0
  end
  local stale = 0 < past.acked and past.at + 10000 < now
  if stale then past.at = now end
  if stale or noticed or past.acked ~= before or past.alone ~= since then history_write(key, past) end
  return need
end

-- Says whether a grant is safe now, in `standing`:
--   'known'    with floor and need, how many replicas must acknowledge it first
--   'vouched'  as known, but only for what the record shows as never granted or given back; for the rest: wait, ms
--   'suspect'  wait, ms
--   'few'      good, need: too few replicas; wait, ms for which what the record shows as held stays so all the same
--   'absent'   token
-- and with 'vouched', 'suspect' and 'few' changed, where the server's identity was found changed just now.
-- mode: 'ask' (nothing is known of an absent past), 'first:<token>' (silence was heard since the token was given: this
-- is the first use) or 'voice' (somebody was heard: an absent past was lost). The token makes a late 'first' harmless:
-- it went with everything else if the store has forgotten its past since, and then nobody has listened yet.
-- acks: see history_acknowledgements.
local function history_admit(key, now, mode, ttl, skew, acks)
  local run, changed, past, garbled = run_id(), false, history_read(key)
  if not past then
    -- Somebody has written into it what is no history: what it said is lost for certain.
    if garbled or mode == 'voice' then
      history_doubt(key, nil, run, now, ttl, skew)
      return { standing = 'suspect', wait = ttl, changed = true }
    end
    local token = redis.call('HGET', key, 'discovery')
    if not token or string.sub(token, 1, #run + 1) ~= run .. '@' then
      token = run .. '@' .. digits(now)
      redis.call('HSET', key, 'discovery', token)
      return { standing = 'absent', token = token }
    end
    if mode ~= 'first:' .. token then return { standing = 'absent', token = token } end
    redis.call('HDEL', key, 'discovery')
    past = {
      run = run, till = 0, ttl = ttl, floor = 0, acked = 0, vouched = false, alone = 0, at = 0, most = 0, joins = 0,
    }
    history_write(key, past)
  elseif run ~= '?' and past.run ~= '?' and past.run ~= run then
    past, changed = history_doubt(key, past, run, now, ttl, skew, is_vouched(past, now)), true
  elseif past.till > now + past.ttl then
    -- A clock that was set back must not prolong the wait beyond one ttl.
    past.till = now + past.ttl
    history_write(key, past)
  end
  local wait = math.max(0, past.till - now)
  if 0 < wait and not past.vouched then return { standing = 'suspect', wait = wait, changed = changed } end
  local need, good, wanted, alone = history_acknowledgements(key, past, acks, now)
  -- A replica may be back at any moment, so this is asked again soon.
  if alone then return { standing = 'suspect', wait = math.min(alone, 1000), changed = changed } end
  if not need then return { standing = 'few', good = good, need = wanted, wait = wait, changed = changed } end
  if past.ttl < ttl or (past.run == '?' and run ~= '?') then
    past.ttl = math.max(past.ttl, ttl)
    if run ~= '?' then past.run = run end
    history_write(key, past)
  end
  if 0 < wait then return { standing = 'vouched', floor = 0, need = need, wait = wait, changed = changed } end
  return { standing = 'known', floor = past.floor, need = need }
end
