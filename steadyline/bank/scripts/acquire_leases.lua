-- KEYS by product: lease on it, fencing token of its last holder
-- ARGV[1] owner   ARGV[2] milliseconds   ARGV[2 + n] a token that the owner's of product n must be greater than
-- Takes free leases and renews one's own; by product the owner's fencing token when it has the lease, otherwise 0.
-- A value under a lease that is no owner's name is another's lease; every lease expires, also one that was written
-- without an end. A value under a fencing token that is none is lost.
local largest = 9007199254740991

local function acquire(lease, counter, above)
  local owner = redis.pcall('GET', lease)
  if owner and owner ~= ARGV[1] then
    if redis.call('PTTL', lease) < 0 then
      redis.call('PEXPIRE', lease, ARGV[2])
    end
    return 0
  end
  local token = tonumber(redis.pcall('GET', counter))
  if not token or token ~= math.floor(token) or token < 0 or token > largest then
    token = 0
  end
  if not owner or token <= above then
    token = math.min(math.max(token, above) + 1, largest)
    redis.call('SET', counter, string.format('%.0f', token))
  end
  redis.call('SET', lease, ARGV[1], 'PX', ARGV[2])
  return token
end

local tokens = {}
for number = 1, #KEYS / 2 do
  tokens[number] = acquire(KEYS[2 * number - 1], KEYS[2 * number], tonumber(ARGV[2 + number]))
end
return tokens
