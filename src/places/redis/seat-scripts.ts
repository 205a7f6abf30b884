// Who is attached to a mailbox in a Redis database: a field for each seat, which says by which channel its handle lives. A channel that nobody
// subscribes to is that of a dead one: the server itself sees connections end.

import { BACK, HEAD, MOVE } from './box-scripts.ts';
import { type Script, script } from './script.ts';

/** Of all who use a mailbox. */
const SEATS = `
local seats = base .. ':seats'
local function told() call('PUBLISH', box .. ':n', 's') end
`;

/** Frees what a seat has, and removes it. */
const VACATE = `
local function vacate(seat, role)
  while true do
    local page, ids = call('XPENDING', stream, 'g', '-', '+', 1000, seat), {}
    for at, one in ipairs(page) do ids[at] = one[1] end
    free(ids)
    if #ids > 0 then call('ZREM', base .. ':l', unpack(ids)) end
    if #page < 1000 then break end
  end
  call('XGROUP', 'DELCONSUMER', stream, 'g', seat)
  call('HDEL', seats, seat)
  call('HINCRBY', box, role, -1)
end
`;

/** ARGV: seat, role, channel, identity, how many of the role there may be. @returns 1 when it was free */
export const ENTER: Script = script(`${HEAD}${SEATS}
if tonumber(call('HGET', box, ARGV[3])) >= tonumber(ARGV[6]) then return 0 end
call('HSET', seats, ARGV[2], ARGV[3] .. ' ' .. ARGV[4] .. ' ' .. ARGV[5])
call('HINCRBY', box, ARGV[3], 1)
told()
return 1`);

/** On a new connection, also where others had thought it dead. ARGV: seat, role, channel, identity. */
export const ENTER_AGAIN: Script = script(`${HEAD}${SEATS}
if call('HSET', seats, ARGV[2], ARGV[3] .. ' ' .. ARGV[4] .. ' ' .. ARGV[5]) == 1 then
  call('HINCRBY', box, ARGV[3], 1)
  told()
end
return 1`);

/** ARGV: seat. */
export const LEAVE: Script = script(`${HEAD}${BACK}${MOVE}${SEATS}${VACATE}
local held = call('HGET', seats, ARGV[2])
if not held then return 0 end
vacate(ARGV[2], string.sub(held, 1, 1))
back()
told()
return 1`);

/** Removes the seats of the dead. ARGV: one's own channel. @returns how many */
export const REAP: Script = script(`${HEAD}${BACK}${MOVE}${SEATS}${VACATE}
local all, dead, lives = call('HGETALL', seats), 0, {}
for at = 1, #all, 2 do
  local role, channel = string.match(all[at + 1], '^(.) (%S+)')
  if lives[channel] == nil then
    lives[channel] = channel == ARGV[2] or call('PUBSUB', 'NUMSUB', channel)[2] > 0
  end
  if not lives[channel] then
    vacate(all[at], role)
    dead = dead + 1
  end
end
if dead > 0 then
  back()
  told()
end
return dead`);

/** @returns producers, consumers */
export const PEERS: Script = script(`${HEAD}
return { tonumber(call('HGET', box, 'p')), tonumber(call('HGET', box, 'c')) }`);
