// Access tokens of Google, from a server of our own.
import { createVerify } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Failure } from '../src/chat/failure.ts'
import type { Wire } from '../src/lib/wire.ts'
import { readGoogleCredential } from '../src/providers/google-credential.ts'
import { TokenSource } from '../src/providers/google-token.ts'
import { Pools } from '../src/upstream/pools.ts'
import { temporaryFolder } from './support/process.ts'
import { finished, headerOf, keyFile, PEM, PUBLIC_KEY, reached, sent } from './support/providers.ts'
import { type ReceivedRequest, startUpstream } from './support/upstream.ts'

interface TokenServer {
  readonly url: string
  readonly requests: ReceivedRequest[]
  readonly wireTo: (origin: string) => Wire
}

async function tokenServer(
  test: { teardown(end: () => Promise<void>): void },
  answer: (count: number) => { status?: number; body: unknown; date?: string } | undefined
): Promise<TokenServer> {
  let count = 0
  const server = await startUpstream((_, response) => {
    const said = answer(++count)
    if (said === undefined) {
      response.socket?.destroy()
      return
    }
    response.writeHead(said.status ?? 200, {
      'content-type': 'application/json',
      ...(said.date !== undefined && { date: said.date })
    })
    response.end(typeof said.body === 'string' ? said.body : JSON.stringify(said.body))
  })
  const pools = new Pools()
  test.teardown(async () => {
    await pools.close()
    await server.close()
  })
  return { url: server.url, requests: server.requests, wireTo: origin => pools.wire(origin) }
}

function sourceAt(server: TokenServer, now: () => number): TokenSource {
  const credential = readGoogleCredential(keyFile({ token_uri: `${server.url}/token` }), 'test')
  if (typeof credential === 'string') throw new Error(credential)
  return new TokenSource(() => credential, server.wireTo, now)
}

t.test('a token is bought with a signed assertion, and kept until shortly before its end', async t => {
  const server = await tokenServer(t, count => ({ body: { access_token: `ya29.${count}`, expires_in: 3600 } }))
  let now = Date.parse('2026-01-01T00:00:00Z')
  const source = sourceAt(server, () => now)
  const first = [source.token(), source.token(), source.token()]
  t.same(await Promise.all(first), ['ya29.1', 'ya29.1', 'ya29.1'], 'who asks at once waits for the same answer')
  t.equal(server.requests.length, 1)
  const [request] = server.requests
  t.match(request, { method: 'POST', url: '/token', headers: { 'content-type': 'application/x-www-form-urlencoded' } })
  const form = new URLSearchParams(request?.body.toString())
  t.equal(form.get('grant_type'), 'urn:ietf:params:oauth:grant-type:jwt-bearer')
  const [header = '', claims = '', signature = ''] = (form.get('assertion') ?? '').split('.')
  const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString())
  t.same(read(header), { alg: 'RS256', typ: 'JWT', kid: 'kid-1' })
  t.same(read(claims), {
    iss: 'robot@proj.iam.gserviceaccount.com',
    scope: 'https://www.googleapis.com/auth/cloud-platform',
    aud: `${server.url}/token`,
    iat: now / 1000,
    exp: now / 1000 + 3600
  })
  const verified = createVerify('sha256').update(`${header}.${claims}`).verify(PUBLIC_KEY, signature, 'base64url')
  t.ok(verified, 'the signature is of the key in the file')

  now += 3_200_000
  t.equal(source.token(), 'ya29.1', 'at once, from the cache')
  now += 200_000
  t.equal(source.token(), 'ya29.1', 'near its end the old one serves while a new one comes')
  await until(() => source.token() === 'ya29.2')
  t.equal(server.requests.length, 2)
  now += 3_600_000
  t.equal(await source.token(), 'ya29.3', 'one that has ended is never used')
})

t.test('a refresh that fails does not harm a token that still lives, and is not repeated at once', async t => {
  const server = await tokenServer(t, count =>
    count === 2 ? { status: 503, body: 'down' } : { body: { access_token: `ya29.${count}`, expires_in: 1000 } }
  )
  let now = 1_800_000_000_000
  const source = sourceAt(server, () => now)
  t.equal(await source.token(), 'ya29.1')
  now += 800_000
  t.equal(source.token(), 'ya29.1')
  await until(() => server.requests.length === 2)
  await new Promise(resolve => setTimeout(resolve, 50))
  for (let times = 0; times < 20; times++) t.equal(source.token(), 'ya29.1')
  t.equal(server.requests.length, 2)
  now += 6000
  t.equal(source.token(), 'ya29.1')
  await until(() => source.token() === 'ya29.3')
})

t.test('what a token server refuses is told without a secret, and a clock that is wrong is named', async t => {
  const echo = (body: unknown, status = 400, date?: string) => ({ status, body, ...(date !== undefined && { date }) })
  const now = Date.parse('2026-01-01T12:00:00Z')
  const on = (minutes: number) => new Date(now + minutes * 60_000).toUTCString()
  const cases: [ReturnType<Parameters<typeof tokenServer>[1]>, RegExp, string][] = [
    [
      echo({ error: 'invalid_grant', error_description: PEM }, 400, on(0)),
      /gave no access token \(400, invalid_grant\)/,
      'upstream-refused-key'
    ],
    [echo({ error: `SECRET ${PEM}` }, 401, on(0)), /gave no access token \(401\)\.$/, 'upstream-refused-key'],
    [echo({ error: 'invalid_grant' }, 400, on(47)), /clock is 47 minutes behind/, 'upstream-refused-key'],
    [echo({ error: 'invalid_grant' }, 400, on(-90)), /clock is 90 minutes ahead/, 'upstream-refused-key'],
    [echo('<html>', 500, on(0)), /gave no access token \(500\)/, 'upstream-failed'],
    [echo('not json', 200), /answered without an access token/, 'upstream-failed'],
    [echo({ access_token: 'a\r\nevil: 1' }, 200), /answered without an access token/, 'upstream-failed'],
    [echo({ access_token: 5 }, 200), /answered without an access token/, 'upstream-failed'],
    [undefined, /Cannot get an access token from/, 'upstream-down']
  ]
  for (const [answer, told, kind] of cases) {
    const server = await tokenServer(t, () => answer)
    const source = sourceAt(server, () => now)
    const result = await source.token()
    t.match(result, { kind, message: told })
    t.ok(result instanceof Failure && result.tryNext, 'another target may do better')
    const whole = JSON.stringify(result)
    t.notMatch(whole, /PRIVATE KEY|SECRET|assertion|eyJ/)
    t.equal(source.token(), result, 'the next who asks is told the same, and nobody is asked')
    t.equal(server.requests.length, 1)
  }
})

t.test('a life that makes no sense is a short one', async t => {
  for (const life of [undefined, 'x', -5, 0, null]) {
    const server = await tokenServer(t, count => ({ body: { access_token: `t${count}`, expires_in: life } }))
    let now = 1_800_000_000_000
    const source = sourceAt(server, () => now)
    t.equal(await source.token(), 't1')
    now += 100_000
    t.equal(source.token(), 't1')
    now += 300_000
    t.equal(await source.token(), 't2')
  }
})

t.test('vertex: a request carries the token of its key file, and a new file is read for the next one', async t => {
  const server = await tokenServer(t, count => ({ body: { access_token: `ya29.${count}`, expires_in: 0.02 } }))
  const folder = temporaryFolder()
  t.teardown(() => folder.remove())
  const file = join(folder.path, 'key.json')
  writeFileSync(file, keyFile({ token_uri: `${server.url}/token` }))
  const place = reached('vertex-ai', { apiKey: file, model: 'gemini-x' }, {}, server.wireTo)
  t.equal(headerOf(await sent(place, { dialect: 'gemini' }), 'authorization'), 'Bearer ya29.1')
  await new Promise(resolve => setTimeout(resolve, 60))
  writeFileSync(file, keyFile({ token_uri: `${server.url}/other` }))
  t.equal(headerOf(await sent(place, { dialect: 'gemini' }), 'authorization'), 'Bearer ya29.2')
  t.same(
    server.requests.map(request => request.url),
    ['/token', '/other']
  )
  await new Promise(resolve => setTimeout(resolve, 60))
  writeFileSync(file, 'gone wrong')
  t.match(await finished(place, { dialect: 'gemini' }), {
    kind: 'upstream-refused-key',
    message: /vertex-ai: .*key\.json is not JSON/
  })
})

t.test('what gcloud leaves behind for a user is taken too', async t => {
  const server = await tokenServer(t, () => ({ body: { access_token: 'ya29.user', expires_in: 3599 } }))
  const user = {
    type: 'authorized_user',
    client_id: 'id',
    client_secret: 'shh',
    refresh_token: '1//refresh',
    quota_project_id: 'mine',
    token_uri: `${server.url}/token`
  }
  const place = reached('vertex-ai', { apiKey: JSON.stringify(user), model: 'gemini-x' }, {}, server.wireTo)
  const request = await sent(place, { dialect: 'gemini' })
  t.match(request.path, /projects\/mine\//)
  t.equal(headerOf(request, 'authorization'), 'Bearer ya29.user')
  t.same(Object.fromEntries(new URLSearchParams(server.requests[0]?.body.toString())), {
    grant_type: 'refresh_token',
    client_id: 'id',
    client_secret: 'shh',
    refresh_token: '1//refresh'
  })
})

async function until(holds: () => boolean): Promise<void> {
  for (let times = 0; times < 200 && !holds(); times++) await new Promise(resolve => setTimeout(resolve, 5))
  if (!holds()) throw new Error('it never came true')
}
