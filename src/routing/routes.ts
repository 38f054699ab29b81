import { Failure } from '../chat/failure.ts'
import { nearest } from '../lib/nearest.ts'
import { Glob } from './glob.ts'
import { type Route, routeOf } from './route.ts'
import type { Target } from './target.ts'

export interface Resolved {
  readonly route: Route
  /** The name after aliases. */
  readonly asked: string
  /** What the glob's stars stood for. */
  readonly captured: readonly string[]
}

export interface RouteTable {
  readonly routes: readonly Route[]
  readonly aliases: Readonly<Record<string, string>>
  /** Targets that take any model, by the name of their backend: `cerebras/llama3`. */
  readonly backends: ReadonlyMap<string, Target>
}

/** The name used when a request names no model, if something serves it. */
const DEFAULT_NAME = 'default'

const MAX_KNOWN = 1000
const MAX_KNOWN_LENGTH = 200

/** Model name → targets. Exact, then alias, then the most specific glob, then `backend/model`. */
export class Routes {
  readonly #exact = new Map<string, Route>()
  readonly #globs: { glob: Glob; route: Route }[] = []
  readonly #aliases: ReadonlyMap<string, string>
  readonly #backends: ReadonlyMap<string, Route>
  readonly #only: string | undefined
  /** Names that were asked for before: a look through a thousand globs costs more than all the rest. */
  readonly #known = new Map<string, Resolved>()

  constructor(table: RouteTable) {
    for (const route of table.routes) {
      if (route.name.includes('*')) this.#globs.push({ glob: new Glob(route.name), route })
      else this.#exact.set(route.name, route)
    }
    // Stable, so that equally specific ones keep the order of the file.
    this.#globs.sort((a, b) => b.glob.literals - a.glob.literals)
    this.#aliases = new Map(Object.entries(table.aliases))
    this.#backends = new Map([...table.backends].map(([name, target]) => [name, routeOf(name, [target])]))
    this.#only = table.routes.length === 1 ? table.routes[0]?.name : undefined
  }

  resolve(asked: string): Resolved | Failure {
    const known = this.#known.get(asked)
    if (known !== undefined) return known
    const resolved = this.#lookUp(asked)
    if (resolved === undefined) return this.#unknown(asked)
    // Strangers can make up any number of names that a glob matches.
    if (this.#known.size < MAX_KNOWN && asked.length <= MAX_KNOWN_LENGTH) this.#known.set(asked, resolved)
    return resolved
  }

  /** For a request without a model: `default` if something serves it, else the only model there is. */
  resolveDefault(): Resolved | Failure {
    const served = this.#lookUp(DEFAULT_NAME)
    if (served !== undefined) return served
    if (this.#only !== undefined && !this.#only.includes('*')) return this.resolve(this.#only)
    return new Failure('invalid-request', '`model` is missing.', {
      field: 'model',
      recommendations: [
        `Name one of: ${this.names().slice(0, 10).join(', ')}; or declare a model or alias called \`${DEFAULT_NAME}\`.`
      ]
    })
  }

  /** Callable names first; globs only when asked, or when there is nothing else to show. */
  names(withGlobs = false): string[] {
    const callable = [...this.#exact.keys(), ...this.#aliases.keys()]
    const globs = this.#globs.map(({ glob }) => glob.pattern)
    return [...new Set(withGlobs || callable.length === 0 ? [...callable, ...globs] : callable)]
  }

  routes(): Route[] {
    return [...this.#exact.values(), ...this.#globs.map(({ route }) => route)]
  }

  #lookUp(asked: string): Resolved | undefined {
    const route = this.#exact.get(asked)
    if (route !== undefined) return { route, asked, captured: [] }
    const meant = this.#aliases.get(asked)
    if (meant !== undefined && meant !== asked) return this.#lookUpWithoutAlias(meant)
    return this.#lookUpWithoutAlias(asked)
  }

  /** An alias names a model, not another alias: no chains, so no circles. */
  #lookUpWithoutAlias(asked: string): Resolved | undefined {
    const route = this.#exact.get(asked)
    if (route !== undefined) return { route, asked, captured: [] }
    for (const { glob, route } of this.#globs) {
      const captured = glob.match(asked)
      if (captured !== undefined) return { route, asked, captured }
    }
    return this.#lookUpBackend(asked)
  }

  #lookUpBackend(asked: string): Resolved | undefined {
    const cut = asked.search(/[/:]/)
    if (cut < 1 || cut === asked.length - 1) return undefined
    const route = this.#backends.get(asked.slice(0, cut))
    if (route === undefined) return undefined
    const model = asked.slice(cut + 1)
    return { route, asked: model, captured: [model] }
  }

  #unknown(asked: string): Failure {
    const shown = asked.length > 100 ? `${asked.slice(0, 100)}…` : asked
    const near = nearest(asked, this.names(true))
    return new Failure('unknown-model', `The model \`${shown}\` is not served here.`, {
      field: 'model',
      code: 'model_not_found',
      recommendations: [
        near.length > 0
          ? `Did you mean ${near.map(name => `\`${name}\``).join(' or ')}?`
          : 'GET /v1/models lists what is.',
        'Add an entry to model_list in gateway.yaml; it is in force as soon as the file is saved.'
      ]
    })
  }
}
