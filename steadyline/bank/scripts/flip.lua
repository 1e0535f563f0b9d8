-- KEYS[1] pointer to the current version
-- KEYS[2] entries as they were written
-- KEYS[3] entries of the new version      KEYS[4] manifest of the new version
-- KEYS[5] entries of the old version      KEYS[6] manifest of the old version; those of the new one when the
--         pointer names no other version
-- ARGV[1] version that the pointer is expected to name, '' for none   ARGV[2] new version
-- ARGV[3] manifest as JSON                ARGV[4] seconds that the old version lives on
-- Puts a finished bank in its place and moves the pointer, or changes nothing: 1 when moved, 0 when another
-- writer was faster. The SET comes first, because it alone can fail for want of memory.
local found = redis.pcall('GET', KEYS[1])
if type(found) == 'table' then
  found = '' -- a value of another type, which the SET below replaces
end
if (found or '') ~= ARGV[1] then
  return 0
end
if redis.call('EXISTS', KEYS[2]) == 0 then
  return redis.error_reply('the written entries are gone')
end
redis.call('SET', KEYS[4], ARGV[3])
redis.call('RENAME', KEYS[2], KEYS[3])
redis.call('PERSIST', KEYS[3])
redis.call('SET', KEYS[1], ARGV[2])
if KEYS[5] ~= KEYS[3] then
  redis.call('EXPIRE', KEYS[5], ARGV[4])
  redis.call('EXPIRE', KEYS[6], ARGV[4])
end
return 1
