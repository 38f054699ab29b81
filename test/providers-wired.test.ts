// Clouds through a whole gateway: what their servers receive.

import { writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import { signV4 } from '../src/providers/sigv4.ts'
import { type PartialConfig, type TestGateway, testGateway } from './support/app.ts'
import { post } from './support/ask.ts'
import { temporaryFolder } from './support/process.ts'
import { keyFile } from './support/providers.ts'
import { type Answer, type ReceivedRequest, startUpstream, type Upstream } from './support/upstream.ts'

const CREDENTIALS = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'
}
const MESSAGE = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'c',
  content: [{ type: 'text', text: 'hi' }],
  stop_reason: 'end_turn',
  usage: { input_tokens: 1, output_tokens: 1 }
}
const ask = (more: Record<string, unknown> = {}) => ({
  model: 'm',
  max_tokens: 5,
  messages: [{ role: 'user', content: 'hello' }],
  ...more
})

const answerMessage: Answer = (_, response) => {
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify(MESSAGE))
}

async function setUp(
  test: { teardown(end: () => Promise<void>): void },
  answer: Answer,
  config: (url: string) => PartialConfig,
  variables: Record<string, string> = {}
): Promise<{ upstream: Upstream; gateway: TestGateway }> {
  const upstream = await startUpstream(answer)
  const gateway = await testGateway(config(upstream.url), { variables })
  test.teardown(async () => {
    await gateway.close()
    await upstream.close()
  })
  return { upstream, gateway }
}

/** What AWS does with a request: the same sum again, over what came. */
function isSigned({ method, url, headers, body }: ReceivedRequest): boolean {
  const said = String(headers['x-amz-date'])
  const at = new Date(said.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
  const type = String(headers['content-type'])
  const signable = {
    method,
    path: url,
    host: String(headers.host),
    headers: [['content-type', type]] as const,
    body: [body]
  }
  const own = signV4(signable, CREDENTIALS, 'eu-west-1', 'bedrock', at)
  return own[own.indexOf('authorization') + 1] === headers['authorization']
}

const COMPLETION = {
  id: 'c',
  object: 'chat.completion',
  model: 'g',
  choices: [{ index: 0, message: { role: 'assistant', content: 'x' }, finish_reason: 'stop' }]
}

t.test('bedrock: what arrives is signed, passed or translated, large or small', async t => {
  const { upstream, gateway } = await setUp(
    t,
    answerMessage,
    url => ({
      model_list: [
        {
          model_name: 'm',
          provider: 'bedrock',
          model: 'eu.anthropic.claude-x',
          api_base: url,
          api_key: `${CREDENTIALS.accessKeyId}:${CREDENTIALS.secretAccessKey}`
        }
      ]
    }),
    { AWS_REGION: 'eu-west-1' }
  )
  const large = ask({ messages: [{ role: 'user', content: 'x'.repeat(300_000) }] })
  for (const [path, body] of [
    ['/v1/messages', ask()],
    ['/v1/messages?beta=true', large],
    ['/v1/chat/completions', ask()]
  ] as const) {
    const answer = await post(`${gateway.url}${path}`, JSON.stringify(body))
    t.equal(answer.status, 200, path)
    const received = upstream.requests.at(-1)
    t.ok(received !== undefined && isSigned(received), path)
    t.match(received?.url, /^\/anthropic\/v1\/messages/)
    t.match(received?.body.toString(), /"model":"eu\.anthropic\.claude-x"/)
    t.notMatch(JSON.stringify(received?.headers), CREDENTIALS.secretAccessKey)
  }
})

function tokensAnd(next: Answer, status = 200): Answer {
  return (request, response) => {
    if (request.url !== '/token') return next(request, response)
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(
      JSON.stringify(status === 200 ? { access_token: 'ya29.t', expires_in: 3600 } : { error: 'invalid_grant' })
    )
  }
}

/** A file whose tokens come from the upstream itself. */
function keyAt(test: { teardown(end: () => void): void }, url: () => string): () => string {
  const folder = temporaryFolder()
  test.teardown(() => folder.remove())
  const file = join(folder.path, 'key.json')
  return () => {
    writeFileSync(file, keyFile({ token_uri: `${url()}/token` }))
    return file
  }
}

t.test('vertex: Claude is asked where Google wants it, with one token for all', async t => {
  let address = ''
  const key = keyAt(t, () => address)
  const { upstream, gateway } = await setUp(t, tokensAnd(answerMessage), url => {
    address = url
    return {
      model_list: [{ model_name: 'm', provider: 'vertex-ai', model: 'claude-x@1', api_base: url, api_key: key() }]
    }
  })
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => post(`${gateway.url}/v1/messages?beta=true`, JSON.stringify(ask())))
  )
  t.same(
    answers.map(answer => answer.status),
    Array(20).fill(200)
  )
  const [tokens, calls] = [
    upstream.requests.filter(request => request.url === '/token'),
    upstream.requests.filter(request => request.url !== '/token')
  ]
  t.equal(tokens.length, 1)
  t.equal(calls.length, 20)
  for (const { url, headers, body } of calls) {
    t.equal(url, '/v1/projects/proj/locations/global/publishers/anthropic/models/claude-x@1:rawPredict')
    t.equal(headers['authorization'], 'Bearer ya29.t')
    t.same(JSON.parse(body.toString()), {
      anthropic_version: 'vertex-2023-10-16',
      max_tokens: 5,
      messages: [{ role: 'user', content: 'hello' }]
    })
  }
  await post(`${gateway.url}/v1/messages`, JSON.stringify(ask({ stream: true })))
  t.match(upstream.requests.at(-1)?.url, /:streamRawPredict$/)
  t.equal(gateway.bugs.length, 0)
})

t.test('vertex: without a token the next target is asked; when there is none, it is told what is wrong', async t => {
  let address = ''
  const key = keyAt(t, () => address)
  const { upstream, gateway } = await setUp(t, tokensAnd(answerMessage, 400), url => {
    address = url
    const vertex = { provider: 'vertex-ai', model: 'claude-x', api_base: url, api_key: key() }
    return {
      model_list: [
        { model_name: 'm', ...vertex },
        { model_name: 'other', ...vertex },
        { model_name: 'demo', provider: 'demo' }
      ],
      routing: { fallbacks: { m: ['demo'] } }
    }
  })
  const fallen = await post(`${gateway.url}/v1/messages`, JSON.stringify(ask()))
  t.equal(fallen.status, 200)
  t.equal(fallen.headers['x-provider'], 'demo')
  const alone = await post(`${gateway.url}/v1/messages`, JSON.stringify(ask({ model: 'other' })))
  t.equal(alone.status, 502)
  t.match(alone.json, { error: { message: /gave no access token \(400, invalid_grant\)/ } })
  t.notMatch(JSON.stringify(alone.json), /PRIVATE KEY|eyJ/)
  t.ok(upstream.requests.every(request => request.url === '/token'))
})

t.test('vertex: nothing is sent for a client that left while its token was fetched', async t => {
  let address = ''
  const key = keyAt(t, () => address)
  let give: (() => void) | undefined
  const { upstream, gateway } = await setUp(
    t,
    (request, response) => {
      if (request.url === '/token') give = () => tokensAnd(answerMessage)(request, response)
      else answerMessage(request, response)
    },
    url => {
      address = url
      return {
        model_list: [{ model_name: 'm', provider: 'vertex-ai', model: 'claude-x', api_base: url, api_key: key() }]
      }
    }
  )
  const client = httpRequest(`${gateway.url}/v1/messages`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' }
  })
  client.on('error', () => undefined)
  client.end(JSON.stringify(ask()))
  await upstream.received(1)
  client.destroy()
  while (gateway.records.length === 0) await new Promise(resolve => setTimeout(resolve, 5))
  give?.()
  await new Promise(resolve => setTimeout(resolve, 50))
  t.equal(upstream.requests.length, 1)
  t.match(gateway.records, [{ clientGone: true }])
  const later = await post(`${gateway.url}/v1/messages`, JSON.stringify(ask()))
  t.equal(later.status, 200, 'the token was not lost')
  t.equal(upstream.requests.filter(request => request.url === '/token').length, 1)
})

t.test('azure: the dated address, and a key in its own header', async t => {
  const { upstream, gateway } = await setUp(
    t,
    (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify(COMPLETION))
    },
    url => ({
      model_list: [
        { model_name: 'm', provider: 'azure-openai', model: 'gpt', api_base: `${url}/openai/deployments`, api_key: 'k' }
      ]
    })
  )
  for (const path of ['/v1/chat/completions', '/v1/messages'])
    t.equal((await post(`${gateway.url}${path}`, JSON.stringify(ask()))).status, 200)
  for (const request of upstream.requests) {
    t.equal(request.url, '/openai/deployments/gpt/chat/completions?api-version=2024-10-21')
    t.equal(request.headers['api-key'], 'k')
  }
})

t.test('what a provider refuses is left out of a translated request and told; what passes is not touched', async t => {
  const { upstream, gateway } = await setUp(
    t,
    (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify(COMPLETION))
    },
    url => ({ model_list: [{ model_name: 'm', provider: 'cerebras', api_base: `${url}/v1`, api_key: 'k' }] })
  )
  const tools = [{ name: 'f', input_schema: { type: 'object', properties: {} } }]
  const choice = { type: 'auto', disable_parallel_tool_use: true }
  const translated = await post(`${gateway.url}/v1/messages`, JSON.stringify(ask({ tools, tool_choice: choice })))
  t.equal(translated.status, 200)
  t.match(translated.headers['x-gateway-dropped'], /parallel_tool_calls/)
  t.notMatch(upstream.requests.at(-1)?.body.toString(), /parallel_tool_calls/)
  const passing = JSON.stringify(ask({ parallel_tool_calls: false }))
  t.equal((await post(`${gateway.url}/v1/chat/completions`, passing)).status, 200)
  t.equal(upstream.requests.at(-1)?.body.toString(), passing)
})

t.test('a route that passes anything does not lead to what has to be signed', async t => {
  const { upstream, gateway } = await setUp(
    t,
    answerMessage,
    url => ({
      backends: { aws: { provider: 'bedrock', api_base: url, api_key: 'AKIAIOSFODNN7EXAMPLE:secretsecret' } }
    }),
    { AWS_REGION: 'eu-west-1' }
  )
  const answer = await post(`${gateway.url}/v1/images/generations?backend=aws`, '{}')
  t.equal(answer.status, 400)
  t.equal(upstream.requests.length, 0)
})
