import type { TokenProbability } from '../../chat/probability.ts'
import type { Fields } from '../../chat/request.ts'
import { fields, list, number, string } from '../read.ts'

/** The tokens of a candidate; none where it says none. */
export function decodeLogprobs(result: unknown): readonly TokenProbability[] {
  const { chosenCandidates: chosen, topCandidates: top } = fields(result)
  const others = list(top)
  return list(chosen).flatMap((candidate, at) => {
    const [token] = decodeToken(candidate)
    const instead = list(others[at]?.['candidates']).flatMap(decodeToken)
    return token === undefined ? [] : [{ ...token, ...(instead.length > 0 && { top: instead }) }]
  })
}

function decodeToken(candidate: Fields): TokenProbability[] {
  const token = string(candidate['token'])
  const logprob = number(candidate['logProbability'])
  return token === undefined || logprob === undefined ? [] : [{ token, logprob }]
}

export function encodeLogprobs(logprobs: readonly TokenProbability[]): Fields {
  const encoded = ({ token, logprob }: TokenProbability) => ({ token, logProbability: logprob })
  return {
    chosenCandidates: logprobs.map(encoded),
    topCandidates: logprobs.map(({ top = [] }) => ({ candidates: top.map(encoded) }))
  }
}
