-- Declares the first use of a namespace, for operators.
--
-- KEYS[1] hash of the namespace
-- ARGV[1] the operator's terms, see terms_parse in history.lua
-- ARGV[2] what is known of an absent past: 'ask' or 'first:<token>' if nobody was heard since, 'voice' if somebody was
--
-- Reply   {'created'} | {'exists', standing, ms}: there is a history already, see inspect.lua for the standing
--         {'absent', token}: listen first | {'lost', ms}: there was a use before, so a quarantine of so many ms has begun
--         {'unverified'} | {'newer', version} | {'wrongtype', key, type}
--
-- Guarantees: a history on record is not changed. If slots are on record, or somebody was heard, this is not the first use:
-- the history was lost, and a quarantine begins.

local slots, terms, mode = KEYS[1], terms_parse(ARGV[1]), ARGV[2]
local refused = wrong_type(slots)
if refused then return refused end

local now = server_now()
local past, other = history_read(slots)
if past then
  local standing, left = history_standing(past, run_id(), now)
  return { 'exists', standing, left }
end
if 0 < record_count(slots) then mode = 'voice' end
local found = history_admit(slots, now, mode, terms, past, other)
if found.standing == 'known' then return { 'created' } end
if found.standing == 'quarantine' then return { 'lost', found.wait } end
return { found.standing, found.token or found.version }
