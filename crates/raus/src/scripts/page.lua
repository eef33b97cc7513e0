-- Reads some of the records of a namespace, whatever the range of a client, for operators.
--
-- KEYS[1] hash of the namespace
-- ARGV[1] cursor: '0' at first, then the one that the last page named
-- ARGV[2] how many records; a page may have somewhat more, and up to 512 in a small namespace
-- ARGV[3] the operator's terms, see terms_parse in history.lua; they count if the namespace has no history
--
-- Reply   {'page', next cursor ('0' after the last page), server ms, limit, floor of the namespace, longest terms, layout,
--         slots on record in the whole namespace, slots, fields in which no record stands}
--         a slot is {number, fence, horizon, floor, till, label}; times, fences and horizons as strings; the limit is the
--         timestamp beyond which no floor and no horizon of a free slot lies, unless a clock was wrong
--         {'newer', version} | {'wrongtype', key, type}
--
-- Guarantees: nothing is written. A slot that is on record all the while is on one page at least.

local slots, terms = KEYS[1], terms_parse(ARGV[3])
local refused = wrong_type(slots)
if refused then return refused end
local past, newer = history_read(slots)
if type(newer) == 'number' then return { 'newer', newer } end

local now = server_now()
local longest = longest_in_use(past, now, terms)
local page = redis.call('HSCAN', slots, ARGV[1], 'COUNT', ARGV[2])
local found, garbled = {}, {}
for i = 1, #page[2], 2 do
  local field = page[2][i]
  if string.match(field, '^%d+$') then
    local record = record_parse(page[2][i + 1])
    if record then
      found[#found + 1] = {
        field, digits(record.fence), digits(record.horizon), digits(record.floor), digits(record.till), record.label,
      }
    else
      garbled[#garbled + 1] = field
    end
  end
end
return {
  'page', page[1], digits(now), digits(limit_of(past, longest, now)), digits(past and past.floor or 0), terms_text(longest),
  redis.call('HGET', slots, 'layout') or '', record_count(slots), found, garbled,
}
