import { Failure } from '../../chat/failure.ts'
import { nearest } from '../../lib/nearest.ts'
import { asObject, type Row } from '../../store/values.ts'
import type { Asked, Numbered } from './asked.ts'

const LONGEST_TEXT = 512
const MOST_ITEMS = 1_000
const LONGEST_OBJECT = 64_000
/** In nano-dollars they fit the database's largest numbers. */
const MOST_DOLLARS = 1_000_000_000

/** What LiteLLM's scripts send and means nothing here: fine as long as it asks for nothing. */
const ELSEWHERE = new Set(
  `agent_id allowed_cache_controls config permissions budget_fallbacks mcp_rpm_limit tag_rpm_limit guardrails policies prompts
  object_permission disable_global_guardrails throttle_on_budget_exceeded enforced_params allowed_passthrough_routes
  allowed_vector_store_indexes rpm_limit_type tpm_limit_type router_settings access_group_ids project_id auto_rotate
  rotation_interval team_member_permissions model_aliases team_member_budget team_member_rpm_limit team_member_tpm_limit
  team_member_key_duration team_member_budget_duration default_team_member_models model_id sso_user_id organizations
  max_budget_in_team spend budget_reset_at new_key new_master_key object_permission_id allowed_model_region_strict hooks`
    .split(/\s+/)
    .filter(name => name !== '')
)
/** Whatever they say, nothing follows from it that anybody would miss. */
const HARMLESS = new Set(['send_invite_email', 'litellm_changed_by', 'created_by', 'updated_by'])

/** Reads what was sent, field by field. The first mistake is kept, and every read after it is of no account. */
export class Fields {
  #failure: Failure | undefined
  readonly #sent: Row
  readonly #isQuery: boolean
  readonly #read = new Set<string>()

  constructor({ sent, isQuery }: Pick<Asked, 'sent' | 'isQuery'>) {
    this.#sent = sent
    this.#isQuery = isQuery
  }

  /** What is wrong with a field that was read. */
  get mistake(): Failure | undefined {
    return this.#failure
  }

  /** What is wrong: with a field, or that one is not known. To be asked when all have been read. */
  get failure(): Failure | undefined {
    if (this.#failure !== undefined) return this.#failure
    for (const [name, value] of Object.entries(this.#sent)) {
      if (this.#read.has(name) || HARMLESS.has(name)) continue
      if (ELSEWHERE.has(name)) {
        if (isEmpty(value)) continue
        return invalid(name, `\`${name}\` is not enforced here, so it is not taken.`)
      }
      const near = nearest(name, this.#read)
      const hint =
        near.length === 0 ? {} : { recommendations: [`Did you mean ${near.map(each => `\`${each}\``).join(' or ')}?`] }
      return invalid(name.slice(0, 100), `There is no field \`${name.slice(0, 100)}\` here.`, hint)
    }
    return undefined
  }

  /** Undefined: not said. Null: said to be nothing. */
  text(name: string, most = LONGEST_TEXT): string | null | undefined {
    const value = this.#take(name)
    if (value === undefined || value === null) return value
    if (typeof value !== 'string') return this.#refuse(name, 'must be a text')
    if (value.length > most) return this.#refuse(name, `must not be longer than ${most} characters`)
    return isStorable(value) ? value : this.#refuse(name, 'holds a character that cannot be stored')
  }

  /** A text that says something. */
  word(name: string, most?: number): string | undefined {
    const text = this.text(name, most)
    return text === '' ? this.#refuse(name, 'must not be empty') : (text ?? undefined)
  }

  needed(name: string, most?: number): string {
    const word = this.word(name, most)
    if (word === undefined && this.#failure === undefined) this.#refuse(name, 'is missing')
    return word ?? ''
  }

  oneOf<Word extends string>(name: string, words: readonly Word[]): Word | undefined {
    const said = this.word(name)
    if (said === undefined) return undefined
    return words.find(word => word === said) ?? this.#refuse(name, `must be one of ${words.join(', ')}`)
  }

  texts(name: string): readonly string[] | undefined {
    const value = this.#take(name)
    if (value === undefined) return undefined
    if (value === null) return []
    const items: unknown = this.#isQuery && typeof value === 'string' ? value.split(',') : value
    if (!Array.isArray(items)) return this.#refuse(name, 'must be a list of texts')
    if (items.length > MOST_ITEMS) return this.#refuse(name, `must not have more than ${MOST_ITEMS} items`)
    const texts: string[] = []
    for (const item of items) {
      if (typeof item !== 'string' || item === '' || item.length > LONGEST_TEXT || !isStorable(item))
        return this.#refuse(name, `must be a list of texts of 1 to ${LONGEST_TEXT} characters`)
      texts.push(item)
    }
    return [...new Set(texts)]
  }

  flag(name: string): boolean | undefined {
    const value = this.#take(name)
    if (value === undefined || value === null) return undefined
    if (this.#isQuery && (value === 'true' || value === 'false')) return value === 'true'
    return typeof value === 'boolean' ? value : this.#refuse(name, 'must be true or false')
  }

  whole(name: string, least = 0, most = 2 ** 31 - 1): number | null | undefined {
    const value = this.#number(name)
    if (value === undefined || value === null) return value
    if (!Number.isInteger(value) || value < least || value > most)
      return this.#refuse(name, `must be a whole number from ${least} to ${most}`)
    return value
  }

  /** In nano-dollars. */
  dollars(name: string): bigint | null | undefined {
    const value = this.#number(name)
    if (value === undefined || value === null) return value
    return nanoOf(value) ?? this.#refuse(name, `must be dollars from 0 to ${MOST_DOLLARS}`)
  }

  object(name: string): Row | null | undefined {
    const value = this.#take(name)
    if (value === undefined || value === null) return value
    if (typeof value !== 'object' || Array.isArray(value)) return this.#refuse(name, 'must be an object')
    const json = JSON.stringify(value)
    if (json.length > LONGEST_OBJECT) return this.#refuse(name, `must not be larger than ${LONGEST_OBJECT} characters`)
    // As JSON writes what PostgreSQL cannot hold.
    if (/\\u0000|\\ud[89a-f]/i.test(json)) return this.#refuse(name, 'holds a character that cannot be stored')
    return asObject(value)
  }

  objects(name: string): readonly Row[] | undefined {
    const value = this.#take(name)
    if (value === undefined || value === null) return undefined
    const items: readonly unknown[] = Array.isArray(value) ? value : [value]
    if (
      items.length > MOST_ITEMS ||
      items.some(item => typeof item !== 'object' || item === null || Array.isArray(item))
    )
      return this.#refuse(name, 'must be an object, or a list of them')
    return items.map(asObject)
  }

  /** As a day or a time of ISO 8601. */
  time(name: string): Date | undefined {
    const said = this.word(name, 40)
    if (said === undefined) return undefined
    const time = /^\d{4}-\d\d-\d\d/.test(said) ? new Date(said) : undefined
    return time === undefined || Number.isNaN(time.getTime())
      ? this.#refuse(name, 'must be a date, such as 2026-11-21')
      : time
  }

  /** Milliseconds of `30s`, `30m`, `30h`, `30d`, `30w` or `30mo`. */
  duration(name: string): number | null | undefined {
    const said = this.text(name, 20)
    if (said === undefined || said === null) return said
    const [, digits, unit = ''] = /^([1-9]\d{0,5})(s|m|h|d|w|mo)$/.exec(said) ?? []
    const factor = UNITS[unit]
    if (digits === undefined || factor === undefined)
      return this.#refuse(name, 'must be a time such as 30s, 30m, 12h, 30d, 2w or 1mo')
    return Number(digits) * factor
  }

  page(most: number, names: { page?: string; size?: string } = {}): Numbered {
    const page = this.whole(names.page ?? 'page', 1, 1_000_000) ?? 1
    const size = this.whole(names.size ?? 'size', 1, most) ?? Math.min(most, 10)
    return { page, size }
  }

  /** Keeps the first mistake. */
  fail(failure: Failure): undefined {
    this.#failure ??= failure
    return undefined
  }

  #number(name: string): number | null | undefined {
    const value = this.#take(name)
    if (value === undefined || value === null) return value
    const number = this.#isQuery && typeof value === 'string' && value !== '' ? Number(value) : value
    return typeof number === 'number' && Number.isFinite(number) ? number : this.#refuse(name, 'must be a number')
  }

  #take(name: string): unknown {
    this.#read.add(name)
    return Object.hasOwn(this.#sent, name) ? this.#sent[name] : undefined
  }

  #refuse(name: string, what: string): undefined {
    return this.fail(invalid(name, `\`${name}\` ${what}.`))
  }
}

const UNITS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  // As LiteLLM's keys count it: a key's end need not fall on a first of the month.
  mo: 30 * 86_400_000
}

export function invalid(field: string, message: string, more: { recommendations?: readonly string[] } = {}): Failure {
  return new Failure('invalid-request', message, { field, ...more })
}

export function nanoOf(dollars: number): bigint | undefined {
  return dollars >= 0 && dollars <= MOST_DOLLARS ? BigInt(Math.round(dollars * 1e9)) : undefined
}

export function dollarsOf(nano: bigint): number {
  return Number(nano) / 1e9
}

function isStorable(text: string): boolean {
  return !/\0|\p{Surrogate}/u.test(text)
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === false || value === '' || value === 0) return true
  return typeof value === 'object' && Object.keys(value).length === 0
}

/** Ids, one of them at the least. To be read last of all, since it says what is wrong with any field. */
export function idsOf(fields: Fields, name: string): readonly string[] | Failure {
  const ids = fields.texts(name) ?? []
  if (fields.failure !== undefined) return fields.failure
  return ids.length === 0 ? invalid(name, `Say which: {"${name}": ["…"]}.`) : ids
}
