-- Sends ready-made requests in turn: the file holds, for each, its length in digits, a newline, and its bytes.
-- Prints one line of JSON at the end: times in microseconds.
local requests, turn = {}, 0

function init(args)
  local file = assert(io.open(args[1], "rb"))
  while true do
    local length = file:read("*l")
    if not length then break end
    requests[#requests + 1] = file:read(tonumber(length))
  end
  file:close()
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency, _)
  local wrong = summary.errors
  io.write(string.format(
    '\n{"microseconds": %d, "requests": %d, "p50_us": %d, "p99_us": %d, "longest_us": %d, ' ..
    '"refused": %d, "failed_reads": %d, "failed_writes": %d, "not_2xx": %d, "timeouts": %d}\n',
    summary.duration, summary.requests, latency:percentile(50), latency:percentile(99), latency.max,
    wrong.connect, wrong.read, wrong.write, wrong.status, wrong.timeout))
end
