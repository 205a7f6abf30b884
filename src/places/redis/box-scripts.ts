// What is done to a mailbox in a Redis database, in the server's own scripts: each is one step that nobody sees half done. KEYS[1] is the
// mailbox, ARGV[1] its generation; the other keys begin with the mailbox's. Layout: docs/internals/redis-mailbox.md.

import { type Script, script } from './script.ts';

/** Messages that one run of a script moves at most, where there may be any number. */
export const CHUNK = 1_000;

/** Consumers of the group that are no seats: what went back and is free, and what has to wait for its time. */
const FREE = '~';
const LATE = '@';

/** What every script about a mailbox begins with. */
export const HEAD: string = `
local call, box = redis.call, KEYS[1]
if call('HGET', box, 'generation') ~= ARGV[1] then return redis.error_reply('NARUGONE the mailbox was removed') end
local base = box .. ':' .. ARGV[1]
local stream = base .. ':s'
`;

/** Wakes those who said that they sleep. */
export const WAKE: string = `
local function wake(role)
  if call('DEL', base .. ':w' .. role) == 1 then call('PUBLISH', box .. ':n', role) end
end
`;

const NOW = `
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`;

/** Tells everybody that something went back: it comes before what is new, and who reads only that must know. */
export const BACK: string = `
local function back()
  call('DEL', base .. ':wc')
  call('PUBLISH', box .. ':n', 'b')
end
`;

/** Frees messages, whoever has them, without changing how often they count as delivered. */
export const MOVE: string = `
local function free(ids)
  for from = 1, #ids, ${CHUNK} do
    local some = { unpack(ids, from, math.min(#ids, from + ${CHUNK - 1})) }
    some[#some + 1] = 'JUSTID'
    call('XCLAIM', stream, 'g', '${FREE}', 0, unpack(some))
  end
end
local function holds(seat, id)
  return call('XPENDING', stream, 'g', id, id, 1, seat)[1]
end
`;

/** Frees what leases and delays have kept until now. */
const TEND_KEPT = `
local function tend()
  local moved = 0
  for _, kept in ipairs({ base .. ':l', base .. ':d' }) do
    local due = call('ZRANGEBYSCORE', kept, '-inf', now, 'LIMIT', 0, ${CHUNK})
    if #due > 0 then
      free(due)
      call('ZREM', kept, unpack(due))
      moved = moved + #due
    end
  end
  return moved
end
`;

/** Milliseconds until a lease or a delay is over (-1: there is none), 1 where others than a seat have messages. */
const OUTLOOK = `
local function outlook(seat)
  local due = -1
  for _, kept in ipairs({ base .. ':l', base .. ':d' }) do
    local first = call('ZRANGE', kept, 0, 0, 'WITHSCORES')[2]
    if first then
      local left = math.max(0, math.ceil(first - now))
      if due < 0 or left < due then due = left end
    end
  end
  for _, one in ipairs(call('XPENDING', stream, 'g')[4] or {}) do
    if one[1] ~= seat and one[1] ~= '${FREE}' and one[1] ~= '${LATE}' then return due, 1 end
  end
  return due, 0
end
`;

/** Removes messages that are there, whoever has them. */
const REMOVE_ONE = `
local function remove(id, size)
  call('XACK', stream, 'g', id)
  call('XDEL', stream, id)
  call('HINCRBY', box, 'bytes', -size)
end
`;

/**
 * Stores messages. ARGV: capacity in messages and bytes (-1: none), 1 to throw out the oldest, times of single messages as JSON
 * ({"2":[ttl,delay]}, milliseconds, -1: none), their lengths as JSON, all their bytes. @returns how many, how many older ones were thrown out
 */
export const PUT: Script = script(`${HEAD}${WAKE}${NOW}${REMOVE_ONE}
local maxCount, maxBytes = tonumber(ARGV[2]), tonumber(ARGV[3])
local times = ARGV[5] ~= '' and cjson.decode(ARGV[5])
local count, bytes = call('XLEN', stream), tonumber(call('HGET', box, 'bytes'))
local dropped = 0
local function counted(message)
  if maxBytes >= 0 and #message > maxBytes then return maxBytes end
  return #message
end
local function dropOldest()
  local back = call('XPENDING', stream, 'g', '-', '+', 1, '${FREE}')[1]
  local found = back and call('XRANGE', stream, back[1], back[1])[1]
  if not found then
    local fresh = call('XREADGROUP', 'GROUP', 'g', '${FREE}', 'COUNT', 1, 'STREAMS', stream, '>')
    found = fresh and fresh[1][2][1]
  end
  if not found then return false end
  local size = counted(found[2][2])
  remove(found[1], size)
  count, bytes, dropped = count - 1, bytes - size, dropped + 1
  return true
end
local function fits(size)
  return (maxCount < 0 or count < maxCount) and (maxBytes < 0 or bytes + size <= maxBytes)
end
-- From 7.0 on the server counts by itself, which is quicker.
local isCounting = redis.REDIS_VERSION ~= nil
local last = isCounting or tonumber(call('HGET', box, 'last'))
local placed, added = 0, 0
local at, all, sub, format = 1, ARGV[7], string.sub, string.format
local function nextId()
  placed = placed + 1
  return isCounting and '0-*' or format('0-%.0f', last + placed)
end
local function store(message, id, mine)
  if not mine then call('XADD', stream, id, 'm', message)
  elseif mine[2] >= 0 then
    call('XADD', stream, id, 'm', message, 'x', mine[1] < 0 and 0 or now + mine[1], 'd', now + mine[2])
  else call('XADD', stream, id, 'm', message, 'x', now + mine[1]) end
end
local isPlain = maxCount < 0 and maxBytes < 0 and not times
for _, length in ipairs(cjson.decode(ARGV[6])) do
  local message = sub(all, at, at + length - 1)
  at = at + length
  if isPlain then
    call('XADD', stream, nextId(), 'm', message)
  else
    local size = counted(message)
    while not fits(size) and ARGV[4] == '1' and dropOldest() do end
    if ARGV[4] ~= '1' and not fits(size) then break end
    added, count, bytes = added + size, count + 1, bytes + size
    local id = nextId()
    store(message, id, times and times[tostring(placed)])
  end
end
if placed > 0 then
  if not isCounting then call('HSET', box, 'last', format('%.0f', last + placed)) end
  call('HINCRBY', box, 'bytes', added)
  wake('c')
end
return { placed, dropped }`);

/**
 * Takes messages: first those that went back, then new ones. ARGV: seat, most, lease in milliseconds or 0, capacity in bytes or -1, 1 to sleep
 * when there is none.
 * @returns how many had expired, 1 when it stopped before it had seen all; when it sleeps milliseconds until something changes by itself
 *   (-1: nothing does; -2: it does not sleep) and 1 where others have messages; 1 when more may have gone back than it took; for each message
 *   its number, its deliveries, its bytes
 */
export const TAKE: Script = script(`${HEAD}${WAKE}${NOW}${MOVE}${TEND_KEPT}${OUTLOOK}${REMOVE_ONE}
local seat, most, lease, maxBytes = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local out, taken, aside = { 0, 0, -2, 0, 0 }, 0, 0
local function counted(message)
  if maxBytes >= 0 and #message > maxBytes then return maxBytes end
  return #message
end
local function give(id, deliveries, fields)
  if fields[4] and tonumber(fields[4]) > 0 and tonumber(fields[4]) <= now then
    remove(id, counted(fields[2]))
    out[1], aside = out[1] + 1, aside + 1
  elseif deliveries == 1 and fields[6] and tonumber(fields[6]) > now then
    call('XCLAIM', stream, 'g', '${LATE}', 0, id, 'RETRYCOUNT', 0, 'JUSTID')
    call('ZADD', base .. ':d', fields[6], id)
    aside = aside + 1
  else
    taken = taken + 1
    local at = #out
    out[at + 1], out[at + 2], out[at + 3] = tonumber(string.sub(id, 3)), deliveries, fields[2]
    if lease > 0 then call('ZADD', base .. ':l', now + lease, id) end
  end
end
local function takeBack()
  local back = call('XPENDING', stream, 'g', '-', '+', math.min(most, ${CHUNK}), '${FREE}')
  if #back == 0 then return end
  if #back >= math.min(most, ${CHUNK}) then out[5] = 1 end
  local ids, deliveries = {}, {}
  for at, one in ipairs(back) do
    ids[at] = one[1]
    deliveries[one[1]] = one[4] + 1
  end
  for _, one in ipairs(call('XCLAIM', stream, 'g', seat, 0, unpack(ids))) do
    if one then give(one[1], deliveries[one[1]], one[2]) end
  end
end
takeBack()
while taken < most do
  local fresh = call('XREADGROUP', 'GROUP', 'g', seat, 'COUNT', most - taken, 'STREAMS', stream, '>')
  if not fresh then break end
  for _, one in ipairs(fresh[1][2]) do give(one[1], 1, one[2]) end
  if aside >= ${CHUNK} then
    out[2] = 1
    break
  end
end
if taken == 0 and out[2] == 0 and ARGV[6] == '1' then
  if tend() > 0 then takeBack() end
  if taken == 0 then
    call('SET', base .. ':wc', '1')
    out[3], out[4] = outlook(seat)
  end
end
if out[1] > 0 then wake('p') end
return out`);

/**
 * Looks at new messages that have times and were read without this script. ARGV: for each its id, when it expires (0: never), when it is due
 * (0: at once), its size. @returns how many had expired, and the numbers of those that may be given out
 */
export const SIFT: Script = script(`${HEAD}${NOW}${REMOVE_ONE}
local out, expired = { 0 }, 0
for at = 2, #ARGV, 4 do
  local id, expires, due = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  if expires > 0 and expires <= now then
    remove(id, ARGV[at + 3])
    expired = expired + 1
  elseif due > now then
    call('XCLAIM', stream, 'g', '${LATE}', 0, id, 'RETRYCOUNT', 0, 'JUSTID')
    call('ZADD', base .. ':d', due, id)
  else out[#out + 1] = tonumber(string.sub(id, 3)) end
end
out[1] = expired
return out`);

/**
 * Removes what a seat is done with. ARGV: seat, 1 where it may have lost some of it to others, capacity in bytes or -1, 1 where there are
 * leases, the sum of their sizes as a negative number, the number after the last where they are consecutive and in order, ids.
 */
export const ACK: Script = script(`${HEAD}${WAKE}${REMOVE_ONE}
local maxBytes = tonumber(ARGV[4])
if ARGV[3] == '1' then
  for at = 8, #ARGV do
    local id = ARGV[at]
    if call('XPENDING', stream, 'g', id, id, 1, ARGV[2])[1] then
      local found = call('XRANGE', stream, id, id)[1]
      local size = found and #found[2][2] or 0
      if maxBytes >= 0 and size > maxBytes then size = maxBytes end
      remove(id, size)
      call('ZREM', base .. ':l', id)
    end
  end
else
  local ids = { unpack(ARGV, 8) }
  -- What nobody has is younger: if nobody has older ones either, they are the stream's beginning, and cutting that off costs a tenth.
  local oldest = ARGV[7] ~= '' and call('XPENDING', stream, 'g', '-', '+', 1)[1]
  call('XACK', stream, 'g', unpack(ids))
  if oldest and oldest[1] == ids[1] then call('XTRIM', stream, 'MINID', '=', ARGV[7])
  else call('XDEL', stream, unpack(ids)) end
  call('HINCRBY', box, 'bytes', ARGV[6])
  if ARGV[5] == '1' then call('ZREM', base .. ':l', unpack(ids)) end
end
wake('p')
return 1`);

/** Gives back as if never taken. ARGV: seat, ids. */
export const RELEASE: Script = script(`${HEAD}${BACK}${MOVE}
for at = 3, #ARGV do
  local mine = holds(ARGV[2], ARGV[at])
  if mine then
    call('XCLAIM', stream, 'g', '${FREE}', 0, ARGV[at], 'RETRYCOUNT', math.max(0, mine[4] - 1), 'JUSTID')
    call('ZREM', base .. ':l', ARGV[at])
  end
end
back()
return 1`);

/** Gives back, counted as delivered. ARGV: seat, delay in milliseconds, ids. */
export const REQUEUE: Script = script(`${HEAD}${BACK}${NOW}${MOVE}
local delay = tonumber(ARGV[3])
for at = 4, #ARGV do
  local id = ARGV[at]
  if holds(ARGV[2], id) then
    call('ZREM', base .. ':l', id)
    if delay > 0 then
      call('XCLAIM', stream, 'g', '${LATE}', 0, id, 'JUSTID')
      call('ZADD', base .. ':d', now + delay, id)
    else free({ id }) end
  end
end
back()
return 1`);

/** Gives back what a seat has and does not know of. ARGV: seat, the ids that it knows. */
export const FORGET: Script = script(`${HEAD}${BACK}${MOVE}
local known, from, isBack = {}, '-', false
for at = 3, #ARGV do known[ARGV[at]] = true end
while true do
  local page, lost = call('XPENDING', stream, 'g', from, '+', ${CHUNK}, ARGV[2]), {}
  for _, one in ipairs(page) do
    if not known[one[1]] then lost[#lost + 1] = one[1] end
  end
  free(lost)
  isBack = isBack or #lost > 0
  if #page < ${CHUNK} then break end
  from = '(' .. page[#page][1]
end
if isBack then back() end
return 1`);

/** Prolongs a lease. ARGV: seat, id, milliseconds from now. */
export const EXTEND: Script = script(`${HEAD}${NOW}${MOVE}
if holds(ARGV[2], ARGV[3]) then call('ZADD', base .. ':l', 'XX', now + ARGV[4], ARGV[3]) end
return 1`);

/** Frees what leases and delays have kept until now. */
export const TEND: Script = script(`${HEAD}${BACK}${NOW}${MOVE}${TEND_KEPT}
if tend() > 0 then back() end
return 1`);

/** Says that somebody sleeps until there is something. ARGV: role. */
export const SLEEP: Script = script(`${HEAD}
call('SET', base .. ':w' .. ARGV[2], '1')
return 1`);

/** @returns messages, bytes of all */
export const ROOM: Script = script(`${HEAD}
return { call('XLEN', stream), tonumber(call('HGET', box, 'bytes')) }`);

/** @returns messages that wait, bytes of all, messages that somebody has */
export const STATS: Script = script(`${HEAD}
local pending, waiting = call('XPENDING', stream, 'g'), 0
for _, one in ipairs(pending[4] or {}) do
  if one[1] == '${FREE}' or one[1] == '${LATE}' then waiting = waiting + one[2] end
end
local held = pending[1] - waiting
return { call('XLEN', stream) - held, tonumber(call('HGET', box, 'bytes')), held }`);

/** The first that wait. ARGV: most. @returns for each its number, the deliveries of its next taking, its bytes */
export const PEEK: Script = script(`${HEAD}${NOW}
local most, out = tonumber(ARGV[2]), {}
local function show(id, deliveries, fields)
  local expires, due = tonumber(fields[4] or 0), tonumber(fields[6] or 0)
  if #out >= most * 3 or due > now or (expires > 0 and expires <= now) then return end
  local at = #out
  out[at + 1], out[at + 2], out[at + 3] = tonumber(string.sub(id, 3)), deliveries, fields[2]
end
for _, one in ipairs(call('XPENDING', stream, 'g', '-', '+', math.min(most, ${CHUNK}), '${FREE}')) do
  local found = call('XRANGE', stream, one[1], one[1])[1]
  if found then show(found[1], one[4] + 1, found[2]) end
end
local group, last = call('XINFO', 'GROUPS', stream)[1], '0-0'
for at = 1, #group, 2 do if group[at] == 'last-delivered-id' then last = group[at + 1] end end
for _, one in ipairs(call('XRANGE', stream, '(' .. last, '+', 'COUNT', most)) do show(one[1], 1, one[2]) end
return out`);

/** Removes some of those that wait. ARGV: capacity in bytes or -1. @returns how many; until it is 0 */
export const PURGE: Script = script(`${HEAD}${WAKE}${REMOVE_ONE}
local maxBytes, removed = tonumber(ARGV[2]), 0
local function drop(one)
  local size = #one[2][2]
  if maxBytes >= 0 and size > maxBytes then size = maxBytes end
  remove(one[1], size)
  call('ZREM', base .. ':d', one[1])
  removed = removed + 1
end
for _, who in ipairs({ '${FREE}', '${LATE}' }) do
  for _, one in ipairs(call('XPENDING', stream, 'g', '-', '+', ${CHUNK}, who)) do
    local found = call('XRANGE', stream, one[1], one[1])[1]
    if found then drop(found) end
  end
end
local fresh = call('XREADGROUP', 'GROUP', 'g', '${FREE}', 'COUNT', ${CHUNK}, 'STREAMS', stream, '>')
for _, one in ipairs(fresh and fresh[1][2] or {}) do drop(one) end
if removed > 0 then wake('p') end
return removed`);
