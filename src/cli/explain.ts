import { Failure } from '../chat/failure.ts'
import { type Explanation, explain } from '../exchange/explain.ts'
import { type Rewrite, rewrites } from '../server/rewrite.ts'
import { ask } from './client.ts'
import { findConfig, type Where } from './find-config.ts'
import { offline } from './offline.ts'
import { colors, EXIT, fail, print, printJson, table } from './output.ts'
import { shorter, tell } from './prepare.ts'
import { printable } from './request-line.ts'
import { inboundOf } from './rewrite.ts'
import { findRunning } from './running.ts'

export interface ExplainFlags extends Where {
  readonly json?: boolean
  readonly key?: string | undefined
  readonly request?: string | undefined
  readonly endpoint?: string | undefined
}

/** Longer than a database of the gateway's own takes to open. */
const PATIENCE = 20_000

interface KeySays {
  /** Undefined: nobody could be asked. */
  readonly allowed: boolean | undefined
  readonly text: string
}

/** Where a model name leads, by the file alone: no gateway need run, and nobody is asked. */
export async function explainModel(model: string, flags: ExplainFlags): Promise<number> {
  const json = flags.json === true
  const source = findConfig(flags, process.env)
  if (typeof source === 'string') return fail([source], json)
  const prepared = await offline(source.file)
  if (!('loaded' in prepared)) return fail(tell(prepared.problems), json)
  const explained = explain(prepared.runtime, model)
  if (explained instanceof Failure) return fail([explained.message, ...(explained.details.recommendations ?? [])], json)
  const inbound = flags.request === undefined ? undefined : inboundOf(flags.request, flags.endpoint)
  if (typeof inbound === 'string') return fail([inbound], json)
  const rewritten = inbound && rewrites(prepared.runtime, model, inbound)
  const key =
    flags.key === undefined
      ? undefined
      : await askKey(flags.key, model, flags, prepared.runtime.masterKey !== undefined)
  const code = key?.allowed === false ? EXIT.failed : EXIT.done
  if (json) {
    const more = { ...(key !== undefined && { key }), ...(rewritten !== undefined && { request: rewritten }) }
    printJson({ config: source.file, ...explained, ...more })
    return code
  }
  print(describe(explained, shorter(source.file)))
  if (key !== undefined) print(`\n${key.allowed === true ? key.text : colors.yellow(key.text)}`)
  if (rewritten !== undefined) for (const item of rewritten) print(`\n${describeRewrite(item)}`)
  return code
}

/** What a key may use, the gateway alone knows that keeps it. */
async function askKey(key: string, model: string, flags: ExplainFlags, isLocked: boolean): Promise<KeySays> {
  if (!isLocked) return { allowed: true, text: 'No key is asked for here: auth.master_key is not set.' }
  const found = await findRunning(flags)
  const url = typeof found === 'string' ? undefined : found.record?.url
  if (url === undefined)
    return { allowed: undefined, text: 'Whether the key may use it, a running gateway would say; none runs here.' }
  const path = `/v1/models/${model.split('/').map(encodeURIComponent).join('/')}`
  const reply = await ask(url, path, PATIENCE, { authorization: `Bearer ${key}` })
  if (typeof reply === 'string') return { allowed: undefined, text: `The gateway at ${url} did not say: ${reply}.` }
  if (reply.status === 200) return { allowed: true, text: 'The key may use it.' }
  const { message, recommendations } = (reply.body['error'] ?? {}) as { message?: unknown; recommendations?: unknown }
  const advice = Array.isArray(recommendations) ? recommendations.map(String) : []
  const lines = [`The key may not: ${String(message ?? reply.status)}`, ...advice]
  return { allowed: reply.status >= 500 ? undefined : false, text: lines.map(printable).join('\n  ') }
}

function priceOf(price: Explained['price']): string {
  if (price === null) return 'nobody knows; give the entry a `price`'
  if (price.input === 0 && price.output === 0) return 'free'
  const guess = price.estimated === true ? ' (spend.estimated_price)' : ''
  return `$${price.input} for a million tokens sent, $${price.output} answered${guess}`
}

type Explained = Explanation['targets'][number]

function describe(explained: Explanation, file: string): string {
  const { asked, matched, targets, fallbacks, strategy, sticky } = explained
  const { context_fallbacks: tooLong, content_policy_fallbacks: refused } = explained
  const head = table([
    ['model', colors.bold(asked)],
    ['found as', `${matched} (${file})`],
    ...(targets.length < 2 ? [] : [['strategy', `${strategy}, ${STICKY[sticky]}`]]),
    ['fallbacks', fallbacks.length === 0 ? 'none: a failure is told' : fallbacks.join(', then ')],
    ...(tooLong.length === 0 ? [] : [['too long', tooLong.join(', then ')]]),
    ...(refused.length === 0 ? [] : [['refused', `for its content: ${refused.join(', then ')}`]])
  ])
  const each = targets.map(target => {
    const { connect, first_token: first, idle, total } = target.timeouts
    return table(
      [
        ['target', `${colors.bold(target.name)} (${shareOf(target, targets)})`],
        // A process that has asked nobody knows no other state.
        ...(target.now === 'ready' ? [] : [['  now', colors.yellow(target.now)]]),
        ...(target.conditions.length === 0 ? [] : [['  under', target.conditions.join(', ')]]),
        ['  place', target.place],
        ['  model', target.model],
        ['  speaks', target.dialects.join(', ')],
        ['  cap', target.max_tokens === null ? 'none' : `max_tokens ${target.max_tokens}`],
        ['  price', priceOf(target.price)],
        ['  timeouts', `connect ${connect}, first token ${first}, idle ${idle}, total ${total}`]
      ],
      '  '
    )
  })
  return [head, ...each].join('\n\n')
}

const STICKY = {
  session: 'a session stays at its entry',
  prefix: 'a session, or what begins alike, stays at its entry',
  none: 'each request anew'
} as const

/** With several orders, a share is one among those of the same order. */
function shareOf({ share, conditions }: Explained, targets: readonly Explained[]): string {
  const orderIn = (list: readonly string[]) => list.find(condition => condition.startsWith('order '))
  const order = orderIn(conditions)
  const isOneOrder = targets.every(target => orderIn(target.conditions) === order)
  return isOneOrder ? `${share} of the requests` : `${share} within its order`
}

function describeRewrite(rewrite: Rewrite): string {
  if ('problem' in rewrite) return `  to ${rewrite.target}: ${colors.red(rewrite.problem)}`
  return table(
    [
      ['would send', `POST ${rewrite.url}`],
      ['  of', `${rewrite.bytes_in} bytes, ${rewrite.bytes_out} go out`],
      ...(rewrite.edits.length === 0 ? [['  edits', 'none: the bytes pass as they are']] : []),
      ...rewrite.edits.map((edit, index) => [index === 0 ? '  edits' : '', edit])
    ],
    '  '
  )
}
