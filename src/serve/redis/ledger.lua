#!lua name=ink1
-- The job store of a fleet (serve/jobs/job_store.h says what each call means), as functions of Redis 7: each is one
-- atomic transition. Redis takes nothing back when a function fails, so each reads and checks first and writes last,
-- and its loops are bounded. KEYS[1] is the prefix of all keys, with a hash tag, as "ink1:{pool}:". Times are
-- milliseconds of this server's clock, which never goes back.
--
--   o:ORDER        hash    h digest, cl client, gw gateway, stay, ik key, at arrival, sq number, qn queue, pr priority, ls latest
--                          start or -1, n images, left not ended; of image i: i.s stage (q l d f c p), i.t token, i.a attempt,
--                          i.x deaths, i.l lane, i.r rows, i.c cost, i.q request, i.z result, i.e code, i.al alone, i.cut,
--                          i.b begun, i.rd redraws, i.h host. It expires when it has ended
--   q:QUEUE:LANE   zset    rank -> NUMBER:ORDER.II         lanes:QUEUE  zset  lane -> rank of its first
--   dl             zset    latest start -> NUMBER:ORDER.II, of what is queued
--   hosts, gws     zset    end of the lease                 h:HOST       hash  its figures
--   held:HOST      hash    ORDER.II -> "TOKEN MISSED"       own:GATEWAY  zset  orders that have not ended, by number
--   in:WHO         list    notices                          ik:KEY       string order
--   x:ORDER        string  cancelled before it came
--   work, queued, leased   hash  by queue: cost and number of what waits, number of what is leased
--   clients        hash    images that have not ended       sum          hash  counters
--   clk, amnesty   string  highest time seen; no lease expires before that
--   cfg            hash    lease, kept, deaths, redraws

local URGENT = 5000     -- a latest start that is so near goes first
local SILENCE = 3000    -- nobody called for so long: this server was away, and nobody can be blamed
local HEADSTART = 120000
local MOST_NOTICES = 10000

local function config(P)
  local c = redis.call('HMGET', P .. 'cfg', 'lease', 'kept', 'deaths', 'redraws')
  return {lease = tonumber(c[1] or 10000), kept = tonumber(c[2] or 600000), deaths = tonumber(c[3] or 2),
          redraws = tonumber(c[4] or 2)}
end

local function wall(P)
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function clock(P)
  local ms, seen = wall(P), tonumber(redis.call('GET', P .. 'clk') or 0)
  return math.max(ms, seen), seen
end

-- The time of a call that writes.
local function tick(P, cfg)
  local ms, seen = clock(P)
  if seen > 0 and ms > seen + SILENCE then redis.call('SET', P .. 'amnesty', ms + cfg.lease) end
  if ms > seen then redis.call('SET', P .. 'clk', ms) end
  return ms
end

local function two(i) return string.format('%02d', i) end
local function key_of(order, i) return order .. '.' .. two(i) end
local function parts_of(key)
  local order, i = string.match(key, '(%x+)%.(%d+)$')
  return order, tonumber(i)
end
local function count(P, name, by) redis.call('HINCRBY', P .. 'sum', name, by) end
local function add(P, hash, field, by)
  if redis.call('HINCRBY', P .. hash, field, by) == 0 then redis.call('HDEL', P .. hash, field) end
end

-- Some fields of a job, with those of its order.
local function read(P, order, i)
  local f = redis.call('HMGET', P .. 'o:' .. order, i .. '.s', i .. '.t', i .. '.a', i .. '.x', i .. '.l', i .. '.r',
                       i .. '.c', i .. '.b', i .. '.h', 'qn', 'sq', 'at', 'pr', 'ls', 'gw', 'cl')
  if not f[1] then return nil end
  return {order = order, i = i, s = f[1], t = f[2], a = tonumber(f[3]), x = tonumber(f[4]), lane = f[5],
          rows = tonumber(f[6]), cost = tonumber(f[7]), begun = f[8] == '1', host = f[9] or '', queue = f[10], sq = f[11],
          at = tonumber(f[12]), rank = tonumber(f[12]) - HEADSTART * tonumber(f[13]), ls = tonumber(f[14]), gw = f[15],
          cl = f[16], key = key_of(order, i), member = f[11] .. ':' .. key_of(order, i)}
end

local function keep_head(P, queue, lane)
  local head = redis.call('ZRANGE', P .. 'q:' .. queue .. ':' .. lane, 0, 0, 'WITHSCORES')
  if head[2] then redis.call('ZADD', P .. 'lanes:' .. queue, head[2], lane)
  else redis.call('ZREM', P .. 'lanes:' .. queue, lane) end
end

local function enqueue(P, j)
  redis.call('ZADD', P .. 'q:' .. j.queue .. ':' .. j.lane, j.rank, j.member)
  keep_head(P, j.queue, j.lane)
  if j.ls > 0 then redis.call('ZADD', P .. 'dl', j.ls, j.member) end
  add(P, 'work', j.queue, j.cost)
  add(P, 'queued', j.queue, 1)
end

local function dequeue(P, j)
  redis.call('ZREM', P .. 'q:' .. j.queue .. ':' .. j.lane, j.member)
  keep_head(P, j.queue, j.lane)
  if j.ls > 0 then redis.call('ZREM', P .. 'dl', j.member) end
  add(P, 'work', j.queue, -j.cost)
  add(P, 'queued', j.queue, -1)
end

local function unlease(P, j)
  redis.call('HDEL', P .. 'held:' .. j.host, j.key)
  add(P, 'leased', j.queue, -1)
end

local function notify(P, who, text, ms)
  if who == '' then return end
  local list = P .. 'in:' .. who
  redis.call('RPUSH', list, text)
  redis.call('LTRIM', list, -MOST_NOTICES, -1)
  redis.call('PEXPIRE', list, ms)
end

local STAGE_NAMES = {d = 'done', f = 'failed', c = 'cancelled', p = 'poison'}

-- From the queue or a lease to an end. `again`: the idempotency key stands for nothing any more.
local function finish(P, cfg, j, stage, result, code, again)
  if j.s == 'q' then dequeue(P, j) else unlease(P, j) end
  local o = P .. 'o:' .. j.order
  redis.call('HSET', o, j.i .. '.s', stage, j.i .. '.z', result, j.i .. '.e', code)
  if again then redis.call('HSET', o, 'again', '1') end
  add(P, 'clients', j.cl, -1)
  count(P, 'images', -1)
  count(P, STAGE_NAMES[stage], 1)
  notify(P, j.gw, 'e ' .. j.key, cfg.kept)
  if redis.call('HINCRBY', o, 'left', -1) == 0 then
    count(P, 'orders', -1)
    if j.gw ~= '' then redis.call('ZREM', P .. 'own:' .. j.gw, j.order) end
    redis.call('PEXPIRE', o, cfg.kept)
    local ik = redis.call('HGET', o, 'ik')
    if ik ~= '' then redis.call('PEXPIRE', P .. 'ik:' .. ik, cfg.kept) end
  end
end

-- From a lease back into the queue, or to its end as poison.
local function put_back(P, cfg, j, died)
  if died then count(P, 'deaths', 1) end
  local deaths = j.x + (died and 1 or 0)
  redis.call('HSET', P .. 'o:' .. j.order, j.i .. '.x', deaths)
  if deaths > cfg.deaths then return finish(P, cfg, j, 'p', '', 'worker_died', true) end
  unlease(P, j)
  redis.call('HSET', P .. 'o:' .. j.order, j.i .. '.s', 'q', j.i .. '.t', '', j.i .. '.b', '0', j.i .. '.h', '')
  if died then redis.call('HSET', P .. 'o:' .. j.order, j.i .. '.al', '1') end
  enqueue(P, j)
end

-- All images of an order that have not ended.
local function end_order(P, cfg, order, stage, code)
  local any = false
  for i = 0, tonumber(redis.call('HGET', P .. 'o:' .. order, 'n')) - 1 do
    local j = read(P, order, i)
    if j.s == 'l' then notify(P, j.host, 'c ' .. j.key .. ' ' .. j.t, cfg.lease) end
    if j.s == 'q' or j.s == 'l' then
      finish(P, cfg, j, stage, '', code, true)
      any = true
    end
  end
  return any
end

-- Hosts, gateways and latest starts whose time is over: some, at each beat of anyone.
local function sweep(P, cfg, now)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', P .. 'dl', '-inf', now, 'LIMIT', 0, 32)) do
    finish(P, cfg, read(P, parts_of(member)), 'f', '', 'deadline', true)
  end
  if now < tonumber(redis.call('GET', P .. 'amnesty') or 0) then return end
  local budget = 32
  for _, host in ipairs(redis.call('ZRANGEBYSCORE', P .. 'hosts', '-inf', now, 'LIMIT', 0, 8)) do
    local held = redis.call('HKEYS', P .. 'held:' .. host)
    table.sort(held)
    for _, key in ipairs(held) do
      if budget == 0 then return end
      budget = budget - 1
      local j = read(P, parts_of(key))
      put_back(P, cfg, j, j.begun)
    end
    redis.call('ZREM', P .. 'hosts', host)
    redis.call('DEL', P .. 'h:' .. host, P .. 'in:' .. host)
  end
  for _, gateway in ipairs(redis.call('ZRANGEBYSCORE', P .. 'gws', '-inf', now, 'LIMIT', 0, 8)) do
    for _, order in ipairs(redis.call('ZRANGE', P .. 'own:' .. gateway, 0, 31)) do
      if budget <= 0 then return end
      budget = budget - 1
      local o = redis.call('HMGET', P .. 'o:' .. order, 'stay', 'ik')
      redis.call('ZREM', P .. 'own:' .. gateway, order)
      redis.call('HSET', P .. 'o:' .. order, 'gw', '')
      if o[1] == '0' and o[2] == '' then end_order(P, cfg, order, 'c', 'gateway_died') end
    end
    if redis.call('ZCARD', P .. 'own:' .. gateway) == 0 then redis.call('ZREM', P .. 'gws', gateway) end
  end
end

-- GATEWAY ORDER CLIENT KEY DIGEST STAYS PRIORITY LATEST_START QUEUE MAX_IMAGES MAX_CLIENT MAX_WORK N (LANE ROWS COST REQUEST)*
local function submit(keys, a)
  local P, order, o = keys[1], a[2], keys[1] .. 'o:' .. a[2]
  local gateway, client, ik, queue, n = a[1], a[3], a[4], a[9], tonumber(a[13])
  local cfg = config(P)
  if redis.call('EXISTS', P .. 'x:' .. order) == 1 then return {'cancelled'} end
  local there = redis.call('HMGET', o, 'h', 'cl')
  if there[1] then return {there[1] == a[5] and there[2] == client and 'known' or 'conflict'} end
  if ik ~= '' then
    local other = redis.call('GET', P .. 'ik:' .. ik)
    local its = other and redis.call('HMGET', P .. 'o:' .. other, 'h', 'again')
    if its and its[1] and not its[2] then
      if its[1] == a[5] then return {'same', other} end
      return {'conflict'}
    end
  end
  local work = tonumber(redis.call('HGET', P .. 'work', queue) or 0)
  local images = tonumber(redis.call('HGET', P .. 'sum', 'images') or 0)
  local of_client = tonumber(redis.call('HGET', P .. 'clients', client) or 0)
  if of_client + n > tonumber(a[11]) then return {'client_full', work, of_client} end
  if images + n > tonumber(a[10]) then return {'images_full', work, images} end
  if work > tonumber(a[12]) then return {'queue_long', work} end

  local now = tick(P, cfg)
  local sq = string.format('%012d', redis.call('HINCRBY', P .. 'sum', 'seq', 1))
  local ls = tonumber(a[8])
  local fields = {'h', a[5], 'cl', client, 'gw', gateway, 'stay', a[6], 'ik', ik, 'at', now, 'sq', sq, 'qn', queue, 'pr', a[7],
                  'ls', ls < 0 and -1 or now + ls, 'n', n, 'left', n}
  for i = 0, n - 1 do
    local at = 13 + 4 * i
    for field, value in pairs({s = 'q', t = '', a = 0, x = 0, l = a[at + 1], r = a[at + 2], c = a[at + 3], q = a[at + 4], b = '0',
                               h = ''}) do
      fields[#fields + 1] = i .. '.' .. field
      fields[#fields + 1] = value
    end
  end
  redis.call('HSET', o, unpack(fields))
  for i = 0, n - 1 do enqueue(P, read(P, order, i)) end
  if ik ~= '' then redis.call('SET', P .. 'ik:' .. ik, order) end
  if gateway ~= '' then
    redis.call('ZADD', P .. 'own:' .. gateway, tonumber(sq), order)
    redis.call('ZADD', P .. 'gws', 'NX', now + cfg.lease, gateway)
  end
  add(P, 'clients', client, n)
  count(P, 'images', n)
  count(P, 'orders', 1)
  return {'new', work, images}
end

-- ORDER CLIENT CODE
local function cancel(keys, a)
  local P, cfg = keys[1], config(keys[1])
  local client = redis.call('HGET', P .. 'o:' .. a[1], 'cl')
  if not client then
    redis.call('SET', P .. 'x:' .. a[1], 1, 'PX', cfg.kept)
    return 'unknown'
  end
  if client ~= a[2] then return 'unknown' end
  tick(P, cfg)
  return end_order(P, cfg, a[1], 'c', a[3]) and 'now' or 'ended'
end

-- ORDER CLIENT
local function cut_short(keys, a)
  local P, cfg = keys[1], config(keys[1])
  local o = redis.call('HMGET', P .. 'o:' .. a[1], 'cl', 'n')
  if o[1] ~= a[2] then return 'unknown' end
  local any = false
  for i = 0, tonumber(o[2]) - 1 do
    local j = read(P, a[1], i)
    if j.s == 'l' then notify(P, j.host, 'x ' .. j.key, cfg.lease) end
    if j.s == 'q' or j.s == 'l' then
      redis.call('HSET', P .. 'o:' .. a[1], i .. '.cut', '1')
      any = true
    end
  end
  return any and 'now' or 'ended'
end

-- ORDER*; of each: n, and of each image stage, attempt, deaths, result, code
local function states(keys, a)
  local all = {}
  for _, order in ipairs(a) do
    local o = keys[1] .. 'o:' .. order
    local n = tonumber(redis.call('HGET', o, 'n') or 0)
    all[#all + 1] = tostring(n)
    for i = 0, n - 1 do
      for _, value in ipairs(redis.call('HMGET', o, i .. '.s', i .. '.a', i .. '.x', i .. '.z', i .. '.e')) do
        all[#all + 1] = value or ''
      end
    end
  end
  return all
end

-- ORDER
local function release(keys, a)
  local o = redis.call('HMGET', keys[1] .. 'o:' .. a[1], 'left', 'ik', 'stay')
  if o[1] == '0' and o[2] == '' and o[3] == '0' then redis.call('DEL', keys[1] .. 'o:' .. a[1]) end
  return 'ok'
end

-- ORDER IMAGE
local function redraw(keys, a)
  local P, cfg, o = keys[1], config(keys[1]), keys[1] .. 'o:' .. a[1]
  local j = read(P, a[1], tonumber(a[2]))
  if not j or j.s ~= 'd' then return 0 end
  local before = tonumber(redis.call('HGET', o, j.i .. '.rd') or 0)
  if before >= cfg.redraws then return 0 end
  tick(P, cfg)
  redis.call('HSET', o, j.i .. '.s', 'q', j.i .. '.t', '', j.i .. '.z', '', j.i .. '.b', '0', j.i .. '.h', '', j.i .. '.rd',
             before + 1)
  count(P, 'done', -1)
  count(P, 'images', 1)
  add(P, 'clients', j.cl, 1)
  if redis.call('HINCRBY', o, 'left', 1) == 1 then
    count(P, 'orders', 1)
    redis.call('PERSIST', o)
    local ik = redis.call('HGET', o, 'ik')
    if ik ~= '' then redis.call('PERSIST', P .. 'ik:' .. ik) end
    if j.gw ~= '' then redis.call('ZADD', P .. 'own:' .. j.gw, tonumber(j.sq), j.order) end
  end
  j.ls = -1
  redis.call('HSET', o, 'ls', -1)
  enqueue(P, j)
  return 1
end

-- GATEWAY
local function gateway_beat(keys, a)
  local P, cfg = keys[1], config(keys[1])
  local now = tick(P, cfg)
  redis.call('ZADD', P .. 'gws', now + cfg.lease, a[1])
  sweep(P, cfg, now)
  return 'ok'
end

local function take(P, now, host, j)
  dequeue(P, j)
  local o, token = P .. 'o:' .. j.order, host .. '/' .. redis.call('HINCRBY', P .. 'sum', 'tokens', 1)
  redis.call('HSET', o, j.i .. '.s', 'l', j.i .. '.t', token, j.i .. '.a', j.a + 1, j.i .. '.b', '0', j.i .. '.h', host)
  redis.call('HSET', P .. 'held:' .. host, j.key, token .. ' 0')
  add(P, 'leased', j.queue, 1)
  local f = redis.call('HMGET', o, j.i .. '.al', j.i .. '.cut', j.i .. '.q', 'pr')
  return {j.key, token, j.queue, j.lane, tostring(j.rows), tostring(j.a + 1), tostring(j.x), f[1] or '0', f[2] or '0',
          tostring(now - j.at), tostring(j.ls < 0 and -1 or math.max(0, j.ls - now)), f[4], j.cl, f[3]}
end

-- HOST MAX_JOBS MAX_ROWS PATIENCE OTHER_ROWS N QUEUE* N (LANE ROWS)*
local function lease(keys, a)
  local P, cfg, host = keys[1], config(keys[1]), a[1]
  local most, max_rows, patience, other = tonumber(a[2]), tonumber(a[3]), tonumber(a[4]), tonumber(a[5])
  local now = tick(P, cfg)
  local queues, credit, idle = {}, {}, true
  local at = 7
  for _ = 1, tonumber(a[6]) do
    queues[#queues + 1] = a[at]
    at = at + 1
  end
  for _ = 1, tonumber(a[at]) do
    credit[a[at + 1]] = tonumber(a[at + 2])
    idle = false
    at = at + 2
  end
  redis.call('ZADD', P .. 'hosts', now + cfg.lease, host)
  local leases = {}
  -- Whether the host takes this job now; it has then.
  local function try(j)
    if j.rows > max_rows then return false end
    local has = credit[j.lane]
    if not has and other > 0 and (idle or now - j.at >= patience) then has = other end
    if not has or j.rows > has then return false end
    if not credit[j.lane] then other = 0 end
    credit[j.lane] = has - j.rows
    leases[#leases + 1] = take(P, now, host, j)
    return true
  end
  for _, queue in ipairs(queues) do
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', P .. 'dl', now, now + URGENT, 'LIMIT', 0, 8)) do
      local j = read(P, parts_of(member))
      if #leases < most and j.queue == queue then try(j) end
    end
    local lanes = redis.call('ZRANGE', P .. 'lanes:' .. queue, 0, 31)
    local closed = {}
    while #leases < most do
      local best
      for _, lane in ipairs(lanes) do
        if not closed[lane] then
          local found
          for _, member in ipairs(redis.call('ZRANGE', P .. 'q:' .. queue .. ':' .. lane, 0, 7)) do
            local j = read(P, parts_of(member))
            if j.rows <= max_rows then
              found = j
              break
            end
          end
          if not found then closed[lane] = true
          elseif not best or found.rank < best.rank or (found.rank == best.rank and found.member < best.member) then best = found end
        end
      end
      if not best then break end
      if not try(best) then closed[best.lane] = true end
    end
  end
  return leases
end

-- HOST SPEED LEFT ROWS DRAINING DEVICE BUILD N QUEUE* (KEY TOKEN BEGUN)*; gone*, '', (key token)*
local function beat(keys, a)
  local P, cfg, host = keys[1], config(keys[1]), a[1]
  local now = tick(P, cfg)
  local queues = {}
  local at = 9
  for _ = 1, tonumber(a[8]) do
    queues[#queues + 1] = a[at]
    at = at + 1
  end
  redis.call('ZADD', P .. 'hosts', now + cfg.lease, host)
  redis.call('HSET', P .. 'h:' .. host, 'speed', a[2], 'left', a[3], 'rows', a[4], 'drain', a[5], 'device', a[6], 'build', a[7],
             'queues', table.concat(queues, ' '))
  redis.call('PEXPIRE', P .. 'h:' .. host, cfg.lease)
  local answer, named = {}, {}
  while a[at] do
    local key, token = a[at], a[at + 1]
    local j = read(P, parts_of(key))
    if j and j.s == 'l' and j.t == token then
      named[key] = true
      redis.call('HSET', P .. 'held:' .. host, key, token .. ' 0')
      if a[at + 2] == '1' and not j.begun then redis.call('HSET', P .. 'o:' .. j.order, j.i .. '.b', '1') end
    else
      answer[#answer + 1] = key
    end
    at = at + 3
  end
  answer[#answer + 1] = ''
  local held = redis.call('HGETALL', P .. 'held:' .. host)
  for k = 1, #held, 2 do
    if not named[held[k]] then
      local token, missed = string.match(held[k + 1], '^(%S+) (%d+)$')
      if tonumber(missed) >= 2 then
        put_back(P, cfg, read(P, parts_of(held[k])), false)
      else
        redis.call('HSET', P .. 'held:' .. host, held[k], token .. ' ' .. (missed + 1))
        answer[#answer + 1] = held[k]
        answer[#answer + 1] = token
      end
    end
  end
  sweep(P, cfg, now)
  return answer
end

-- HOST ORDER IMAGE TOKEN END RESULT
local function finish_job(keys, a)
  local P, cfg = keys[1], config(keys[1])
  local j = read(P, a[2], tonumber(a[3]))
  if not j then return 'unknown' end
  local over = a[5] == 'done' or a[5] == 'failed' or a[5] == 'failed_now'
  if j.t ~= a[4] or j.s ~= 'l' then
    if j.s == 'c' then return 'cancelled' end
    if j.t == a[4] and (j.s == 'd' or j.s == 'f') then return 'done' end
    if over then count(P, 'stale', 1) end
    return 'stale'
  end
  tick(P, cfg)
  if over then
    finish(P, cfg, j, a[5] == 'done' and 'd' or 'f', a[6], '', a[5] == 'failed_now')
  else
    put_back(P, cfg, j, a[5] == 'died')
  end
  return 'good'
end

-- WHO MOST
local function notices(keys, a)
  return redis.call('LPOP', keys[1] .. 'in:' .. a[1], a[2]) or {}
end

local function figures(keys)
  local P = keys[1]
  local answer, queues = {}, {}
  for _, value in ipairs(redis.call('HMGET', P .. 'sum', 'orders', 'images', 'done', 'failed', 'cancelled', 'poison', 'deaths',
                                    'stale')) do answer[#answer + 1] = value or '0' end
  local function of(queue)
    if not queues[queue] then queues[queue] = {queued = 0, leased = 0, work = 0, hosts = 0, speed = 0, left = 0} end
    return queues[queue]
  end
  for _, name in ipairs({'queued', 'leased', 'work'}) do
    local all = redis.call('HGETALL', P .. name)
    for k = 1, #all, 2 do of(all[k])[name] = tonumber(all[k + 1]) end
  end
  for _, host in ipairs(redis.call('ZRANGE', P .. 'hosts', 0, -1)) do
    local h = redis.call('HMGET', P .. 'h:' .. host, 'queues', 'speed', 'left', 'drain')
    for queue in string.gmatch(h[1] or '', '%S+') do
      local its = of(queue)
      its.left = its.left + tonumber(h[3])
      if h[4] == '0' then
        its.hosts = its.hosts + 1
        its.speed = its.speed + tonumber(h[2])
      end
    end
  end
  for queue, its in pairs(queues) do
    answer[#answer + 1] = {queue, tostring(its.queued), tostring(its.leased), tostring(its.work), tostring(its.hosts),
                           tostring(its.speed), tostring(its.left)}
  end
  return answer
end

-- For tests: what does not fit together.
local function check(keys)
  local P, faults = keys[1], {}
  local images, orders, work, queued, leased, clients, stands = 0, 0, {}, {}, {}, {}, {}
  local function sum(t, k, by) t[k] = (t[k] or 0) + by end
  local function fault(...) faults[#faults + 1] = table.concat({...}, ' ') end
  for _, o in ipairs(redis.call('KEYS', P .. 'o:*')) do
    local order, left = string.sub(o, #P + 3), 0
    for i = 0, tonumber(redis.call('HGET', o, 'n')) - 1 do
      local j = read(P, order, i)
      local place = redis.call('ZSCORE', P .. 'q:' .. j.queue .. ':' .. j.lane, j.member)
      local held = redis.call('HGET', P .. 'held:' .. j.host, j.key)
      local due = redis.call('ZSCORE', P .. 'dl', j.member)
      if (j.s == 'q') ~= (place and true or false) then fault(j.key, 'is', j.s, 'and stands in a queue:', place or 'no') end
      if (j.s == 'l') ~= (held and true or false) then fault(j.key, 'is', j.s, 'and is held:', held or 'no') end
      if (j.s == 'q' and j.ls > 0) ~= (due and true or false) then fault(j.key, 'has its latest start wrong') end
      if j.s == 'q' or j.s == 'l' then
        left = left + 1
        sum(clients, j.cl, 1)
      end
      if j.s == 'q' then
        sum(work, j.queue, j.cost)
        sum(queued, j.queue, 1)
        sum(stands, 'q:' .. j.queue .. ':' .. j.lane, 1)
      end
      if j.s == 'l' then
        sum(leased, j.queue, 1)
        sum(stands, 'held:' .. j.host, 1)
        if not redis.call('ZSCORE', P .. 'hosts', j.host) then fault(j.key, 'is held by nobody') end
      end
    end
    images = images + left
    orders = orders + (left > 0 and 1 or 0)
    local said = redis.call('HMGET', o, 'left', 'gw')
    if tonumber(said[1]) ~= left then fault(order, 'says', said[1], 'left of', left) end
    if (left > 0) == (redis.call('PTTL', o) >= 0) then fault(order, 'has', left, 'left and expires in', redis.call('PTTL', o)) end
    if said[2] ~= '' and (left > 0) ~= (redis.call('ZSCORE', P .. 'own:' .. said[2], order) and true or false) then
      fault(order, 'and its gateway do not know each other')
    end
  end
  for name, truth in pairs({work = work, queued = queued, leased = leased, clients = clients}) do
    local all = redis.call('HGETALL', P .. name)
    for k = 1, #all, 2 do
      if truth[all[k]] ~= tonumber(all[k + 1]) then fault(name, all[k], 'is', all[k + 1], 'of', truth[all[k]] or 0) end
      truth[all[k]] = nil
    end
    for k, v in pairs(truth) do fault(name, k, 'is missing:', v) end
  end
  for _, kind in ipairs({'q:', 'held:'}) do
    for _, key in ipairs(redis.call('KEYS', P .. kind .. '*')) do
      local name = string.sub(key, #P + 1)
      local size = redis.call(kind == 'q:' and 'ZCARD' or 'HLEN', key)
      if size ~= (stands[name] or 0) then fault(name, 'has', size, 'of', stands[name] or 0) end
    end
  end
  for _, key in ipairs(redis.call('KEYS', P .. 'lanes:*')) do
    local queue = string.sub(key, #P + 7)
    for _, lane in ipairs(redis.call('ZRANGE', key, 0, -1)) do
      local head = redis.call('ZRANGE', P .. 'q:' .. queue .. ':' .. lane, 0, 0, 'WITHSCORES')[2]
      if head ~= redis.call('ZSCORE', key, lane) then fault(queue, lane, 'has another head') end
    end
  end
  local said = redis.call('HMGET', P .. 'sum', 'images', 'orders')
  if tonumber(said[1] or 0) ~= images then fault('images', said[1], 'of', images) end
  if tonumber(said[2] or 0) ~= orders then fault('orders', said[2], 'of', orders) end
  return table.concat(faults, '; ')
end

redis.register_function('ink1_submit', submit)
local function register(name, callback, flag)
  redis.register_function{function_name = 'ink1_' .. name, callback = callback, flags = {flag}}
end
register('cancel', cancel, 'allow-oom')
register('cut_short', cut_short, 'allow-oom')
register('release', release, 'allow-oom')
register('redraw', redraw, 'allow-oom')
register('gateway_beat', gateway_beat, 'allow-oom')
register('lease', lease, 'allow-oom')
register('beat', beat, 'allow-oom')
register('finish', finish_job, 'allow-oom')
register('notices', notices, 'allow-oom')
register('states', states, 'no-writes')
register('figures', figures, 'no-writes')
register('check', check, 'no-writes')
