import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Keyring } from '../src/keys/keyring.ts'
import { testGateway } from './support/app.ts'
import { post } from './support/ask.ts'
import { MASTER_KEY } from './support/keys.ts'
import { temporaryFolder } from './support/process.ts'

const AS_MASTER = { authorization: `Bearer ${MASTER_KEY}` }

t.test('those who use the master key alone have no database, until they make a key', { timeout: 600_000 }, async t => {
  const folder = temporaryFolder()
  const logged: string[] = []
  const keyring = new Keyring({ databaseUrl: '', dataDir: folder.path }, (_, message) => logged.push(message))
  const config = { auth: { master_key: MASTER_KEY }, model_list: [{ model_name: 'demo', provider: 'demo' }] }
  const gateway = await testGateway(config, { keyring })
  t.teardown(async () => {
    await gateway.close()
    folder.remove()
  })
  let woken = 0
  keyring.onWake(() => woken++)
  keyring.wake()
  const chat = (key: string) =>
    post(
      `${gateway.url}/v1/chat/completions`,
      { model: 'demo', messages: [{ role: 'user', content: 'Hi' }] },
      { authorization: `Bearer ${key}` }
    )

  t.equal((await chat(MASTER_KEY)).status, 200)
  const stranger = await chat('sk-0123456789-nobody')
  t.equal(stranger.status, 401, 'at once: there is no database that could know it')
  t.match(stranger.text, /not known here/)
  t.equal(keyring.state, 'disabled')
  t.notOk(existsSync(join(folder.path, 'pg')))
  t.equal(woken, 0)

  const [made, listed] = await Promise.all([
    post(`${gateway.url}/key/generate`, { key_alias: 'first' }, AS_MASTER),
    post(`${gateway.url}/key/generate`, { key_alias: 'second' }, AS_MASTER)
  ])
  t.equal(made.status, 200, made.text)
  t.equal(listed.status, 200, 'both waited for the same database')
  t.equal(woken, 1)
  t.ok(existsSync(join(folder.path, 'pg', 'PG_VERSION')))
  t.equal((await chat(String(made.json?.['key']))).status, 200)
  t.equal(logged.filter(line => line.startsWith('keys are on')).length, 1)
})

t.test('an administrator does not wait for a database that is known to be away', async t => {
  const folder = temporaryFolder()
  const databaseUrl = 'postgres://nobody@127.0.0.1:1/none'
  const keyring = new Keyring({ databaseUrl, dataDir: folder.path }, () => undefined)
  const config = { auth: { master_key: MASTER_KEY }, model_list: [{ model_name: 'demo', provider: 'demo' }] }
  const gateway = await testGateway(config, { keyring })
  t.teardown(async () => {
    await gateway.close()
    folder.remove()
  })
  for (const which of ['first', 'second']) {
    const began = performance.now()
    const answer = await post(`${gateway.url}/key/generate`, {}, AS_MASTER)
    t.equal(answer.status, 503, which)
    t.ok(performance.now() - began < 15_000)
  }
})
