// `sluice models --provider NAME`: wherever a provider lists its models, and whatever it takes to ask.
import t from 'tap'
import { signV4 } from '../src/providers/sigv4.ts'
import { run, temporaryFolder } from './support/process.ts'
import { keyFile } from './support/providers.ts'
import { type Answer, startUpstream, type Upstream } from './support/upstream.ts'

t.setTimeout(600_000)

const json =
  (status: number, body: unknown): Answer =>
  (_, response) => {
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(typeof body === 'string' ? body : JSON.stringify(body))
  }

/** Answers by path; anything else is not there. */
const routes =
  (known: Record<string, Answer>): Answer =>
  (request, response) =>
    (known[request.url] ?? json(404, 'not found'))(request, response)

interface Listed {
  readonly upstream: Upstream
  readonly told: Awaited<ReturnType<typeof run>>
}

async function list(
  test: { teardown(end: () => unknown): void },
  provider: string,
  answer: Answer,
  { path = '', more = '', env = {} }: { path?: string; more?: string; env?: Record<string, string> } = {}
): Promise<Listed> {
  const upstream = await startUpstream(answer)
  const folder = temporaryFolder()
  test.teardown(() => {
    folder.remove()
    return upstream.close()
  })
  const api = JSON.stringify(upstream.url + path)
  folder.write('key.json', keyFile({ token_uri: `${upstream.url}/token` }))
  folder.write(
    'gateway.yaml',
    `backends:\n  it: { provider: ${provider}, api_base: ${api}${more} }\nmodel_list: [{ model_name: a, provider: demo }]\n`
  )
  const told = await run(['models', '--provider', 'it'], { cwd: folder.path, env: { FOLDER: folder.path, ...env } })
  return { upstream, told }
}

t.test('an old Ollama lists its tags', async t => {
  const tags = { '/api/tags': json(200, { models: [{ name: 'qwen:32b' }, { name: 'llama' }] }) }
  const { told, upstream } = await list(t, 'ollama', routes(tags))
  t.match(told, { code: 0, stdout: 'qwen:32b\nllama\n' })
  t.same(
    upstream.requests.map(request => request.url),
    ['/v1/models', '/api/tags']
  )
  const behind = await list(t, 'ollama', routes({ '/ollama/api/tags': json(200, { models: [{ name: 'q' }] }) }), {
    path: '/ollama/v1'
  })
  t.match(behind.told, { code: 0, stdout: 'q\n' })
})

t.test('a new one is asked once, and trouble is not taken for a missing route', async t => {
  const both = { '/v1/models': json(200, { data: [{ id: 'q' }, { id: 'q' }] }), '/api/tags': json(200, { models: [] }) }
  const { told, upstream } = await list(t, 'ollama', routes(both))
  t.match(told, { code: 0, stdout: 'q\n' })
  t.equal(upstream.requests.length, 1)
  const broken = await list(t, 'ollama', json(500, 'broken'))
  t.match(broken.told, { code: 1, stderr: /answered 500/ })
  t.equal(broken.upstream.requests.length, 1)
  const page = await list(t, 'custom', json(200, '<html>'))
  t.match(page.told, { code: 1, stderr: /did not answer with a list/ })
  const empty = await list(t, 'custom', json(200, { data: [] }))
  t.match(empty.told, { code: 0, stdout: /has no models/ })
})

t.test('lists of other shapes, at places of their own', async t => {
  const github = await list(t, 'github-models', routes({ '/catalog/models': json(200, [{ id: 'openai/gpt' }]) }), {
    path: '/inference'
  })
  t.match(github.told, { code: 0, stdout: 'openai/gpt\n' })
  const cohere = routes({ '/v1/models': json(200, { models: [{ name: 'command' }] }) })
  t.match((await list(t, 'cohere', cohere, { path: '/compatibility/v1' })).told, { code: 0, stdout: 'command\n' })
  const gemini = routes({ '/v1beta/models': json(200, { models: [{ name: 'models/gemini-x' }] }) })
  t.match((await list(t, 'gemini', gemini)).told, { code: 0, stdout: 'gemini-x\n' })
  const zai = routes({ '/api/paas/v4/models': json(200, { data: [{ id: 'glm' }] }) })
  t.match((await list(t, 'zai', zai)).told, { code: 0, stdout: 'glm\n' })
})

t.test('a cloud is asked as it wants to be', async t => {
  const env = { AWS_REGION: 'eu-west-1' }
  const pair = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' }
  const more = `, api_key: "${pair.accessKeyId}:${pair.secretAccessKey}"`
  const models = { '/openai/v1/models': json(200, { data: [{ id: 'openai.gpt-oss' }] }) }
  const { told, upstream } = await list(t, 'bedrock', routes(models), { more, env })
  t.match(told, { code: 0, stdout: 'openai.gpt-oss\n' })
  const { method = '', url = '', headers = {} } = upstream.requests[0] ?? {}
  const date = String(headers['x-amz-date'])
  const at = new Date(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
  const own = signV4(
    { method, path: url, host: String(headers.host), headers: [], body: [] },
    pair,
    'eu-west-1',
    'bedrock',
    at
  )
  t.equal(headers['authorization'], own.at(-1))

  const vertex = routes({
    '/token': json(200, { access_token: 'ya29.cli', expires_in: 60 }),
    '/v1/projects/proj/locations/global/publishers/google/models': json(200, { models: [{ name: 'gemini' }] })
  })
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the reference of a configuration.
  const asked = await list(t, 'vertex-ai', vertex, { more: ', api_key: "${FOLDER}/key.json"' })
  t.match(asked.told, { code: 0, stdout: 'gemini\n' })
  t.equal(asked.upstream.requests.at(-1)?.headers['authorization'], 'Bearer ya29.cli')
  const refused = await list(t, 'vertex-ai', json(400, { error: 'invalid_grant' }), {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the reference of a configuration.
    more: ', api_key: "${FOLDER}/key.json"'
  })
  t.match(refused.told, { code: 1, stderr: /gave no access token \(400, invalid_grant\)/ })
  t.notMatch(refused.told.stderr, /PRIVATE|eyJ/)
})

t.test('what cannot be asked says what is missing', async t => {
  const folder = temporaryFolder()
  t.teardown(() => folder.remove())
  folder.write('gateway.yaml', 'model_list: [{ model_name: a, provider: demo }]\n')
  const told = async (name: string) => (await run(['models', '--provider', name], { cwd: folder.path })).stderr
  t.match(await told('bedrock'), /`bedrock` cannot be asked: .*AWS_REGION/)
  t.match(await told('azure-openai'), /`azure-openai` cannot be asked: .*your-name\.openai\.azure\.com/)
  t.match(await told('vertex-ai'), /`vertex-ai` cannot be asked: the project is not known/)
  t.match(await told('custom'), /`custom` cannot be asked: .*gateway\.yaml/)
  t.match(await told('moonshot'), /MOONSHOT_API_KEY/)
})
