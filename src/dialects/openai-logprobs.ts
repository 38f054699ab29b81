// Tokens of a text as OpenAI's dialects name them.
import type { TokenProbability } from '../chat/probability.ts'
import type { Fields } from '../chat/request.ts'
import { defined, list, number, string } from './read.ts'

/** Undefined where there are none. */
export function decodeLogprobs(value: unknown): { logprobs?: readonly TokenProbability[] } {
  const logprobs = list(value).flatMap(decodeToken)
  return logprobs.length === 0 ? {} : { logprobs }
}

function decodeToken(value: Fields): TokenProbability[] {
  const token = string(value['token'])
  const logprob = number(value['logprob'])
  if (token === undefined || logprob === undefined) return []
  const { bytes } = value
  const top = list(value['top_logprobs']).flatMap(decodeToken)
  const known = Array.isArray(bytes) ? bytes.map(number).filter(byte => byte !== undefined) : undefined
  return [{ token, logprob, ...defined({ bytes: known, top: top.length > 0 ? top : undefined }) }]
}

/** `unknown`: what stands for bytes that nobody has said. */
export function encodeLogprobs(logprobs: readonly TokenProbability[], unknown: null | readonly []): Fields[] {
  const encoded = ({ token, logprob, bytes }: TokenProbability) => ({ token, logprob, bytes: bytes ?? unknown })
  return logprobs.map(token => ({ ...encoded(token), top_logprobs: (token.top ?? []).map(encoded) }))
}
