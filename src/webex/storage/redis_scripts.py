"""The atomic steps of `RedisStorage`, each a Lua script whose keys are all in one slot.

A value is kept as one string: 16 characters of version, then JSON. The index of a namespace is a sorted set whose
members all have the score 0, so that it is in the order of bytes; the expiries of the same members are the scores of a
second one, in milliseconds of the server's clock.
"""

from __future__ import annotations

import hashlib
from typing import Final

__all__ = ["CLEAR", "DELETE", "LEASE", "LIST", "PUT", "RELEASE", "RENEW", "REPAIR", "VERSION_SIZE", "Script"]

VERSION_SIZE: Final = 16


class Script:
    """A script and the digest by which the server remembers it."""

    def __init__(self, text: str) -> None:
        self.text: str = text.strip()
        self.sha: str = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


_NOW = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
"""

# Members whose value expired a second ago: written together with the value, so its expiry and this one are the same.
_PRUNE = """
local gone = redis.call('ZRANGEBYSCORE', expiries, '-inf', now - 1000, 'LIMIT', 0, 100)
if #gone > 0 then
  redis.call('ZREM', index, unpack(gone))
  redis.call('ZREM', expiries, unpack(gone))
end
"""

# KEYS: value, index, expiries, namespaces. ARGV: key, namespace, data, milliseconds or '', expected version ('*': any,
# '': no value). A repetition of the same write, whose first answer was lost, finds its own version and has won.
PUT: Final = Script(
    """
local index, expiries = KEYS[2], KEYS[3]
if ARGV[5] ~= '*' then
  local present = redis.call('GETRANGE', KEYS[1], 0, 15)
  if present ~= ARGV[5] then
    return present == string.sub(ARGV[3], 1, 16) and 1 or 0
  end
end
redis.call('SET', KEYS[1], ARGV[3])
if ARGV[4] == '' then
  redis.call('ZREM', expiries, ARGV[1])
else"""
    + _NOW
    + """
  local expiry = string.format('%.0f', now + tonumber(ARGV[4]))
  redis.call('PEXPIREAT', KEYS[1], expiry)
  redis.call('ZADD', expiries, expiry, ARGV[1])"""
    + _PRUNE
    + """
end
redis.call('ZADD', index, 0, ARGV[1])
redis.call('SADD', KEYS[4], ARGV[2])
return 1
"""
)

# KEYS as in PUT. ARGV: key, namespace, expected version or '*'.
DELETE: Final = Script(
    """
if ARGV[3] ~= '*' and redis.call('GETRANGE', KEYS[1], 0, 15) ~= ARGV[3] then
  return 0
end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('SREM', KEYS[4], ARGV[2])
end
return 1
"""
)

# KEYS: index, expiries, namespaces. ARGV: namespace, from, to, how many. Gives how many members were looked at, the
# last of them, and those that are alive.
LIST: Final = Script(
    """
local index, expiries = KEYS[1], KEYS[2]
local members = redis.call('ZRANGEBYLEX', index, ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[4])
if redis.call('EXISTS', expiries) == 0 then
  return {#members, members[#members] or '', members}
end"""
    + _NOW
    + """
local alive = {}
for _, member in ipairs(members) do
  local expiry = redis.call('ZSCORE', expiries, member)
  if not expiry or tonumber(expiry) > now then
    alive[#alive + 1] = member
  end
end"""
    + _PRUNE
    + """
if redis.call('EXISTS', index) == 0 then
  redis.call('SREM', KEYS[3], ARGV[1])
end
return {#members, members[#members] or '', alive}
"""
)

# KEYS: index, expiries, namespaces, then values. ARGV: namespace, then the keys of these values.
CLEAR: Final = Script(
    """
for position = 4, #KEYS do
  local key = ARGV[position - 2]
  redis.call('DEL', KEYS[position])
  redis.call('ZREM', KEYS[1], key)
  redis.call('ZREM', KEYS[2], key)
end
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('SREM', KEYS[3], ARGV[1])
end
return 1
"""
)

# KEYS and ARGV as in PUT, of which only key and namespace: puts a value back into the index, or takes a key out of it
# that has no value. Gives 1 when something was to be repaired.
REPAIR: Final = Script(
    """
local left = redis.call('PTTL', KEYS[1])
if left == -2 then
  redis.call('ZREM', KEYS[3], ARGV[1])
  return redis.call('ZREM', KEYS[2], ARGV[1])
end
local known = redis.call('ZSCORE', KEYS[3], ARGV[1])
local added = redis.call('ZADD', KEYS[2], 0, ARGV[1])
redis.call('SADD', KEYS[4], ARGV[2])
if left == -1 then
  return math.max(added, redis.call('ZREM', KEYS[3], ARGV[1]))
elseif known then
  return added
end"""
    + _NOW
    + """
redis.call('ZADD', KEYS[3], string.format('%.0f', now + left), ARGV[1])
return 1
"""
)

# KEYS: lease. ARGV: token, milliseconds. A repetition, whose first answer was lost, finds its own token.
LEASE: Final = Script(
    """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
)

RENEW: Final = Script(
    """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
)

RELEASE: Final = Script(
    """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])
"""
)
