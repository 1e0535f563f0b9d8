-- KEYS leases
-- ARGV[1] owner
-- Gives back the leases that are the owner's.
for _, lease in ipairs(KEYS) do
  if redis.pcall('GET', lease) == ARGV[1] then
    redis.call('DEL', lease)
  end
end
