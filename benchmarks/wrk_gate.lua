-- Load for POST /v1/gate/check: wrk ... -s wrk_gate.lua URL -- KEYS
-- The keys are those that benchmarks/gate.py registers: gate-benchmark-key-0001 and so on.

local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(arguments)
  local keys = tonumber(arguments[1])
  math.randomseed(number + 1)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  requests = {}
  for index = 1, keys do
    local body = string.format('{"key":"gate-benchmark-key-%04d","api":"orders","endpoint":"/orders/{id}"}', index)
    requests[index] = wrk.format(nil, nil, nil, body)
  end
end

function request()
  return requests[math.random(1, #requests)]
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
