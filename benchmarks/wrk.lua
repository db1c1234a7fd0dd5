-- Load for POST /v1/events: wrk ... -s wrk.lua URL -- BATCH TOKEN
-- Ids are UUIDs of version 7, so unique and ordered by time; 80 routes and 100 consumers make 8,000 keys.
-- The events are what the Flask door sends at level "metadata".

local ffi = require("ffi")
ffi.cdef [[
  typedef struct { long seconds; long nanoseconds; } moment;
  int clock_gettime(int clock, moment *now);
]]

local threads = 0
local now = ffi.new("moment")
local EVENT = '{"id":"%s","time":"%s.%06dZ","method":"GET","path":"/v1/section-%02d/items/%d",'
  .. '"route":"/v1/section-%02d/items/{id}","url":"http://api.example.com/v1/section-%02d/items/%d","status_code":%d,'
  .. '"consumer":{"key":"customer-%03d"},"client":{"remote_address":"192.0.2.%d",'
  .. '"user_agent":"python-requests/2.32.3"},"request":{"elapsed_time":%.6f},'
  .. '"response":{"content_length":%d,"mimetype":"application/json"}}'

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(arguments)
  batch = tonumber(arguments[1])
  count = 0
  second, text = 0, ""
  math.randomseed(number + 1)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["Authorization"] = "Bearer " .. (arguments[2] or "none")
end

local function event(milliseconds, microseconds)
  count = count + 1
  local route, consumer, item = math.random(0, 79), math.random(0, 99), math.random(1, 99999)
  local id = string.format(
    "%08x-%04x-7%03x-%04x-%012x", math.floor(milliseconds / 65536), milliseconds % 65536,
    count % 4096, 0x8000 + number, count
  )
  local status = route % 16 == 0 and 404 or 200
  local elapsed = 0.002 / (0.02 + math.random())
  return string.format(
    EVENT, id, text, microseconds, route, item, route, route, item, status, consumer, consumer, elapsed,
    math.random(200, 4000)
  )
end

function request()
  ffi.C.clock_gettime(0, now)
  local seconds, microseconds = tonumber(now.seconds), math.floor(tonumber(now.nanoseconds) / 1000)
  if seconds ~= second then
    second, text = seconds, os.date("!%Y-%m-%dT%H:%M:%S", seconds)
  end
  local milliseconds = seconds * 1000 + math.floor(microseconds / 1000)
  local events = {}
  for index = 1, batch do
    events[index] = event(milliseconds, microseconds)
  end
  return wrk.format(nil, nil, nil, "[" .. table.concat(events, ",") .. "]")
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"seconds":%.6f,"refused":%d,"broken":%d,"median":%.3f,"p99":%.3f}\n',
    summary.requests, summary.duration / 1e6, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000
  ))
end
