import { Failure } from '../chat/failure.ts'
import { type FoundValue, type ScannedObject, scanObject } from '../lib/json-scan.ts'
import { type Edit, slice, splice } from '../lib/splice.ts'
import type { Surface } from '../providers/surface.ts'
import type { Target } from '../routing/target.ts'
import type { Inbound } from './inbound.ts'

/**
 * The client's bytes with the target's model and cap put in: every other byte stays where and what it was. `maxTokens`
 * takes the place of what the client asked for.
 */
export function bodyFor(
  inbound: Inbound,
  target: Target,
  surface: Surface,
  model: string,
  maxTokens?: number
): readonly Buffer[] | Failure {
  const { body } = inbound
  if (inbound.action === 'batchEmbedContents') return batchBody(body.chunks, model)
  const edits: Edit[] = []
  const inserted: string[] = []
  if (surface.dialect === 'gemini') {
    if (body.fields.found['model'] !== undefined) replace(edits, body.fields.found['model'], `models/${model}`)
  } else if (body.fields.found['model'] === undefined) {
    inserted.push(`"model":${JSON.stringify(model)}`)
  } else {
    replace(edits, body.fields.found['model'], model)
  }
  const limit = maxTokens === undefined ? target.maxTokens : Math.min(maxTokens, target.maxTokens ?? maxTokens)
  if (limit !== undefined && (inbound.operation === 'chat' || inbound.operation === 'completions')) {
    const wanted = { limit, exact: maxTokens !== undefined }
    const failure = cap(inbound, target, surface, wanted, edits, inserted)
    if (failure !== undefined) return failure
  }
  if (inserted.length > 0) edits.push(insertion(body.fields, 0, inserted))
  return edits.length === 0 ? body.chunks : splice(body.chunks, edits)
}

function replace(edits: Edit[], found: FoundValue, value: string | number): void {
  if (found.value !== value)
    edits.push({ start: found.start, end: found.end, bytes: Buffer.from(JSON.stringify(value)) })
}

function insertion(object: ScannedObject, offset: number, members: readonly string[]): Edit {
  const at = offset + object.inside
  return { start: at, end: at, bytes: Buffer.from(members.join(',') + (object.empty ? '' : ',')) }
}

/** `exact`: said by a hook, so a smaller ask is replaced too. */
interface Cap {
  readonly limit: number
  readonly exact: boolean
}

function cap(
  inbound: Inbound,
  target: Target,
  surface: Surface,
  wanted: Cap,
  edits: Edit[],
  inserted: string[]
): Failure | undefined {
  if (surface.dialect === 'gemini') return capGemini(inbound, wanted, edits, inserted)
  const names =
    surface.dialect === 'openai-chat'
      ? inbound.operation === 'chat'
        ? ['max_tokens', 'max_completion_tokens']
        : ['max_tokens']
      : [surface.dialect === 'openai-responses' ? 'max_output_tokens' : 'max_tokens']
  let asked = false
  for (const name of names) {
    const found = inbound.body.fields.found[name]
    if (found === undefined) continue
    const failure = capValue(found, name, wanted, edits)
    if (failure !== undefined) return failure
    asked = true
  }
  if (!asked)
    inserted.push(
      `"${surface.dialect === 'openai-chat' && inbound.operation === 'chat' ? target.maxTokensField : names[0]}":${wanted.limit}`
    )
  return undefined
}

/** Lowers a larger ask; `null` means that nothing was asked. Anything else but a number could slip by as a bigger one. */
function capValue(found: FoundValue, name: string, { limit, exact }: Cap, edits: Edit[]): Failure | undefined {
  if (found.value !== null && typeof found.value !== 'number') {
    return new Failure('invalid-request', `\`${name}\` must be a number.`, { field: name })
  }
  if (found.value === null || exact || found.value > limit) replace(edits, found, limit)
  return undefined
}

const GEMINI_KEYS: ReadonlySet<string> = new Set(['maxOutputTokens', 'max_output_tokens'])

function capGemini(inbound: Inbound, wanted: Cap, edits: Edit[], inserted: string[]): Failure | undefined {
  const { found } = inbound.body.fields
  const { generationConfig, generation_config: snakeConfig } = found
  if (generationConfig !== undefined && snakeConfig !== undefined) {
    return new Failure('invalid-request', '`generationConfig` stands twice.', { field: 'generationConfig' })
  }
  const settings = generationConfig ?? snakeConfig
  if (settings === undefined) {
    inserted.push(`"generationConfig":{"maxOutputTokens":${wanted.limit}}`)
    return undefined
  }
  const bytes: Buffer[] = []
  slice(inbound.body.chunks, settings.start, settings.end, bytes)
  const inner = scanObject(bytes, GEMINI_KEYS)
  if ('problem' in inner)
    return new Failure('invalid-request', `generationConfig: ${inner.problem}`, { field: 'generationConfig' })
  const { maxOutputTokens, max_output_tokens: snake } = inner.found
  if (maxOutputTokens !== undefined && snake !== undefined) {
    return new Failure('invalid-request', 'generationConfig: `maxOutputTokens` stands twice.', {
      field: 'generationConfig'
    })
  }
  const value = maxOutputTokens ?? snake
  if (value === undefined) {
    edits.push(insertion(inner, settings.start, [`"maxOutputTokens":${wanted.limit}`]))
    return undefined
  }
  const moved = { start: value.start + settings.start, end: value.end + settings.start, value: value.value }
  return capValue(moved, 'maxOutputTokens', wanted, edits)
}

/** Gemini repeats the model inside every request of a batch; the only body that has to be parsed. */
function batchBody(chunks: readonly Buffer[], model: string): readonly Buffer[] | Failure {
  try {
    const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { requests?: unknown }
    if (!Array.isArray(body.requests))
      return new Failure('invalid-request', '`requests` must be a list.', { field: 'requests' })
    for (const request of body.requests as { model?: string }[]) {
      if (request !== null && typeof request === 'object') request.model = `models/${model}`
    }
    return [Buffer.from(JSON.stringify(body))]
  } catch {
    return new Failure('invalid-request', 'The body is not JSON.')
  }
}
