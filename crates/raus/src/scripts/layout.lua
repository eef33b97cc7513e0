-- Puts the layout of a namespace's IDs on record, unless there is one.
--
-- KEYS[1] hash of the namespace
-- ARGV[1] layout
--
-- Reply   {'layout', the one on record} | {'newer', version} | {'wrongtype', key, type}
--
-- Guarantees: a layout on record is never changed. Two layouts in one namespace would mint equal IDs.

local refused = wrong_type(KEYS[1])
if refused then return refused end
local _, newer = history_read(KEYS[1])
if type(newer) == 'number' then return { 'newer', newer } end
redis.call('HSETNX', KEYS[1], 'layout', ARGV[1])
return { 'layout', redis.call('HGET', KEYS[1], 'layout') }
