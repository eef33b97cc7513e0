-- Builds the environment that scripts see out of the bare Lua state; returns it and the function that runs one.
local raw, bit, struct, redis_sha1hex, random, randomseed = ...

local native_pcall, native_xpcall, error, type, setmetatable = pcall, xpcall, error, type, setmetatable
local tostring, sub, rawget = tostring, string.sub, rawget

local function refuse_write()
  error('Attempt to modify a readonly table', 2)
end

local function readonly(members)
  return setmetatable({}, { __index = members, __newindex = refuse_write })
end

local function copy(source, but)
  local members = {}
  for name, value in pairs(source) do
    if not (but and but[name]) then members[name] = value end
  end
  return members
end

-- Redis raises the table of the error and lets pcall turn it into its text.
local function plain(ok, first, ...)
  if not ok and type(first) == 'table' and type(first.err) == 'string' then
    return false, first.err
  end
  return ok, first, ...
end

local function sandboxed_pcall(body, ...)
  return plain(native_pcall(body, ...))
end

local function sandboxed_xpcall(body, handler)
  return native_xpcall(body, handler)
end

local redis = {}

function redis.call(...)
  local reply, failed = raw(...)
  if failed then error(reply, 0) end
  return reply
end

function redis.pcall(...)
  return (raw(...))
end

function redis.error_reply(text)
  if type(text) ~= 'string' then
    return { err = 'ERR wrong number or type of arguments' }
  end
  if sub(text, 1, 1) == '-' then
    text = sub(text, 2)
  elseif not string.find(text, ' ', 1, true) then
    text = 'ERR ' .. text
  end
  return { err = text }
end

function redis.status_reply(text)
  if type(text) ~= 'string' then
    return { err = 'ERR wrong number or type of arguments' }
  end
  return { ok = text }
end

function redis.log() end

redis.sha1hex = redis_sha1hex
redis.LOG_DEBUG, redis.LOG_VERBOSE, redis.LOG_NOTICE, redis.LOG_WARNING = 0, 1, 2, 3

local numbers = copy(math)
numbers.random, numbers.randomseed = random, randomseed

local visible = {
  assert = assert, error = error, getmetatable = getmetatable, ipairs = ipairs, next = next, pairs = pairs,
  pcall = sandboxed_pcall, rawequal = rawequal, rawget = rawget, rawset = rawset, select = select,
  setmetatable = setmetatable, tonumber = tonumber, tostring = tostring, type = type, unpack = unpack,
  xpcall = sandboxed_xpcall, _VERSION = _VERSION,
  string = readonly(copy(string, { dump = true })), table = readonly(copy(table)), math = readonly(numbers),
  bit = readonly(bit), struct = readonly(struct), redis = readonly(redis),
}
setmetatable(visible, {
  __index = function(_, name)
    error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
  end,
})
local environment = readonly(visible)
visible._G = environment

local function run(script, keys, argv)
  visible.KEYS, visible.ARGV = keys, argv
  return native_pcall(script)
end

return environment, run
