-- Keeps a record in place of another, if that is there still.
--
-- KEYS[1]  where
-- ARGV[1]  the record that is to be there
-- ARGV[2]  the one to keep
-- ARGV[3]  for how long, in milliseconds
--
-- Answers OK, or nothing.

if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return false
