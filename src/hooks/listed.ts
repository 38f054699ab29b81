import type { GatewayConfig, HookEntry } from '../config/generated/types.ts'
import { parseDuration } from '../lib/duration.ts'

export interface Condition {
  /** Globs. */
  readonly models: readonly string[]
  readonly tags: readonly string[]
  /** Ids of callers. */
  readonly keys: readonly string[]
}

type Path = readonly (string | number)[]

/** One hook as a list of gateway.yaml names it. */
export interface Listed {
  /** Where it stands. */
  readonly path: Path
  /** A name or the path of a file. */
  readonly name: string
  readonly options: unknown
  /** Undefined: all requests. */
  readonly when: Condition | undefined
  /** Milliseconds; undefined: what the hook says itself. */
  readonly timeout: number | undefined
  readonly skips: boolean
  /** In a thread of its own. */
  readonly isolated: boolean
}

export interface HookProblem {
  readonly path: Path
  readonly message: string
}

const RESERVED: ReadonlySet<string> = new Set(['when', 'timeout', 'onError', 'isolation'])

/** What the file lists: the gateway's own, and those of each entry of model_list by its place. */
export function listedIn(config: Pick<GatewayConfig, 'hooks' | 'model_list'>): {
  readonly own: readonly (Listed | HookProblem)[]
  readonly entries: readonly (readonly (Listed | HookProblem)[])[]
} {
  return {
    own: config.hooks.map((entry, index) => read(entry, ['hooks', index])),
    entries: config.model_list.map((model, at) =>
      (model.hooks ?? []).map((entry, index) => read(entry, ['model_list', at, 'hooks', index]))
    )
  }
}

function read(entry: HookEntry, path: Path): Listed | HookProblem {
  if (typeof entry === 'string')
    return { path, name: entry, options: {}, when: undefined, timeout: undefined, skips: false, isolated: false }
  const names = Object.keys(entry).filter(name => !RESERVED.has(name))
  const [name] = names
  if (name === undefined || names.length > 1) {
    const message = 'names one hook, with `when`, `timeout`, `onError` and `isolation` beside it'
    return { path, message: `an item of \`hooks\` ${message}; here are: ${names.join(', ') || 'none'}` }
  }
  const { when, timeout, onError, isolation } = entry
  return {
    path: [...path, name],
    name,
    options: entry[name] ?? {},
    when: when === undefined ? undefined : { models: [], tags: [], keys: [], ...when },
    timeout: timeout === undefined ? undefined : parseDuration(timeout),
    skips: onError === 'skip',
    isolated: isolation === 'worker'
  }
}
