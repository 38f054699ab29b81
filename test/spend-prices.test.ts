import t from 'tap'
import type { Price } from '../src/config/generated/types.ts'
import { ListPrices, ownTariff, type Prices, pricesOf } from '../src/spend/prices.ts'
import { costOf, inDollars } from '../src/spend/tariff.ts'
import { type PartialConfig, testGateway } from './support/app.ts'
import { post, smallest } from './support/ask.ts'
import { hookedGateway } from './support/hooks.ts'
import { startUpstream } from './support/upstream.ts'

const MILLION = 1_000_000
const NOW = Date.UTC(2026, 10, 21)
const NO_CACHE = { cacheRead: 0, cacheWrite: 0 }

/** Dollars of a million tokens each. */
function dollarsOf(prices: Prices, model: string): Record<string, string> | undefined {
  const tariff = prices.of(model, NOW)
  if (tariff === undefined) return undefined
  const of = (usage: Parameters<typeof costOf>[1]) => inDollars(costOf(tariff, usage) / 100n)
  const tokens = MILLION / 10
  return {
    input: of({ input: tokens * 1000, output: 0, ...NO_CACHE }),
    output: of({ input: 0, output: tokens * 1000, ...NO_CACHE })
  }
}

function priced(provider: string, own?: Price): Prices {
  return pricesOf(provider, own, false, undefined)
}

t.test('published prices: what the makers say a million tokens cost', async t => {
  const tariff = (provider: string, model: string) => {
    const found = priced(provider).of(model, NOW)
    if (found === undefined) throw new Error(model)
    const of = (usage: Partial<Parameters<typeof costOf>[1]>) =>
      inDollars(costOf(found, { input: 0, output: 0, ...NO_CACHE, ...usage }))
    // Small enough for the first tier of prompts, and then counted up.
    return [
      of({ input: 1000 }),
      of({ output: 1000 }),
      of({ input: 1000, cacheRead: 1000 }),
      of({ input: 1000, cacheWrite: 1000 })
    ]
  }
  t.same(tariff('anthropic', 'claude-sonnet-4-5'), ['0.003', '0.015', '0.0003', '0.00375'])
  t.same(tariff('anthropic', 'claude-3-5-haiku-latest'), ['0.0008', '0.004', '0.00008', '0.001'])
  t.same(tariff('openai', 'gpt-4o').slice(0, 3), ['0.0025', '0.01', '0.00125'])
  t.same(tariff('openai', 'gpt-4o-mini').slice(0, 3), ['0.00015', '0.0006', '0.000075'])
  t.same(tariff('gemini', 'gemini-2.5-pro').slice(0, 2), ['0.00125', '0.01'])
})

t.test('a long prompt costs its own tier throughout', async t => {
  const tariff = priced('gemini').of('gemini-2.5-pro', NOW)
  if (tariff === undefined) throw new Error('no price')
  t.equal(inDollars(costOf(tariff, { input: 200_000, output: 1000, ...NO_CACHE })), '0.26')
  t.equal(inDollars(costOf(tariff, { input: 200_001, output: 1000, ...NO_CACHE })), '0.5150025')
})

t.test('an entry’s own price comes first, and what it does not say of the cache costs like any input', async t => {
  t.same(dollarsOf(priced('openai', { input: 0.25, output: 1 }), 'gpt-4o'), { input: '0.25', output: '1' })
  const tariff = ownTariff({ input: 1, output: 2, cache_read: 0.1 })
  t.equal(inDollars(costOf(tariff, { input: 1000, output: 10, cacheRead: 600, cacheWrite: 100 })), '0.00048')
})

t.test(
  'a machine of one’s own is free; a stranger’s price is not known, or what the operator takes for it',
  async t => {
    t.equal(pricesOf('mlx', undefined, true, undefined).of('qwen', NOW)?.input.base, 0n)
    t.equal(priced('self-hosted').of('gpt-4o', NOW), undefined)
    t.equal(priced('openai').of('gpt-no-such-model', NOW), undefined)
    const assumed = ownTariff({ input: 5, output: 25 }, true)
    t.equal(pricesOf('openai', undefined, false, assumed).of('gpt-no-such-model', NOW), assumed)
    t.equal(pricesOf('self-hosted', undefined, false, assumed).of('x', NOW)?.assumed, true)
  }
)

t.test('nothing is rounded down, and odd counts are no counts', async t => {
  const tariff = ownTariff({ input: 0.0001, output: 1 })
  t.equal(costOf(tariff, { input: 1, output: 0, ...NO_CACHE }), 1n)
  t.equal(costOf(tariff, { input: Number.NaN, output: -5, ...NO_CACHE }), 0n)
  t.equal(costOf(tariff, { input: 10, output: 0, cacheRead: 50, cacheWrite: 50 }), 1n)
})

t.test('dollars have no exponents', async t => {
  t.same([0n, 1n, 12_000n, 1_000_000_000n, 1_234_500_000_000n].map(inDollars), [
    '0',
    '0.000000001',
    '0.000012',
    '1',
    '1234.5'
  ])
})

t.test('list prices are read when nobody waits', async t => {
  const prices = new ListPrices()
  t.equal(prices.of('claude-sonnet-4-5', NOW), undefined)
  prices.read()
  t.equal(inDollars(costOf(ownTariff({ input: 3 }), { input: 1000, output: 0, ...NO_CACHE })), '0.003')
  t.same(dollarsOf(prices, 'claude-3-5-haiku-latest'), { input: '0.8', output: '4' })
  t.equal(prices.of('nobody-sells-this', NOW), undefined)
})

interface Served {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly call: Readonly<Record<string, unknown>>
}

async function ask(config: PartialConfig, stream: boolean, body: object = {}): Promise<Served> {
  const gateway = await testGateway(config)
  try {
    const [path, smallestBody] = smallest('openai-chat', 'm', stream)
    const { headers } = await post(gateway.url + path, { ...smallestBody, ...body })
    const response = await fetch(`${gateway.url}/calls/${headers['x-task-id']}`)
    return { headers, call: (await response.json()) as Record<string, unknown> }
  } finally {
    await gateway.close()
  }
}

const USAGE = { prompt_tokens: 1000, completion_tokens: 100, prompt_tokens_details: { cached_tokens: 400 } }
const ANSWER = {
  id: 'a',
  object: 'chat.completion',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop' }],
  usage: USAGE
}

t.test('an answer says what it cost, and a stream’s call does in the end', async t => {
  const upstream = await startUpstream((request, response) => {
    if (!request.body.toString().includes('"stream":true')) {
      response.setHeader('content-type', 'application/json')
      return response.end(JSON.stringify(ANSWER))
    }
    response.setHeader('content-type', 'text/event-stream')
    const piece = (more: object) => `data: ${JSON.stringify({ id: 'a', object: 'chat.completion.chunk', ...more })}\n\n`
    const says = request.body.toString().includes('include_usage')
    for (let index = 0; index < 20; index++)
      response.write(piece({ choices: [{ index: 0, delta: { content: ' word' }, finish_reason: null }] }))
    response.write(piece({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }))
    if (says) response.write(piece({ choices: [], usage: USAGE }))
    return response.end('data: [DONE]\n\n')
  })
  t.teardown(() => upstream.close())
  const entry = { model_name: 'm', provider: 'openai', api_base: upstream.url, api_key: 'x' }
  const price = { input: 2, output: 10, cache_read: 0.5 }
  const config = { model_list: [{ ...entry, price }] }
  const whole = await ask(config, false)
  t.equal(whole.headers['x-gateway-cost'], '0.0024')
  t.match(whole.call, { cost: 0.0024, costEstimated: undefined })
  const stream = await ask(config, true, { stream_options: { include_usage: true } })
  t.equal(stream.headers['x-gateway-cost'], undefined)
  t.match(stream.call, { cost: 0.0024, usage: { input: 1000 } })
  const silent = await ask(config, true)
  t.match(silent.call, { costEstimated: true, usage: undefined })
  const guessed = Number(silent.call['cost'])
  // Twenty words, and a prompt of a dozen tokens.
  t.ok(guessed > 0.0002 && guessed < 0.0005, `${guessed}`)
  const nobody = await ask({ model_list: [entry] }, false)
  t.equal(nobody.headers['x-gateway-cost'], undefined, 'the model’s price is not known')
  t.equal(nobody.call['cost'], undefined)
  const estimated = await ask({ model_list: [entry], spend: { unknown_price: 'estimate' } }, false)
  t.equal(estimated.headers['x-gateway-cost'], '0.0075')
  t.match(estimated.call, { cost: 0.0075, costEstimated: true })
})

t.test('what fails costs nothing, what is free costs nothing, and both say so', async t => {
  const free = await ask({ model_list: [{ model_name: 'm', provider: 'demo' }] }, true)
  t.equal(free.headers['x-gateway-cost'], '0')
  const failing = { model_list: [{ model_name: 'm', provider: 'demo', demo: { fail: '500' }, price: { input: 1 } }] }
  const failed = await ask({ ...failing, routing: { retries: 0 } } as PartialConfig, false)
  t.equal(failed.headers['x-gateway-cost'], '0')
  t.match(failed.call, { cost: 0, failure: 'upstream-failed' })
})

t.test('what this machine serves instead of a model that is sold is saved', async t => {
  const upstream = await startUpstream((_, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(ANSWER))
  })
  t.teardown(() => upstream.close())
  const gateway = await testGateway({
    model_list: [{ model_name: 'claude-*', provider: 'ollama', api_base: `${upstream.url}/v1`, model: 'qwen3:8b' }]
  })
  t.teardown(() => gateway.close())
  gateway.gateway.listPrices.read()
  const [path, body] = smallest('openai-chat', 'claude-sonnet-4-5')
  const { headers } = await post(gateway.url + path, body)
  t.equal(headers['x-gateway-cost'], '0')
  // 600 tokens at $3, 400 from the cache at $0.30, 100 at $15.
  t.match(gateway.records[0], { cost: 0, saved: 0.00342, savedBy: 'local' })
  t.match(await gateway.gateway.metrics.render(), 'gateway_savings_usd_total{by="local"} 0.00342')
})

t.test('where a name leads says what it costs', async t => {
  const gateway = await testGateway({
    model_list: [
      { model_name: 'sold', provider: 'openai', api_key: 'x', model: 'gpt-4o' },
      { model_name: 'own', provider: 'ollama' },
      { model_name: 'nobodys', provider: 'self-hosted', api_base: 'http://127.0.0.1:9', api_key: 'x' }
    ]
  })
  t.teardown(() => gateway.close())
  const prices = await Promise.all(
    ['sold', 'own', 'nobodys'].map(async name => {
      const response = await fetch(`${gateway.url}/admin/explain?model=${name}`)
      const { targets } = (await response.json()) as { targets: { price: unknown }[] }
      return targets[0]?.price
    })
  )
  t.match(prices, [{ input: 2.5, output: 10, cache_read: 1.25 }, { input: 0, output: 0 }, null])
})

t.test('what a cache answers is saved', async t => {
  const upstream = await startUpstream((_, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(ANSWER))
  })
  const gateway = await hookedGateway(
    {},
    {
      hooks: ['cache'],
      model_list: [
        { model_name: 'm', provider: 'openai', api_base: upstream.url, api_key: 'x', price: { input: 2, output: 10 } }
      ]
    }
  )
  t.teardown(() => Promise.all([gateway.close(), upstream.close()]))
  const [path, body] = smallest('openai-chat', 'm')
  t.match((await post(gateway.url + path, body)).headers, { 'x-gateway-cost': '0.003', 'x-gateway-cache': 'miss' })
  t.match((await post(gateway.url + path, body)).headers, { 'x-gateway-cost': '0', 'x-gateway-cache': 'hit' })
  t.match(gateway.records[1], { cost: 0, saved: 0.003, savedBy: 'cache' })
  t.match(await gateway.gateway.metrics.render(), 'gateway_savings_usd_total{by="cache"} 0.003')
})
