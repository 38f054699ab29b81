// The one step over all bounds, inside Redis. It counts as `window.ts` and `memory.ts` do, by Redis' own clock, so that
// gateways need not agree on the time. Money is held in nano-dollars: whole numbers that a double holds up to $9 million.

import { createHash } from 'node:crypto'

export interface Script {
  readonly text: string
  /** What Redis knows it by, once it has seen it. */
  readonly digest: string
}

function script(text: string): Script {
  return { text, digest: createHash('sha1').update(text).digest('hex') }
}

/**
 * KEYS: the instances, then for each bound its counter and its purses. ARGV: instance, its call for its time (0: Redis' own),
 * tokens, cost, and the bounds as JSON.
 * What an instance set aside counts as long as it has shown within 30 s that it lives.
 * Answers `{ 0, now, instances, used... , spent... }`, or `{ 1, bound, dimension, budget, wait, ... }` when something does not fit.
 */
export const RESERVE = script(`
local MINUTE, DAY, SOON, ALIVE = 60000, 86400000, 1000, 30000
local instance, tokens, cost = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
local now = tonumber(ARGV[2])
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local bounds = cjson.decode(ARGV[5])
redis.call('HSET', KEYS[1], instance, string.format('%.0f', now))
local living, count = {}, 0
local beats = redis.call('HGETALL', KEYS[1])
for i = 1, #beats, 2 do
  if now - tonumber(beats[i + 1]) <= ALIVE then
    living[beats[i]] = true
    count = count + 1
  else
    redis.call('HDEL', KEYS[1], beats[i])
  end
end

local function text(number) return string.format('%.0f', number) end
local function exact(number) return string.format('%.6f', number) end

-- Fields of a window: s, its start; c and p, what was used in it and in the one before.
local function window(fields, name, length)
  local start = tonumber(fields[name .. 's'] or '0')
  local current, previous = tonumber(fields[name .. 'c'] or '0'), tonumber(fields[name .. 'p'] or '0')
  local passed = now - start
  if passed >= length then
    if passed < 2 * length then previous = current else previous = 0 end
    current = 0
    start = now - (now % length)
  end
  passed = math.max(0, now - start)
  return { name = name, start = start, current = current, previous = previous, passed = passed, length = length,
           used = previous * (1 - passed / length) + current }
end

local function wait(w, amount, limit)
  if limit <= 0 then return DAY end
  local room = math.max(limit - amount, 0)
  if w.used <= room + 0.000001 then return 0 end
  if w.current <= room then
    return math.max(1, math.ceil(w.length * (1 - (room - w.current) / w.previous) - w.passed - 0.000001))
  end
  return math.max(1, math.ceil(w.length - w.passed + w.length * (1 - room / w.current) - 0.000001))
end

local function held(fields, key, prefix)
  local sum = 0
  for name, value in pairs(fields) do
    if string.sub(name, 1, 2) == prefix then
      if living[string.sub(name, 3)] then sum = sum + tonumber(value) else redis.call('HDEL', key, name) end
    end
  end
  return sum
end

local function read(key)
  local flat, fields = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return fields
end

local worst, at = nil, 1
local function meet(bound, dimension, budget, milliseconds)
  if milliseconds > 0 and (worst == nil or milliseconds > worst[4]) then
    worst = { bound, dimension, budget, milliseconds }
  end
end

local states = {}
for index, bound in ipairs(bounds) do
  at = at + 1
  local key = KEYS[at]
  local fields = read(key)
  local state = { key = key, bound = bound, purses = {}, minute = window(fields, 'm', MINUTE),
                  day = window(fields, 'd', DAY), tokens = window(fields, 't', MINUTE) }
  if bound.rpm then meet(index, 'requests_per_minute', 0, wait(state.minute, 1, bound.rpm)) end
  if bound.rpd then meet(index, 'requests_per_day', 0, wait(state.day, 1, bound.rpd)) end
  if bound.tpm then meet(index, 'tokens_per_minute', 0, wait(state.tokens, tokens, bound.tpm)) end
  if bound.parallel then
    if bound.parallel <= 0 then meet(index, 'parallel', 0, DAY)
    elseif held(fields, key, 'h:') >= bound.parallel then meet(index, 'parallel', 0, SOON) end
  end
  for number, budget in ipairs(bound.budgets) do
    at = at + 1
    local purse = KEYS[at]
    local inside = read(purse)
    local spent = math.max(tonumber(inside.spent or '0'), tonumber(budget.spent))
    if spent > tonumber(inside.spent or '-1') then redis.call('HSET', purse, 'spent', text(spent)) end
    local left = tonumber(budget.limit) - spent
    local ends = budget.ends
    if left <= 0 then meet(index, 'budget', number, ends)
    elseif held(inside, purse, 'r:') + cost > left then
      if cost <= left then meet(index, 'budget', number, SOON) else meet(index, 'budget', number, ends) end
    end
    state.purses[number] = { key = purse, spent = spent, keep = budget.keep }
  end
  states[index] = state
end

local answer = { worst and 1 or 0, text(now), count }
if worst then
  answer[4], answer[5], answer[6], answer[7] = worst[1], worst[2], worst[3], text(worst[4])
else
  answer[4], answer[5], answer[6], answer[7] = 0, '', 0, '0'
  local taken = {}
  for _, state in ipairs(states) do
    local key, bound = state.key, state.bound
    local function add(w, amount)
      w.current = w.current + amount
      w.used = w.used + amount
      redis.call('HSET', key, w.name .. 's', text(w.start), w.name .. 'c', exact(w.current), w.name .. 'p', exact(w.previous))
    end
    if bound.rpm then add(state.minute, 1) end
    if bound.rpd then add(state.day, 1) end
    if bound.tpm then add(state.tokens, tokens) end
    if bound.parallel then redis.call('HINCRBY', key, 'h:' .. instance, 1) end
    redis.call('PEXPIRE', key, 2 * DAY)
    for _, purse in ipairs(state.purses) do
      if not taken[purse.key] then
        taken[purse.key] = true
        redis.call('HINCRBY', purse.key, 'r:' .. instance, ARGV[4])
        redis.call('PEXPIRE', purse.key, purse.keep)
      end
    end
  end
end
for _, state in ipairs(states) do
  for _, w in ipairs({ state.minute, state.tokens }) do
    local left = w.length - w.passed
    local reset = (w.current > 0 and left + w.length) or (w.previous > 0 and left) or 0
    answer[#answer + 1] = exact(w.used)
    answer[#answer + 1] = text(reset)
  end
  for _, purse in ipairs(state.purses) do answer[#answer + 1] = text(purse.spent) end
end
return answer
`)

/**
 * Many settlements at once. KEYS as they are numbered in ARGV[2]; ARGV: the time (0: Redis' own) and JSON: for each settlement
 * its instance, when it was reserved, the difference in tokens, what was set aside, what it cost, and which keys.
 */
export const SETTLE = script(`
local MINUTE = 60000
local now = tonumber(ARGV[1])
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local function text(number) return string.format('%.6f', number) end
for _, done in ipairs(cjson.decode(ARGV[2])) do
  for _, number in ipairs(done.parallel) do
    local key, field = KEYS[number], 'h:' .. done.instance
    if redis.call('HINCRBY', key, field, -1) <= 0 then redis.call('HDEL', key, field) end
  end
  for _, number in ipairs(done.tokens) do
    local key = KEYS[number]
    local stored = redis.call('HMGET', key, 'ts', 'tc', 'tp')
    if stored[1] then
      local start = tonumber(stored[1])
      if done.at >= start then
        redis.call('HSET', key, 'tc', text(math.max(0, tonumber(stored[2]) + done.difference)))
      elseif done.at >= start - MINUTE then
        redis.call('HSET', key, 'tp', text(math.max(0, tonumber(stored[3]) + done.difference)))
      end
    end
  end
  for _, number in ipairs(done.held) do
    local key, field = KEYS[number], 'r:' .. done.instance
    if redis.call('HINCRBY', key, field, '-' .. done.reserved) <= 0 then redis.call('HDEL', key, field) end
  end
  if done.cost ~= '0' then
    for _, paid in ipairs(done.paid) do
      redis.call('HINCRBY', KEYS[paid.key], 'spent', done.cost)
      redis.call('PEXPIRE', KEYS[paid.key], paid.keep)
    end
  end
end
return now
`)

/** KEYS: the instances; ARGV: instance, the time (0: Redis' own). Shows that it lives, and answers how many do. */
export const BEAT = script(`
local ALIVE = 30000
local now = tonumber(ARGV[2])
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now))
local count = 0
for _, at in ipairs(redis.call('HVALS', KEYS[1])) do
  if now - tonumber(at) <= ALIVE then count = count + 1 end
end
return count
`)
