// Azure OpenAI: a resource of one's own. Its v1 API takes OpenAI's paths, the deployment's name being the model;
// the older, dated one has the deployment in the path and a version in the query.
import { Failure } from '../chat/failure.ts'
import type { KeyHeader, Preset } from './preset.ts'
import { type Finish, keyAndExtra, leadsAstray, pathOf, surfaceAt, surfacesOf } from './surface.ts'
import { addressOf, missingKey, type Reach, type Wanted, type World } from './wanted.ts'

/** The last dated version that is no preview. */
const DATED_VERSION = '2024-10-21'
const DEPLOYMENTS = /\/openai\/deployments(\/[^/]+)?$/

export function reachAzure(preset: Preset, wanted: Wanted, { variables }: World): Reach | string {
  const url = addressOf(wanted.apiBase ?? variables['AZURE_OPENAI_ENDPOINT'], preset, wanted.provider)
  if (typeof url === 'string') return url
  const apiKey = wanted.apiKey ?? variables['AZURE_OPENAI_API_KEY']
  // A token of Entra is a JWT and goes where tokens go; a resource's key has a header of its own.
  const keyHeader: KeyHeader = apiKey?.startsWith('eyJ') === true ? 'bearer' : preset.keyHeader
  const path = pathOf(url)
  const [, deployment] = DEPLOYMENTS.exec(path) ?? []
  const warning = apiKey === undefined ? { warning: missingKey(preset, wanted.provider, 'AZURE_OPENAI_API_KEY') } : {}
  if (!DEPLOYMENTS.test(path)) {
    const surfaces = surfacesOf({ ...preset, keyHeader }, url, apiKey, wanted.headers, wanted.dialect, wanted.model)
    return { url, surfaces, credential: apiKey, ...warning }
  }
  if (wanted.dialect !== undefined && wanted.dialect !== 'openai-chat')
    return 'an `api_base` with /openai/deployments speaks openai-chat alone; end it before /openai for the v1 API'
  const version = variables['AZURE_OPENAI_API_VERSION'] ?? variables['OPENAI_API_VERSION'] ?? DATED_VERSION
  const headers = keyAndExtra(keyHeader, 'openai-chat', apiKey, wanted.headers)
  const finish = dated(path, deployment === undefined, version)
  const surfaces = [surfaceAt(preset, 'openai-chat', path, headers, finish)]
  return { url, surfaces, credential: apiKey, ...warning }
}

function dated(base: string, addDeployment: boolean, version: string): Finish {
  return (request, { model }) => {
    if (addDeployment && leadsAstray(model))
      return new Failure('invalid-request', 'This is no name of a deployment.', { field: 'model' })
    const rest = request.path.slice(base.length)
    const deployment = addDeployment ? `/${encodeURIComponent(model)}` : ''
    const query = `${rest.includes('?') ? '&' : '?'}api-version=${encodeURIComponent(version)}`
    return { ...request, path: base + deployment + rest + query }
  }
}
