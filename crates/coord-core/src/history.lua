-- Shared by every script that grants or renews. A store can grant safely only if it can vouch for its own past. Each
-- namespace or group has one record of it:
--
--   "<version> <identity> <until> <floor> <seen> <since> <ttl> <bound> <skew> <ttl> <bound> <skew>"
--
--   version   of everything that lies in the namespace or group; a client refuses one that is newer than its own
--   identity  the server that wrote last, "<run_id>:<replication id>", or '?' if INFO is forbidden
--   until     server ms until which nothing new is granted (quarantine); 0 if that is over
--   floor     timestamp, ms, below which forgotten holders may have minted
--   seen      server ms at which a grant or a renewal last looked at this record
--   since     server ms at which the current window began
--   ttl, bound, skew   the longest of each that a client used, ms: in the current window, then in the one before it
--
-- Known: the same server, and no holder misses anything. Grants at once.
-- Quarantine: another server writes, or a renewal misses what was acknowledged. Nothing new is granted for the longest ttl,
-- which outlives every forgotten lease, plus the longest failover bound: for so long a master that was replaced may go on
-- renewing leases that this server never hears of. Holders renew, and put back what was lost.
-- Absent: no record. A client listens for living holders before it takes that for the first use.
-- Quiet: nobody was seen for the longest ttl, nor was there a quarantine. The record may be an old copy, so a client listens as well.
--
-- A window is as long as the longest ttl in use. A ttl that is in use is renewed several times in each window, and a
-- holder that fell silent is gone before the next window ends. So two windows know every ttl that matters, and one that
-- nobody uses any more is forgotten.

local HISTORY_VERSION = 1
-- How often renewals compare the server's identity, ms.
local LOOK_EVERY = 1000
-- How many of the longest ttls a window lasts. A protocol in which some renewals do not count the client's terms sets it
-- higher: a ttl is remembered for a window after it was counted last, and a lease runs a ttl from its last renewal.
local WINDOW = 1
-- The largest number that is written exactly and has a next one, and the longest terms, ms. What exceeds them is not ours.
local LARGEST, LONGEST = 9007199254740990, 3600000

local function server_now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000), time[1] * 1000000 + time[2]
end

local function digits(number)
  return string.format('%.0f', number)
end

-- What a client says of itself: "<ttl> <bound> <skew> <ttl> <bound> <skew> <flags>", its own terms, then the longest ones of
-- the namespace as last told to it, by which a store that forgot them learns them again; all ms. Flags: 'e' an absent
-- record always means loss, 'u' a server that does not tell its identity is used all the same, '-' neither.
local function terms_parse(text)
  local ttl, bound, skew, known_ttl, known_bound, known_skew, flags =
    string.match(text, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%S+)$')
  return {
    ttl = tonumber(ttl), bound = tonumber(bound), skew = tonumber(skew),
    known = { ttl = tonumber(known_ttl), bound = tonumber(known_bound), skew = tonumber(known_skew) },
    expects = string.find(flags, 'e', 1, true) ~= nil, unverified = string.find(flags, 'u', 1, true) ~= nil,
  }
end

local function longer(one, other)
  return {
    ttl = math.max(one.ttl, other.ttl), bound = math.max(one.bound, other.bound), skew = math.max(one.skew, other.skew),
  }
end

local function terms_text(terms)
  return digits(terms.ttl) .. ' ' .. digits(terms.bound) .. ' ' .. digits(terms.skew)
end

-- The server ------------------------------------------------------------------------------------------------------

-- What one section of INFO says, asked once in a script; '' if it is forbidden.
local infos = {}
local function info_of(section)
  if not infos[section] then
    local info = redis.pcall('INFO', section)
    infos[section] = type(info) == 'string' and info or ''
  end
  return infos[section]
end

-- The identity of this server, '?' if INFO is forbidden or does not tell it.
local function run_id()
  local run = string.match(info_of('server'), 'run_id:(%w+)')
  local replication = string.match(info_of('replication'), 'master_replid:(%w+)')
  return run and replication and run .. ':' .. replication or '?'
end

-- Whether the server `run` has been a master with all its data since it was `before`. A process that begins or ends a
-- backlog (a first replica, a backup, an hour without replicas) takes a new replication id and has no second one. One
-- that was a replica meanwhile has a second one: that of the master it followed.
local function is_same_server(before, run)
  if before == run or before == '?' or run == '?' then return true end
  if string.match(before, '^%w+') ~= string.match(run, '^%w+') then return false end
  return string.match(info_of('replication'), 'master_replid2:0+[\r\n]') ~= nil
end

-- The record ------------------------------------------------------------------------------------------------------

-- What the text says; nil if it is none of ours, and then its version if that is newer than this script's.
local function history_parse(text)
  local version = tonumber(string.match(text, '^(%d+) ') or nil)
  if version and HISTORY_VERSION < version then return nil, version end
  if version ~= HISTORY_VERSION then return nil end
  local run, till, floor, seen, since, ttl, bound, skew, old_ttl, old_bound, old_skew = string.match(
    text, '^%d+ (%S+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
  if not run then return nil end
  local past = {
    run = run, till = tonumber(till), floor = tonumber(floor), seen = tonumber(seen), since = tonumber(since),
    used = { ttl = tonumber(ttl), bound = tonumber(bound), skew = tonumber(skew) },
    before = { ttl = tonumber(old_ttl), bound = tonumber(old_bound), skew = tonumber(old_skew) },
  }
  past.longest = longer(past.used, past.before)
  local longest = math.max(past.longest.ttl, past.longest.bound, past.longest.skew)
  if LONGEST < longest or LARGEST < math.max(past.till, past.floor, past.seen, past.since) then return nil end
  return past
end

-- The record in the field that holds `text`. nil if there is none; then true if something else stands in its place, or the
-- version of a newer record.
local function history_of(text)
  if not text then return nil, false end
  local past, newer = history_parse(text)
  return past, not past and (newer or true)
end

local function history_read(key)
  return history_of(redis.call('HGET', key, 'history'))
end

local function history_write(key, past)
  redis.call('HSET', key, 'history', table.concat({
    digits(HISTORY_VERSION), past.run, digits(past.till), digits(past.floor), digits(past.seen), digits(past.since),
    terms_text(past.used), terms_text(past.before),
  }, ' '))
end

-- A record whose past is known from now on.
local function history_new(run, now, terms)
  return {
    run = run, till = 0, floor = 0, seen = now, since = now,
    used = longer(terms, terms), before = longer(terms.known, terms.known), longest = longer(terms, terms.known),
  }
end

-- How long a quarantine lasts, ms.
local function quarantine_of(past)
  return past.longest.ttl + past.longest.bound
end

-- Counts the client's terms as used in this window. Whether that changed anything. While a quarantine is under way no window
-- ends, what the client knows counts as used in the window before, and terms that are longer than any so far prolong it.
local function history_use(past, now, terms)
  local changed, under_way, length = false, now < past.till, quarantine_of(past)
  -- The clock was set back. That prolongs no quarantine, and ends no window: its ttls are in use.
  if now + length < past.till then past.till, changed = now + length, true end
  if now < past.since then past.since, changed = now, true end
  if not under_way and past.since + WINDOW * past.longest.ttl < now then
    past.before, past.used, past.since, changed = past.used, longer(terms, terms), now, true
  end
  local used, before = longer(past.used, terms), under_way and longer(past.before, terms.known) or past.before
  if terms_text(used) ~= terms_text(past.used) or terms_text(before) ~= terms_text(past.before) then
    past.used, past.before, changed = used, before, true
  end
  past.longest = longer(past.used, past.before)
  if under_way and changed then
    past.till = past.till + quarantine_of(past) - length
    past.floor = math.max(past.floor, past.till + past.longest.skew)
  end
  return changed
end

-- For how many ms nothing new is granted. A clock that was set back does not prolong a quarantine.
local function quarantine_left(past, now)
  return math.max(0, math.min(past.till - now, quarantine_of(past)))
end

-- How the past stands, for onlookers: 'absent', 'known' or 'quarantine', and for how many ms.
local function history_standing(past, run, now)
  if not past then return 'absent', 0 end
  if not is_same_server(past.run, run) then return 'quarantine', quarantine_of(past) end
  local left = quarantine_left(past, now)
  return 0 < left and 'quarantine' or 'known', left
end

-- Begins a quarantine now. What is granted after it begins above everything that a forgotten holder may still mint: one
-- that a replaced master served to the very end of the failover bound has reserved a ttl from there, by a clock that was
-- ahead by the skew.
local function history_doubt(key, past, run, now, terms)
  past = past or history_new(run, now, terms)
  past.before, past.used, past.since = longer(past.longest, terms.known), longer(terms, terms), now
  past.longest = longer(past.used, past.before)
  if run ~= '?' then past.run = run end
  past.till, past.seen = now + quarantine_of(past), now
  past.floor = math.max(past.floor, past.till + past.longest.skew)
  history_write(key, past)
  -- What was not heard before the loss says nothing of the time after it.
  redis.call('HDEL', key, 'discovery')
  return past
end

-- A holder misses what this store acknowledged to it at `acknowledged`, server ms. A loss from before a quarantine that is
-- under way is what that quarantine is for; a later one begins another.
local function history_rewound(key, past, now, terms, acknowledged)
  local began = past and past.till - quarantine_of(past)
  if not past or not is_same_server(past.run, run_id()) or quarantine_left(past, now) == 0 or began <= acknowledged then
    return history_doubt(key, past, run_id(), now, terms)
  end
  if history_use(past, now, terms) then history_write(key, past) end
  return past
end

-- Called with every renewal whose holder misses nothing. Looks about once a second whether this is still the same server,
-- so that a quarantine begins before anybody asks for a grant. Returns the past, and whether a quarantine began.
local function history_watch(key, past, now, terms)
  local looks = past == nil or now < past.seen or past.seen + LOOK_EVERY <= now
  -- A namespace with a holder has a record, so one that is missing was lost.
  if looks and not (past and is_same_server(past.run, run_id())) then
    return history_doubt(key, past, run_id(), now, terms), true
  end
  local changed = history_use(past, now, terms)
  if looks then
    if run_id() ~= '?' then past.run = run_id() end
    past.seen, changed = now, true
  end
  if changed then history_write(key, past) end
  return past, false
end

-- The token of a past that is absent or quiet: what a client heard counts only for the silence that it asked about.
local function discovery_token(key, run, now, past)
  local stem = run .. '@' .. (past and digits(past.seen) or '-') .. '@'
  local token = redis.call('HGET', key, 'discovery')
  if not token or string.sub(token, 1, #stem) ~= stem then
    token = stem .. digits(now)
    redis.call('HSET', key, 'discovery', token)
  end
  return token
end

-- Says whether a grant is safe now, in `standing`:
--   'known'       past; whoever may be forgotten is gone
--   'quarantine'  wait, ms; changed, if it began just now
--   'absent'      token: no record; 'quiet', token: nobody was seen for the longest ttl
--   'unverified'  the server does not tell its identity, and the client insists on that
--   'newer'       version: a newer client has written here
-- mode: 'ask' (the client knows nothing of an absent or quiet past), 'first:<token>' (it listened since it was given the
-- token, and heard nobody), 'voice' (it heard somebody, or held something here: what is absent was lost), 'group' (nobody
-- has to listen). past, other: as history_read() has them. The token makes a late 'first' harmless: it is gone if the store
-- has forgotten its past since.
local function history_admit(key, now, mode, terms, past, other)
  local run = run_id()
  if type(other) == 'number' then return { standing = 'newer', version = other } end
  if run == '?' and not terms.unverified then return { standing = 'unverified' } end
  local quiet = past and mode ~= 'group' and math.max(past.seen, past.till) + past.longest.ttl < now
  if not past or quiet then
    -- What stands in the place of a record did not come from us: the record was lost for certain.
    local lost = other or mode == 'voice' or (not past and terms.expects)
    if lost then
      past = history_doubt(key, past, run, now, terms)
      return { standing = 'quarantine', wait = quarantine_of(past), changed = true }
    end
    local token = discovery_token(key, run, now, past)
    if mode ~= 'first:' .. token then return { standing = quiet and 'quiet' or 'absent', token = token } end
    redis.call('HDEL', key, 'discovery')
    if not past then
      past = history_new(run, now, terms)
      history_write(key, past)
    end
  end
  if not is_same_server(past.run, run) then
    past = history_doubt(key, past, run, now, terms)
    return { standing = 'quarantine', wait = quarantine_of(past), changed = true }
  end
  local changed = history_use(past, now, terms)
  local wait = quarantine_left(past, now)
  if past.till ~= 0 and wait == 0 then past.till, changed = 0, true end
  if run ~= '?' and past.run ~= run then past.run, changed = run, true end
  if now < past.seen or past.seen + LOOK_EVERY <= now then past.seen, changed = now, true end
  if changed then history_write(key, past) end
  if 0 < wait then return { standing = 'quarantine', wait = wait, changed = false } end
  return { standing = 'known', past = past }
end
