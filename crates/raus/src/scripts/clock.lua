-- Tells the server's time, and so measures a round trip.
--
-- KEYS[1] hash of the namespace, for nothing but the way to its server in a cluster
-- ARGV    none
--
-- Reply   {'clock', server µs since the Unix epoch as a string}
--
-- Guarantees: no key is read or written.

local _, now_us = server_now()
return { 'clock', digits(now_us) }
