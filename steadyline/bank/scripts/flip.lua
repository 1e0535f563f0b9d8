-- KEYS[1] pointer to the current version   KEYS[2] entries of the new version   KEYS[3] manifest of the new version
-- ARGV[1] new version   ARGV[2] seconds that the old version lives on   ARGV[3] key prefix of the product
-- Moves the pointer once the new version is whole; readers of the old one get time to finish.
if redis.call('EXISTS', KEYS[3]) == 0 then
  return redis.error_reply('the new version is not there')
end
redis.call('PERSIST', KEYS[2])
redis.call('PERSIST', KEYS[3])
local old = redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1])
if old and old ~= ARGV[1] then
  redis.call('EXPIRE', ARGV[3] .. ':v' .. old, ARGV[2])
  redis.call('EXPIRE', ARGV[3] .. ':v' .. old .. ':manifest', ARGV[2])
end
return old
