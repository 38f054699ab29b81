import { reachAzure } from './azure.ts'
import { reachBedrock } from './bedrock.ts'
import type { Preset } from './preset.ts'
import { surfacesOf } from './surface.ts'
import { reachVertex } from './vertex.ts'
import { addressOf, missingKey, type Reach, type Wanted, type World } from './wanted.ts'

/** How an entry's upstream is asked; a string says why it cannot be. */
export function reach(preset: Preset, wanted: Wanted, world: World): Reach | string {
  const own = preset.cloud === undefined ? reachPlain : CLOUDS[preset.cloud]
  return own(preset, wanted, world)
}

const CLOUDS: Record<NonNullable<Preset['cloud']>, typeof reachPlain> = {
  azure: reachAzure,
  bedrock: reachBedrock,
  vertex: reachVertex
}

function reachPlain(preset: Preset, wanted: Wanted, { variables }: World): Reach | string {
  const { provider, apiBase, headers, dialect, model } = wanted
  const url = addressOf(apiBase ?? preset.apiBase, preset, provider)
  if (typeof url === 'string') return url
  const { keyVariable } = preset
  const apiKey = wanted.apiKey ?? (keyVariable === undefined ? undefined : variables[keyVariable])
  const surfaces = surfacesOf(preset, url, apiKey, headers, dialect, model)
  if (apiKey !== undefined || keyVariable === undefined || apiBase !== undefined)
    return { url, surfaces, credential: apiKey }
  return { url, surfaces, credential: apiKey, warning: missingKey(preset, provider, keyVariable) }
}
