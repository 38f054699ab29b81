import { type Ask, obstacle } from '../routing/choice.ts'
import type { Resolved } from '../routing/routes.ts'
import type { AttemptRecord } from './record.ts'

/** Headers of eight kilobytes are refused by some clients, with all the others in them. */
const MOST_BYTES = 4000
const MOST_CANDIDATES = 20

export interface Candidate {
  readonly target: string
  /** Why it was passed over when the request came in. */
  readonly skipped?: string
}

/** Who could have served a request when it came in, and who could not and why. */
export function candidatesOf({ route }: Resolved, ask: Ask, now: number): Candidate[] {
  return route.targets.slice(0, MOST_CANDIDATES).map(target => {
    const why = target.weight === 0 ? 'weight 0' : obstacle(target, ask, now)
    if (why === undefined) return { target: target.name }
    const cooling = why === 'cooling' ? ` for ${Math.ceil(target.state.coolingFor(now) / 1000)} s` : ''
    return { target: target.name, skipped: why + cooling }
  })
}

interface Trace {
  readonly id: string
  readonly asked: string | undefined
  readonly resolved: Resolved | undefined
  readonly candidates: readonly Candidate[]
  readonly attempts: readonly AttemptRecord[]
  /** Who answers, and for how many milliseconds it has been asked. */
  readonly answering: readonly [target: string, milliseconds: number] | undefined
  readonly waited: number
}

/** For the header `x-gateway-trace`: JSON of ASCII alone, shortened until it fits. */
export function renderTrace(trace: Trace): string {
  const { id, asked, resolved, candidates, attempts, answering, waited } = trace
  const route = resolved?.route
  const targets = route?.targets.length ?? 0
  const render = (shown: number, messages: boolean) =>
    JSON.stringify({
      asked: asked?.slice(0, 100),
      route: route?.name,
      strategy: route?.strategy,
      candidates: candidates.slice(0, shown),
      ...(targets > shown && { more: targets - shown }),
      attempts: [
        ...attempts.map(({ target, reason, milliseconds, message }) => ({
          target,
          reason,
          ms: milliseconds,
          ...(messages && message !== undefined && { message: message.slice(0, 200) })
        })),
        ...(answering === undefined ? [] : [{ target: answering[0], reason: 'answers', ms: answering[1] }])
      ],
      ...(waited > 0 && { waited_ms: Math.round(waited) })
    }).replace(/[\u007f-\uffff]/g, character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
  for (const [shown, messages] of [
    [MOST_CANDIDATES, true],
    [5, true],
    [5, false]
  ] as const) {
    const text = render(shown, messages)
    if (text.length <= MOST_BYTES) return text
  }
  return JSON.stringify({ note: `too long for a header: GET /calls/${id}` })
}
