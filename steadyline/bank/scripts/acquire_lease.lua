-- KEYS[1] lease on one product
-- ARGV[1] owner   ARGV[2] milliseconds
-- Takes a free lease or renews one's own; 1 when the owner has it.
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
