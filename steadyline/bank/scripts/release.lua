-- KEYS[1] lease on one product
-- ARGV[1] owner
-- Gives a lease back, if it is the owner's.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
