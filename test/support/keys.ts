import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { request } from 'undici'
import { Failure } from '../../src/chat/failure.ts'
import { Keyring, type KeyringSettings } from '../../src/keys/keyring.ts'
import { declareKeys } from '../../src/server/admin/declared.ts'
import { openEmbedded } from '../../src/store/embedded.ts'
import type { Store } from '../../src/store/store.ts'
import { type PartialConfig, type TestGateway, testGateway } from './app.ts'
import { type Asked, post, smallest } from './ask.ts'
import { temporaryFolder } from './process.ts'
import { until } from './store.ts'

export const MASTER_KEY = 'sk-master-of-the-tests'

export interface KeyedGateway extends TestGateway {
  readonly keyring: Keyring
  readonly store: Store
  /** What the gateway said on its own. */
  readonly logged: string[]
  /** As the administrator, or with another key: POST with a body, else GET. */
  manage(path: string, body?: object | string, key?: string, method?: string): Promise<Asked>
  /** A key that was made with these fields. */
  make(fields?: object): Promise<string>
  /** The smallest chat. */
  chat(key: string, model?: string, headers?: Record<string, string>): Promise<Asked>
}

const CONFIG: PartialConfig = {
  auth: { master_key: MASTER_KEY },
  aliases: { nick: 'demo' },
  model_list: [
    { model_name: 'demo', provider: 'demo', model: 'demo' },
    { model_name: 'gpt-4o', provider: 'demo', model: 'demo', price: { input: 2.5, output: 10 } },
    { model_name: 'gpt-4o-mini', provider: 'demo', model: 'demo' },
    { model_name: 'claude-*', provider: 'demo', model: 'demo' }
  ]
}

const MADE = fileURLToPath(new URL('../../../.tap', import.meta.url))
const { dependencies } = createRequire(import.meta.url)('../../../package.json') as {
  dependencies: Record<string, string>
}

/** An embedded database as it is when it has just been made, which takes seconds: it is made once, and copied from then on. */
async function putDatabase(dataDir: string): Promise<void> {
  const template = join(MADE, `pg-${dependencies['@electric-sql/pglite']}`)
  if (!existsSync(template)) {
    mkdirSync(MADE, { recursive: true })
    const making = mkdtempSync(join(MADE, 'making-'))
    const made = await openEmbedded(making, () => undefined)
    if (made instanceof Failure) throw new Error(made.message)
    await made.close()
    // Another test may have been faster.
    if (!existsSync(template)) renameSync(join(making, 'pg'), template)
    rmSync(making, { recursive: true })
  }
  cpSync(template, join(dataDir, 'pg'), { recursive: true })
}

/** A gateway with keys, on the embedded database unless an address is given. */
export async function keyedGateway(
  t: Test,
  settings: Partial<KeyringSettings> = {},
  config: PartialConfig = {}
): Promise<KeyedGateway> {
  const folder = temporaryFolder()
  if (!settings.databaseUrl) await putDatabase(folder.path)
  const logged: string[] = []
  const keyring = new Keyring({ databaseUrl: '', dataDir: folder.path, ...settings }, (_, message) =>
    logged.push(message)
  )
  const gateway = await testGateway({ ...CONFIG, ...config }, { keyring })
  t.teardown(async () => {
    await gateway.close()
    folder.remove()
  })
  declareKeys(gateway.gateway, keyring, (_, message) => logged.push(message))
  keyring.wake(true)
  await until(() => keyring.store !== undefined, 60_000)
  const { store } = keyring
  if (store === undefined) throw new Error('there is no store')
  const manage: KeyedGateway['manage'] = async (path, body, key = MASTER_KEY, method) => {
    const headers = { authorization: `Bearer ${key}` }
    if (method === undefined && body !== undefined) return post(gateway.url + path, body, headers)
    const answer = await request(gateway.url + path, {
      method: method === 'DELETE' || method === 'PATCH' ? method : 'GET',
      headers: { ...headers, 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body)
    })
    const text = await answer.body.text()
    return {
      status: answer.statusCode,
      headers: answer.headers,
      text,
      json: JSON.parse(text) as Record<string, unknown>
    }
  }
  return {
    ...gateway,
    keyring,
    store,
    logged,
    manage,
    make: async (fields = {}) => {
      const { status, json, text } = await manage('/key/generate', fields)
      if (status !== 200) throw new Error(text)
      return String(json?.['key'])
    },
    chat: (key, model = 'demo', headers = {}) => {
      const [path, body] = smallest('openai-chat', model)
      return post(gateway.url + path, body, { authorization: `Bearer ${key}`, ...headers })
    }
  }
}
