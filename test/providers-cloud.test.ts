// Azure, Bedrock and Vertex AI: addresses that are put together, requests that are shaped and signed.
import { generateKeyPairSync } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Reach, Wanted } from '../src/providers/wanted.ts'
import { temporaryFolder } from './support/process.ts'
import { type Asking, finished, headerOf, keyFile, reached, sent, textOf, type Variables } from './support/providers.ts'

t.test('azure: the v1 API, and the dated one where the address says so', async t => {
  const apiBase = 'https://res.openai.azure.com'
  for (const base of [apiBase, `${apiBase}/`, `${apiBase}/openai`, `${apiBase}/openai/v1/`]) {
    const request = await sent(reached('azure-openai', { apiBase: base, apiKey: 'k' }), { dialect: 'openai-chat' })
    t.equal(request.path, '/openai/v1/chat/completions', base)
    t.equal(headerOf(request, 'api-key'), 'k')
    t.equal(headerOf(request, 'authorization'), undefined)
  }
  const responses = await sent(reached('azure-openai', { apiBase, apiKey: 'k' }), { dialect: 'openai-responses' })
  t.equal(responses.path, '/openai/v1/responses')
  const entra = await sent(reached('azure-openai', { apiBase, apiKey: 'eyJ.a.b' }), { dialect: 'openai-chat' })
  t.equal(headerOf(entra, 'authorization'), 'Bearer eyJ.a.b')
  t.equal(headerOf(entra, 'api-key'), undefined)

  const named = reached('azure-openai', { apiBase: `${apiBase}/openai/deployments/gpt`, apiKey: 'k' })
  t.equal(
    (await sent(named, { dialect: 'openai-chat' })).path,
    '/openai/deployments/gpt/chat/completions?api-version=2024-10-21'
  )
  t.equal(
    (await sent(named, { dialect: 'openai-chat', operation: 'embeddings', query: '?a=1' })).path,
    '/openai/deployments/gpt/embeddings?a=1&api-version=2024-10-21'
  )
  const open = reached(
    'azure-openai',
    { apiBase: `${apiBase}/openai/deployments`, apiKey: 'k' },
    { AZURE_OPENAI_API_VERSION: '2025-01-01-preview' }
  )
  t.equal(
    (await sent(open, { dialect: 'openai-chat', model: 'a b/c' })).path,
    '/openai/deployments/a%20b%2Fc/chat/completions?api-version=2025-01-01-preview'
  )
  t.match(
    reached('azure-openai', { apiBase: `${apiBase}/openai/deployments`, dialect: 'anthropic' }),
    /openai-chat alone/
  )
  t.match(reached('azure-openai', {}), /`api_base` is missing.*your-name\.openai\.azure\.com/)
  const env = { AZURE_OPENAI_ENDPOINT: apiBase, AZURE_OPENAI_API_KEY: 'from-env' }
  t.equal(headerOf(await sent(reached('azure-openai', {}, env), { dialect: 'openai-chat' }), 'api-key'), 'from-env')
  t.match(reached('azure-openai', { apiBase }), { warning: /AZURE_OPENAI_API_KEY is not set/ })
})

t.test('bedrock: models are asked in their dialect, signed or with an API key', async t => {
  const apiBase = 'https://bedrock-runtime.eu-west-1.amazonaws.com'
  const spoken = (model: string, more: Partial<Wanted> = {}) => {
    const place = reached('bedrock', { apiBase, apiKey: 'ABSKxyz', model, ...more })
    if (typeof place === 'string') throw new Error(place)
    return place.surfaces.map(surface => surface.dialect)
  }
  for (const claude of ['anthropic.claude-x', 'eu.anthropic.claude-x', 'arn:aws:bedrock:eu:1:profile/us.anthropic.c'])
    t.same(spoken(claude), ['anthropic'], claude)
  t.same(spoken('openai.gpt-oss-120b-1:0'), ['openai-chat', 'openai-responses'])
  t.same(spoken('*'), ['openai-chat', 'openai-responses', 'anthropic'])
  t.same(spoken('anthropic.*'), ['anthropic'])
  t.same(spoken('opaque', { dialect: 'anthropic' }), ['anthropic'])

  const bearer = await sent(reached('bedrock', { apiBase, apiKey: 'ABSKxyz' }), { dialect: 'openai-chat' })
  t.equal(bearer.path, '/openai/v1/chat/completions')
  t.equal(headerOf(bearer, 'authorization'), 'Bearer ABSKxyz')
  const claude = await sent(reached('bedrock', { apiBase, apiKey: 'ABSKxyz' }), { dialect: 'anthropic' })
  t.equal(claude.path, '/anthropic/v1/messages')

  const secret = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'
  const pair = `AKIAIOSFODNN7EXAMPLE:${secret}`
  const signed = await sent(reached('bedrock', { apiBase, apiKey: pair }), {
    dialect: 'anthropic',
    query: '?beta=true'
  })
  t.match(
    headerOf(signed, 'authorization'),
    /^AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE\/\d{8}\/eu-west-1\/bedrock\/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=[0-9a-f]{64}$/
  )
  t.notMatch(JSON.stringify(signed.headers), secret, 'a secret that signs is never sent')
  t.equal(headerOf(signed, 'x-api-key'), undefined)
  const temporary = await sent(reached('bedrock', { apiBase, apiKey: `ASIA${pair.slice(4)}:TOKEN` }), {
    dialect: 'openai-chat'
  })
  t.equal(headerOf(temporary, 'x-amz-security-token'), 'TOKEN')

  const env = { AWS_ACCESS_KEY_ID: 'AKIAENV0000000000000', AWS_SECRET_ACCESS_KEY: secret, AWS_REGION: 'us-west-2' }
  const byEnv = reached('bedrock', {}, env)
  t.match(byEnv, { url: { origin: 'https://bedrock-runtime.us-west-2.amazonaws.com' } })
  t.match(
    headerOf(await sent(byEnv, { dialect: 'openai-chat' }), 'authorization'),
    /AKIAENV\w+\/\d{8}\/us-west-2\/bedrock\//
  )
  const both = await sent(reached('bedrock', {}, { ...env, AWS_BEARER_TOKEN_BEDROCK: 'b' }), { dialect: 'openai-chat' })
  t.equal(headerOf(both, 'authorization'), 'Bearer b')

  const mantle = await sent(reached('bedrock', { apiBase: 'https://bedrock-mantle.us-east-1.api.aws', apiKey: pair }), {
    dialect: 'openai-chat'
  })
  t.equal(mantle.path, '/v1/chat/completions')
  t.match(headerOf(mantle, 'authorization'), /us-east-1\/bedrock-mantle\/aws4_request/)
  t.match(reached('bedrock', {}), /api_base` is missing.*AWS_REGION is not set either/)
  t.match(reached('bedrock', { apiBase: 'http://127.0.0.1:9', apiKey: pair }), /the region is not known/)
  t.match(reached('bedrock', { apiBase }), { warning: /AWS_BEARER_TOKEN_BEDROCK.*will refuse/ })
  t.match(reached('bedrock', { apiBase, apiKey: '' }), { warning: undefined })
})

t.test('vertex: each kind of model at its place, in its dialect', async t => {
  const place = 'https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/europe-west4'
  const prefix = '/v1/projects/p/locations/europe-west4'
  const at = (model: string, more: Partial<Wanted> = {}) =>
    reached('vertex-ai', { apiBase: place, apiKey: 'ya29.token', model, ...more })
  const dialects = (result: Reach | string) =>
    typeof result === 'string' ? result : result.surfaces.map(s => s.dialect)
  t.same(dialects(at('gemini-2.5-pro')), ['gemini', 'openai-chat'])
  t.same(dialects(at('claude-sonnet-4-5@20250929')), ['anthropic'])
  t.same(dialects(at('meta/llama-4')), ['openai-chat'])
  t.same(dialects(at('*')), ['gemini', 'anthropic', 'openai-chat'])

  const gemini = await sent(at('*'), { dialect: 'gemini', model: 'google/gemini-2.5-pro', query: '?alt=sse' })
  t.equal(gemini.path, `${prefix}/publishers/google/models/gemini-2.5-pro:generateContent?alt=sse`)
  t.equal(headerOf(gemini, 'authorization'), 'Bearer ya29.token')
  const chat = await sent(at('*'), {
    dialect: 'openai-chat',
    model: 'gemini-2.5-pro',
    body: '{"a":"é","model" : "x","b":1}'
  })
  t.equal(chat.path, `${prefix}/endpoints/openapi/chat/completions`)
  t.equal(textOf(chat), '{"a":"é","model" : "google/gemini-2.5-pro","b":1}')
  t.equal(headerOf(chat, 'content-length'), String(Buffer.byteLength(textOf(chat))))
  const open = await sent(at('*'), { dialect: 'openai-chat', model: 'meta/llama-4', body: '{"model":"meta/llama-4"}' })
  t.equal(textOf(open), '{"model":"meta/llama-4"}')
  const own = reached('vertex-ai', { apiBase: `${place}/endpoints/123`, apiKey: 'ya29.token', model: 'm' })
  const endpoint = await sent(own, { dialect: 'openai-chat' })
  t.equal(endpoint.path, `${prefix}/endpoints/123/chat/completions`)
  t.equal(textOf(endpoint), '{"model":"m"}')

  const claude = async (body: string, more: Partial<Asking> = {}) => {
    const asking = { dialect: 'anthropic' as const, model: 'claude-x@2025', body, query: '?beta=true', ...more }
    const request = await sent(at('*'), asking)
    t.equal(headerOf(request, 'content-length'), String(request.bodyLength))
    t.equal(headerOf(request, 'x-api-key'), undefined)
    return [request.path, JSON.parse(textOf(request))] as const
  }
  const models = `${prefix}/publishers/anthropic/models`
  const version = { anthropic_version: 'vertex-2023-10-16' }
  t.same(await claude('{"max_tokens":1,"model":"c"}'), [
    `${models}/claude-x@2025:rawPredict`,
    { max_tokens: 1, ...version }
  ])
  t.same(await claude('{ "mod\\u0065l" : "c" , "x":[1],"stream":true}'), [
    `${models}/claude-x@2025:streamRawPredict`,
    { ...version, x: [1], stream: true }
  ])
  const mine = { anthropic_version: 'mine' }
  for (const body of [
    '{"model":"c","anthropic_version":"mine"}',
    '{"anthropic_version":"mine","model":"c"}',
    '{"anthropic_version":"mine" , "model":"c" }',
    '{"anthropic_version":"mine","model":"c","x":1}'
  ])
    t.same((await claude(body))[1], body.includes('"x"') ? { ...mine, x: 1 } : mine, body)
  t.same(await claude('{"model":"c","messages":[]}', { operation: 'count-tokens' }), [
    `${models}/count-tokens:rawPredict`,
    { model: 'c', messages: [], ...version }
  ])
  t.same((await claude('{}'))[1], version)
  t.match(await finished(at('*'), { dialect: 'anthropic', body: 'nonsense' }), { kind: 'invalid-request' })
})

t.test('vertex: the project and the region come from the address, the environment or the key file', async t => {
  const folder = temporaryFolder()
  t.teardown(() => folder.remove())
  const file = join(folder.path, 'key.json')
  writeFileSync(file, keyFile())
  const basesOf = (more: Partial<Wanted>, variables: Variables = {}) => {
    const place = reached('vertex-ai', { model: 'gemini-x', ...more }, variables)
    return typeof place === 'string' ? place : place.url.origin + place.surfaces[0]?.base
  }
  const end = '/publishers/google'
  t.equal(
    basesOf({}, { GOOGLE_APPLICATION_CREDENTIALS: file }),
    `https://aiplatform.googleapis.com/v1/projects/proj/locations/global${end}`
  )
  t.equal(
    basesOf({ apiKey: file }, { GOOGLE_CLOUD_PROJECT: 'other', GOOGLE_CLOUD_LOCATION: 'us-central1' }),
    `https://us-central1-aiplatform.googleapis.com/v1/projects/other/locations/us-central1${end}`
  )
  t.equal(
    basesOf({ apiKey: keyFile() }, { GOOGLE_CLOUD_LOCATION: 'eu' }),
    `https://aiplatform.eu.rep.googleapis.com/v1/projects/proj/locations/eu${end}`
  )
  t.equal(basesOf({ apiKey: 'AIzaKey' }), `https://aiplatform.googleapis.com/v1${end}`, 'express mode')
  const express = await sent(reached('vertex-ai', { apiKey: 'AIzaKey' }), { dialect: 'gemini' })
  t.equal(headerOf(express, 'x-goog-api-key'), 'AIzaKey')
  t.match(basesOf({ apiKey: 'ya29.x' }), /the project is not known/)
  t.match(reached('vertex-ai', { apiBase: 'https://h.example/v1/projects/p/locations/l' }), {
    warning: /GOOGLE_APPLICATION_CREDENTIALS is not set/
  })
})

t.test('a name that a client chose cannot lead out of its place', async t => {
  const azure = reached('azure-openai', { apiBase: 'https://r.openai.azure.com/openai/deployments', apiKey: 'k' })
  const vertex = reached('vertex-ai', { apiBase: 'https://h.example/v1/projects/p/locations/l', apiKey: 'ya29.t' })
  for (const model of ['..', '.', '../../x', 'a/../../../../../../projects/other', 'a/..', '..\\x', 'x/./y']) {
    t.match(await finished(azure, { dialect: 'openai-chat', model }), { kind: 'invalid-request' }, model)
    for (const dialect of ['gemini', 'anthropic', 'openai-chat'] as const)
      t.match(await finished(vertex, { dialect, model }), { kind: 'invalid-request' }, model)
  }
  for (const model of ['gpt-4.1', 'a..b', 'v1.', '.hidden'])
    t.match(await finished(azure, { dialect: 'openai-chat', model }), { method: 'POST' }, model)
})

t.test('vertex: a bad key file is named, and nothing of it is told', async t => {
  const folder = temporaryFolder()
  t.teardown(() => folder.remove())
  const file = join(folder.path, 'key.json')
  const elliptic = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
    type: 'pkcs8',
    format: 'pem'
  })
  const bad: [string, RegExp][] = [
    ['SECRET-1234 not json', /key\.json is not JSON/],
    ['["SECRET-1234"]', /key\.json is not JSON/],
    ['{"type":"SECRET-1234"}', /type is not service_account/],
    [keyFile({ private_key: 'SECRET-1234' }), /private_key is not an RSA key/],
    [keyFile({ private_key: String(elliptic) }), /private_key is not an RSA key/],
    [keyFile({ private_key: undefined }), /client_email or private_key is missing/],
    [keyFile({ client_email: 7 }), /client_email or private_key is missing/],
    [keyFile({ token_uri: 'http://evil.example/SECRET-1234' }), /token_uri is not an https address/],
    [keyFile({ token_uri: 'file:///etc/passwd' }), /token_uri is not an https address/],
    ['{"type":"authorized_user","refresh_token":"SECRET-1234"}', /client_id, client_secret or refresh_token is missing/]
  ]
  for (const [text, told] of bad) {
    writeFileSync(file, text)
    const result = reached('vertex-ai', { apiKey: file })
    t.match(result, told)
    t.notMatch(result, /SECRET-1234|PRIVATE KEY/)
  }
  rmSync(file)
  t.match(reached('vertex-ai', { apiKey: file }), /key\.json cannot be read \(ENOENT\)/)
})
