// A hook tried on a request without a gateway: what it makes of the call, of each event and of the answer.

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { ChatEvent } from '../chat/events.ts'
import { Failure } from '../chat/failure.ts'
import { eventsOf } from '../chat/replay.ts'
import type { GatewayConfig } from '../config/generated/types.ts'
import { DIALECTS } from '../dialects/index.ts'
import type { Inbound } from '../exchange/inbound.ts'
import { Preparation } from '../exchange/prepare.ts'
import { StoredResponses } from '../exchange/stored.ts'
import type { Bound } from '../hooks/bound.ts'
import { HookCall } from '../hooks/call.ts'
import type { HookEnvironment } from '../hooks/environment.ts'
import { findHook } from '../hooks/files.ts'
import { type Answer, answerOf } from '../hooks/hook.ts'
import type { HookSet } from '../hooks/hook-set.ts'
import { runBack, runDown } from '../hooks/run.ts'
import { Shelf } from '../hooks/shelf.ts'
import { HookStage } from '../hooks/stage.ts'
import { differences } from './differences.ts'
import type { ConfigFile } from './find-config.ts'
import { colors, EXIT, fail, print, printJson } from './output.ts'
import { inboundOf } from './rewrite.ts'

interface Flags {
  readonly json?: boolean
  readonly options?: string
  readonly request?: string
  readonly answer?: string
  readonly endpoint?: string
}

/** What the hook did, in its order. */
interface Trial {
  readonly call: readonly string[]
  readonly end: Answer | Failure | undefined
  readonly events: readonly { readonly given: ChatEvent; readonly made: readonly ChatEvent[] }[]
  readonly answer: { readonly changes: readonly string[]; readonly failure: Failure | undefined }
}

/** Pieces as a stream would bring them, short enough to cut what a hook looks for. */
const PIECE = 12
const USAGE = { input: 20, output: 14, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
const ANSWER = 'This is what a model might say; name another answer by --answer.'

export async function testHook(subject: string, source: ConfigFile, flags: Flags): Promise<number> {
  const json = flags.json === true
  if (flags.request === undefined) return fail(['--request FILE is missing: the body of a request.'], json, EXIT.usage)
  const found = findHook(subject, source.file) ?? findHook(resolve(subject), source.file)
  if (found === undefined) return fail([`There is no hook \`${subject}\`, neither by name nor as a file.`], json)
  const inbound = inboundOf(flags.request, flags.endpoint)
  if (typeof inbound === 'string') return fail([inbound], json)
  const answer = answerFrom(flags.answer, inbound)
  if (typeof answer === 'string') return fail([answer], json)
  const told: string[] = []
  const shelf = new Shelf(environment(told))
  const set = await taken(shelf, found.file, flags.options, source)
  if (Array.isArray(set)) return fail(set, json)
  // What was said of other files is of no interest here.
  told.length = 0
  const trial = await run(set.own, inbound, answer)
  set.leave()
  await shelf.close()
  if (json) printJson({ hook: found.file, ...trial, told })
  else show(trial, told)
  return trial.end instanceof Failure && trial.end.kind === 'bug' ? EXIT.failed : EXIT.done
}

async function taken(
  shelf: Shelf,
  file: string,
  options: string | undefined,
  source: ConfigFile
): Promise<HookSet | string[]> {
  let given: Record<string, unknown> = {}
  try {
    if (options !== undefined) given = JSON.parse(options)
  } catch {
    return [`--options is not JSON: ${options}`]
  }
  const config: Pick<GatewayConfig, 'hooks' | 'model_list' | 'store'> = {
    hooks: [{ [file]: given }],
    model_list: [],
    store: { database_url: '', redis_url: '', data_dir: '' }
  }
  const shelved = await shelf.take(config, source.file)
  if ('set' in shelved) return shelved.set
  return shelved.map(({ path, message }) => [...path.slice(3), message].join(': '))
}

async function run(bounds: readonly Bound[], inbound: Inbound, answer: Answer): Promise<Trial> {
  const preparation = new Preparation(inbound, new StoredResponses())
  const before = new HookCall(originOf(inbound, preparation), {}, undefined)
  const { call, end } = await runDown(bounds, before)
  const changes = differences(shownCall(before), shownCall(call))
  const kept = end === undefined ? answer : end
  if (kept instanceof Failure) return { call: changes, end, events: [], answer: { changes: [], failure: undefined } }
  const stage = new HookStage(bounds, call)
  const events = stage.isEmpty ? [] : pieces(kept).map(given => ({ given, made: stage.push(given) }))
  const reviewed = end === undefined ? await runBack(bounds, kept, call) : kept
  return {
    call: changes,
    end,
    events,
    answer:
      reviewed instanceof Failure
        ? { changes: [], failure: reviewed }
        : { changes: differences(kept, reviewed), failure: undefined }
  }
}

/** All that a hook may change of a call. The conversation is shown when it is one. */
function shownCall(call: HookCall): object {
  const { model, maxTokens, tags, headers, changes } = call
  const read = changes.chat ?? call.origin.chat()
  const chat = read === undefined || read instanceof Failure ? undefined : read
  return { model, maxTokens, tags, headers, chat, answerHeaders: changes.answerHeaders }
}

function originOf(inbound: Inbound, preparation: Preparation): HookCall['origin'] {
  const { found } = inbound.body.fields
  const cap = [found['max_tokens'], found['max_completion_tokens'], found['max_output_tokens']]
    .map(field => field?.value)
    .find(value => typeof value === 'number')
  return {
    id: 'test',
    model: inbound.model ?? '',
    stream: inbound.stream,
    dialect: inbound.dialect,
    operation: inbound.operation,
    signal: new AbortController().signal,
    caller: { id: 'anonymous' },
    headers: () => ({}),
    tags: () => [],
    maxTokens: () => cap,
    ask: () => Promise.resolve(new Failure('unavailable', 'A test asks nobody.')),
    embed: () => Promise.resolve(new Failure('unavailable', 'A test asks nobody.')),
    chat: () => preparation.chat
  }
}

function answerFrom(file: string | undefined, inbound: Inbound): Answer | string {
  if (file === undefined) return { ...answerOf(ANSWER, inbound.model), usage: USAGE }
  try {
    const body: unknown = JSON.parse(readFileSync(file, 'utf8'))
    const answer = DIALECTS[inbound.dialect].translate?.decodeAnswer(body, { id: 'test' })
    if (answer === undefined) return `Answers of ${inbound.dialect} are not read.`
    return answer instanceof Failure ? `${file}: ${answer.message}` : answer
  } catch (error) {
    return `${file} cannot be used: ${error instanceof Error ? error.message : String(error)}.`
  }
}

function pieces(answer: Answer): ChatEvent[] {
  return eventsOf(answer).flatMap((event): ChatEvent[] => {
    if (event.type !== 'block-delta') return [event]
    const texts = event.text.match(new RegExp(`[^]{1,${PIECE}}`, 'g')) ?? []
    return texts.map(text => ({ ...event, text }))
  })
}

function environment(told: string[]): HookEnvironment {
  const at = (level: string) => (message: string) => void told.push(`${level}: ${message}`)
  return {
    fetch: () => Promise.reject(new TypeError('a test fetches nothing')),
    log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') },
    metrics: {
      hookDuration: () => ({ observe: () => undefined }),
      hookFailed: () => undefined,
      hookCounted: (_, event, amount) => void told.push(`counted: ${event} ${amount}`)
    }
  }
}

function show({ call, end, events, answer }: Trial, told: readonly string[]): void {
  print(colors.bold('the call'))
  print(call.length === 0 ? '  as it is' : call.map(line => `  ${line}`).join('\n'))
  if (end instanceof Failure) print(`${colors.bold('refused')}\n  ${end.status} ${end.kind}: ${end.message}`)
  else if (end !== undefined) print(`${colors.bold('answered by the hook')}\n  ${JSON.stringify(end)}`)
  if (events.length > 0) print(`${colors.bold('the events')}\n${events.flatMap(shownEvent).join('\n')}`)
  if (end === undefined) {
    print(colors.bold('the answer'))
    if (answer.failure !== undefined) print(`  refused: ${answer.failure.message}`)
    else print(answer.changes.length === 0 ? '  as it is' : answer.changes.map(line => `  ${line}`).join('\n'))
  }
  for (const line of told) print(`  ${line}`)
}

function shownEvent({ given, made }: Trial['events'][number]): string[] {
  const was = JSON.stringify(given)
  const [only] = made
  if (made.length === 1 && JSON.stringify(only) === was) return [`    ${was}`]
  return [colors.red(`  - ${was}`), ...made.map(event => colors.green(`  + ${JSON.stringify(event)}`))]
}
