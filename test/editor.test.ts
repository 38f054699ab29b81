// What a person sees who writes gateway.yaml in an editor: the real language server, over stdio, with the file's own modeline.
import { type ChildProcess, spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import t from 'tap'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const MODELINE = '# yaml-language-server: $schema=./schemas/gateway.schema.json\n'

interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: unknown
  readonly result?: unknown
}
interface Diagnostic {
  readonly message: string
  readonly range: { readonly start: { readonly line: number; readonly character: number } }
}

/** As much of the Language Server Protocol as a test needs. */
class Editor {
  readonly #process: ChildProcess
  readonly #answers = new Map<number, (result: unknown) => void>()
  readonly #diagnostics = new Map<string, (found: readonly Diagnostic[]) => void>()
  #unread = Buffer.alloc(0)
  #lastId = 0
  #files = 0

  constructor() {
    const server = join(root, 'node_modules/yaml-language-server/bin/yaml-language-server')
    this.#process = spawn(process.execPath, [server, '--stdio'], { cwd: root, stdio: ['pipe', 'pipe', 'ignore'] })
    this.#process.stdout?.on('data', (chunk: Buffer) => this.#read(chunk))
  }

  async start(): Promise<void> {
    const capabilities = {
      textDocument: { completion: { completionItem: { snippetSupport: true } } },
      workspace: { configuration: true }
    }
    await this.#ask('initialize', { processId: process.pid, rootUri: pathToFileURL(root).href, capabilities })
    this.#tell('initialized', {})
  }

  stop(): void {
    this.#process.kill()
  }

  /** Opens a file that is in no folder, and waits for what is marked in it. */
  async open(text: string): Promise<{ uri: string; marks: string[] }> {
    const uri = pathToFileURL(join(root, `unsaved-${++this.#files}.yaml`)).href
    const found = new Promise<readonly Diagnostic[]>(resolve => this.#diagnostics.set(uri, resolve))
    this.#tell('textDocument/didOpen', { textDocument: { uri, languageId: 'yaml', version: 1, text } })
    const marks = (await found).map(
      ({ message, range: { start } }) => `${start.line + 1}:${start.character + 1} ${message}`
    )
    return { uri, marks }
  }

  async complete(text: string, line: number, column: number): Promise<string[]> {
    const { uri } = await this.open(text)
    const position = { line: line - 1, character: column - 1 }
    const result = (await this.#ask('textDocument/completion', { textDocument: { uri }, position })) as {
      items: { label: string }[]
    }
    return result.items.map(item => item.label)
  }

  async hover(text: string, line: number, column: number): Promise<string> {
    const { uri } = await this.open(text)
    const position = { line: line - 1, character: column - 1 }
    return JSON.stringify(await this.#ask('textDocument/hover', { textDocument: { uri }, position }))
  }

  #ask(method: string, params: unknown): Promise<unknown> {
    const id = ++this.#lastId
    const answer = new Promise<unknown>(resolve => this.#answers.set(id, resolve))
    this.#send({ id, method, params })
    return answer
  }

  #tell(method: string, params: unknown): void {
    this.#send({ method, params })
  }

  #send(message: Message): void {
    const body = JSON.stringify({ jsonrpc: '2.0', ...message })
    this.#process.stdin?.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
  }

  #read(chunk: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, chunk])
    for (;;) {
      const head = this.#unread.indexOf('\r\n\r\n')
      if (head < 0) return
      const length = Number(/Content-Length: (\d+)/i.exec(this.#unread.toString('latin1', 0, head))?.[1])
      if (this.#unread.length < head + 4 + length) return
      const body = this.#unread.toString('utf8', head + 4, head + 4 + length)
      this.#unread = this.#unread.subarray(head + 4 + length)
      this.#hear(JSON.parse(body))
    }
  }

  #hear({ id, method, params, result }: Message): void {
    if (method === 'workspace/configuration' && id !== undefined) {
      const settings = { validate: true, completion: true, hover: true, schemaStore: { enable: false } }
      const { items } = params as { items: { section?: string }[] }
      this.#send({ id, result: items.map(item => (item.section === 'yaml' ? settings : null)) })
    } else if (method === 'textDocument/publishDiagnostics') {
      const { uri, diagnostics } = params as { uri: string; diagnostics: readonly Diagnostic[] }
      this.#diagnostics.get(uri)?.(diagnostics)
    } else if (method !== undefined && id !== undefined) this.#send({ id, result: null })
    else if (id !== undefined) this.#answers.get(id)?.(result)
  }
}

t.test('an editor checks and completes gateway.yaml by its modeline', { timeout: 600_000 }, async t => {
  const editor = new Editor()
  t.teardown(() => editor.stop())
  await editor.start()

  await t.test('a file that is right has no marks', async t => {
    const { marks } = await editor.open(`${MODELINE}server:
  port: auto
  drain: 30s
auth: none
model_list:
  - model_name: claude-*
    provider: mlx
    timeouts: { total: 10m }
  - model_name: gpt-4o
    backend: active
`)
    t.same(marks, [])
  })

  await t.test('what is wrong is marked at its place', async t => {
    const { marks } = await editor.open(`${MODELINE}server:
  prot: 4000
  drain: 5 minutes
model_list:
  - model_name: a
    provider: demo
    modle: x
    max_tokens: lots
    demo: { fail: sometimes }
routing:
  strategy: random
`)
    t.match(
      marks.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10)),
      [
        /^3:3 Property prot is not allowed/,
        /^4:10 String does not match the pattern/,
        /^8:5 Property modle is not allowed/,
        /^9:17 Incorrect type\. Expected "integer"/,
        /^10:19 Value is not accepted\. Valid values: "none", "429"/,
        /^12:13 Value is not accepted\. Valid values: "weighted"/
      ]
    )
    t.equal(marks.length, 6)
  })

  await t.test('keys and values are completed where they belong', async t => {
    const entry = await editor.complete(`${MODELINE}model_list:\n  - model_name: a\n    \n`, 4, 5)
    for (const key of ['provider', 'backend', 'dialect', 'model', 'api_base', 'max_tokens', 'timeouts'])
      t.ok(entry.includes(key), key)
    t.notOk(entry.includes('model_name'), 'what is there already is not offered')
    t.notOk(entry.includes('aliases'), 'what belongs elsewhere is not offered')
    const dialects = await editor.complete(
      `${MODELINE}model_list:\n  - model_name: a\n    provider: demo\n    dialect: \n`,
      5,
      14
    )
    t.same(dialects.sort(), ['anthropic', 'gemini', 'openai-chat', 'openai-responses'])
    const top = await editor.complete(`${MODELINE}\n`, 2, 1)
    for (const key of ['server', 'auth', 'model_list', 'aliases', 'routing', 'passthrough'])
      t.ok(top.includes(key), key)
    const options = await editor.complete(`${MODELINE}hooks:\n  - redact:\n      \n`, 4, 7)
    for (const key of ['kinds', 'patterns', 'answers', 'mark']) t.ok(options.includes(key), key)
    const auth = await editor.complete(`${MODELINE}auth: \n`, 2, 7)
    t.ok(auth.includes('none'))
  })

  await t.test('a key tells what it does', async t => {
    t.match(
      await editor.hover(`${MODELINE}model_list:\n  - model_name: a\n    max_tokens: 5\n`, 4, 7),
      /A cap on the answer/
    )
  })
})
