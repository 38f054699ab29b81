// LiteLLM's entries for clouds: what is put together out of their keys, and that none of them vanishes.
import t from 'tap'
import { parseConfig } from '../src/config/load.ts'
import { PROVIDER_NAMES } from '../src/providers/presets.ts'

const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'

function read(params: string, more = '') {
  const text = `model_list:\n  - model_name: a\n    litellm_params: {${params}}\n${more}`
  const env = { ID: 'AKIAIOSFODNN7EXAMPLE', SECRET, TOKEN: 'tok', KEY: 'azure-key' }
  const result = parseConfig(text, 'config.yaml', { env, known: { providers: PROVIDER_NAMES } })
  if (!result.ok) throw new Error(result.problems.map(problem => problem.message).join('; '))
  const { config, report, problems } = result.loaded
  const fits = Object.fromEntries((report?.lines ?? []).map(line => [line.path.split('.').at(-1), line.fit]))
  return { entry: config.model_list[0], fits, problems }
}

t.test('azure: the deployment is the model, and a dated version is told to be of no use', async t => {
  const { entry, fits } = read(
    'model: azure/my-gpt, api_base: "https://r.openai.azure.com", api_key: os.environ/KEY, api_version: "2024-08-01"'
  )
  t.match(entry, {
    provider: 'azure-openai',
    model: 'my-gpt',
    api_base: 'https://r.openai.azure.com',
    api_key: 'azure-key'
  })
  t.match(fits, { model: 'exact', api_version: 'approximate' })
  t.match(read('model: azure/g, api_base: "https://r.openai.azure.com", azure_ad_token: eyJx').entry, {
    api_key: 'eyJx'
  })
})

t.test('bedrock: region, routes and access keys', async t => {
  const keys = 'aws_access_key_id: os.environ/ID, aws_secret_access_key: os.environ/SECRET'
  const { entry, fits, problems } = read(
    `model: bedrock/converse/eu.anthropic.claude-x, aws_region_name: eu-west-1, ${keys}`
  )
  t.match(entry, {
    provider: 'bedrock',
    model: 'eu.anthropic.claude-x',
    api_base: 'https://bedrock-runtime.eu-west-1.amazonaws.com',
    api_key: `AKIAIOSFODNN7EXAMPLE:${SECRET}`
  })
  t.match(fits, { aws_region_name: 'exact', aws_access_key_id: 'exact', aws_secret_access_key: 'exact' })
  t.same(
    problems.filter(problem => /plain text/.test(problem.message)),
    [],
    'what came out of variables is no secret in the file'
  )
  t.match(read(`model: bedrock/x, ${keys}, aws_session_token: os.environ/TOKEN`).entry?.api_key, /:tok$/)
  t.match(read('model: bedrock/us-west-2/meta.llama').entry, {
    model: 'meta.llama',
    api_base: 'https://bedrock-runtime.us-west-2.amazonaws.com'
  })
  t.match(read('model: bedrock/x, aws_region_name: r-1, aws_bedrock_runtime_endpoint: "https://vpce.example"').entry, {
    api_base: 'https://vpce.example'
  })
  t.match(read('model: bedrock/x, aws_role_name: r, vertex_project: p').fits, {
    aws_role_name: 'unsupported',
    vertex_project: 'unsupported'
  })
})

t.test('vertex: project, region and key file', async t => {
  t.match(
    read('model: vertex_ai/gemini-x, vertex_project: p, vertex_location: europe-west4, vertex_credentials: /k.json')
      .entry,
    {
      provider: 'vertex-ai',
      model: 'gemini-x',
      api_base: 'https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/europe-west4',
      api_key: '/k.json'
    }
  )
  t.match(read('model: vertex_ai/claude-x, vertex_project: p').entry?.api_base, /us-central1\/?$/)
  t.equal(read('model: vertex_ai/g, vertex_location: global').entry?.api_base, 'https://aiplatform.googleapis.com')
  const both = 'credential_list: [{credential_name: c, credential_values: {vertex_project: q, vertex_location: us}}]\n'
  const { entry, fits } = read('model: vertex_ai/g, litellm_credential_name: c', both)
  t.equal(entry?.api_base, 'https://aiplatform.us.rep.googleapis.com/v1/projects/q/locations/us')
  t.match(fits, { vertex_project: 'exact', vertex_location: 'exact' })
})

t.test('hugging face: the provider that serves a model goes to its end', async t => {
  t.match(read('model: huggingface/together/org/m').entry, { provider: 'huggingface', model: 'org/m:together' })
  t.match(read('model: huggingface/org/m').entry, { model: 'org/m' })
})
