import { readFileSync } from 'node:fs'
import { nearest } from '../lib/nearest.ts'
import { type AdminFlags, type Administer, administrator, linesOf } from './admin-client.ts'
import type { Reply } from './client.ts'
import { count, EXIT, fail, print, printJson, table } from './output.ts'

/** What can be said of a key; each becomes the field of that name. */
export interface KeyFlags extends AdminFlags {
  readonly alias?: string
  readonly models?: string
  readonly maxBudget?: string
  readonly budgetDuration?: string
  readonly rpmLimit?: string
  readonly tpmLimit?: string
  readonly rpdLimit?: string
  readonly maxParallel?: string
  readonly duration?: string
  readonly team?: string
  readonly user?: string
  readonly tags?: string
  readonly allowedIps?: string
  readonly allowedRoutes?: string
  /** `name=value`, for every other field of the admin API; the value is JSON, or else text. */
  readonly set?: readonly string[]
  /** How long the secret of before stays valid, for rotate. */
  readonly grace?: string
  readonly page?: string
}

type Fields = Record<string, unknown>
type Print = (body: Reply['body']) => void

interface Action {
  /** Whether it is done to a key that is there. */
  readonly needsKey: boolean
  ask(administer: Administer, key: string, flags: KeyFlags): Promise<Reply | string>
  readonly print: Print
}

const TEXTS = [
  ['alias', 'key_alias'],
  ['budgetDuration', 'budget_duration'],
  ['duration', 'duration'],
  ['team', 'team_id'],
  ['user', 'user_id']
] as const
const LISTS = [
  ['models', 'models'],
  ['tags', 'tags'],
  ['allowedIps', 'allowed_ips'],
  ['allowedRoutes', 'allowed_routes']
] as const
const NUMBERS = [
  ['maxBudget', 'max_budget'],
  ['rpmLimit', 'rpm_limit'],
  ['tpmLimit', 'tpm_limit'],
  ['rpdLimit', 'rpd_limit'],
  ['maxParallel', 'max_parallel_requests']
] as const

/** What the flags say, as the admin API wants it; a string says what is wrong with them. */
function fieldsOf(flags: KeyFlags): Fields | string {
  const fields: Fields = {}
  for (const [flag, field] of TEXTS) if (flags[flag] !== undefined) fields[field] = flags[flag]
  for (const [flag, field] of LISTS) {
    const said = flags[flag]
    if (said !== undefined) fields[field] = said.split(',').flatMap(item => (item.trim() === '' ? [] : [item.trim()]))
  }
  for (const [flag, field] of NUMBERS) {
    const said = flags[flag]
    if (said === undefined) continue
    // `none` takes a limit away.
    fields[field] = said === 'none' ? null : Number(said)
    if (Number.isNaN(fields[field])) return `${field} must be a number, or \`none\`; it is \`${said}\`.`
  }
  for (const pair of flags.set ?? []) {
    const cut = pair.indexOf('=')
    if (cut < 1) return `--set wants name=value; it is \`${pair}\`.`
    fields[pair.slice(0, cut)] = readValue(pair.slice(cut + 1))
  }
  return fields
}

function readValue(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function post(path: string): Action['ask'] {
  return async (administer, key, flags) => {
    const fields = fieldsOf(flags)
    return typeof fields === 'string' ? fields : administer('POST', path, { key, ...fields })
  }
}

const ACTIONS: Readonly<Record<string, Action>> = {
  create: {
    needsKey: false,
    ask: async (administer, _, flags) => {
      const fields = fieldsOf(flags)
      return typeof fields === 'string' ? fields : administer('POST', '/key/generate', fields)
    },
    print: printSecret('made')
  },
  list: {
    needsKey: false,
    ask: (administer, _, { team, user, page = '1' }) => {
      const query = new URLSearchParams({ return_full_object: 'true', size: '100', page })
      if (team !== undefined) query.set('team_id', team)
      if (user !== undefined) query.set('user_id', user)
      return administer('GET', `/key/list?${query}`)
    },
    print: printList
  },
  info: {
    needsKey: true,
    ask: (administer, key) => administer('GET', `/key/info?${new URLSearchParams({ key })}`),
    print: ({ info }) => printKey(asRow(info))
  },
  update: { needsKey: true, ask: post('/key/update'), print: printKey },
  block: { needsKey: true, ask: post('/key/block'), print: told('is blocked') },
  unblock: { needsKey: true, ask: post('/key/unblock'), print: told('is not blocked any more') },
  rotate: {
    needsKey: true,
    ask: (administer, key, { grace }) =>
      administer('POST', '/key/regenerate', { key, ...(grace !== undefined && { grace_period: grace }) }),
    print: printSecret('rotated')
  },
  delete: {
    needsKey: true,
    ask: (administer, key) => administer('POST', '/key/delete', { keys: [key] }),
    print: () => print('Deleted.')
  },
  import: {
    needsKey: true,
    ask: async (administer, file) => {
      const rows = rowsIn(file)
      return typeof rows === 'string' ? rows : administer('POST', '/key/import', { keys: rows })
    },
    print: ({ imported }) => print(`${count(Number(imported), 'key')} imported; they go on as they are.`)
  }
}

function rowsIn(file: string): readonly unknown[] | string {
  try {
    const rows: unknown = JSON.parse(readFileSync(file, 'utf8'))
    return Array.isArray(rows) ? rows : `${file} holds no list of keys.`
  } catch (error) {
    return `${file} cannot be read: ${error instanceof Error ? error.message : String(error)}.`
  }
}

/** `sluice keys …`: what the admin API does, for people and scripts. */
export async function keys(action: string, key: string | undefined, flags: KeyFlags): Promise<number> {
  const json = flags.json === true
  const known = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined
  if (known === undefined) {
    const near = nearest(action, Object.keys(ACTIONS))[0]
    const hint = near === undefined ? '' : ` Did you mean ${near}?`
    return fail([`There is no \`sluice keys ${action}\`.${hint}`, `There are: ${NAMES}.`], json, EXIT.usage)
  }
  if (known.needsKey && key === undefined) {
    const what = action === 'import' ? 'FILE' : 'KEY'
    return fail([`Say which: sluice keys ${action} ${what}`], json, EXIT.usage)
  }
  const administer = await administrator(flags)
  if (typeof administer !== 'function') return fail(administer.lines, json, administer.code)
  const reply = await known.ask(administer, key ?? '', flags)
  if (typeof reply === 'string') return fail([reply], json)
  if (reply.status !== 200) return fail(linesOf(reply), json)
  if (json) printJson(reply.body)
  else known.print(reply.body)
  return EXIT.done
}

const NAMES = Object.keys(ACTIONS).join(', ')

function asRow(value: unknown): Reply['body'] {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

/** The key alone goes to standard output, so that a script can take it. */
function printSecret(done: string): Print {
  return body => {
    print(String(body['key']))
    process.stderr.write(`The key ${nameOf(body)} was ${done}. It is shown this once and kept nowhere.\n`)
  }
}

function told(what: string): Print {
  return body => print(`The key ${nameOf(body)} ${what}.`)
}

function nameOf(row: Reply['body']): string {
  const { key_alias: alias, token } = row
  return typeof alias === 'string' ? `${alias} (${token})` : String(token)
}

function printList(body: Reply['body']): void {
  const rows = Array.isArray(body['keys']) ? body['keys'].map(asRow) : []
  if (rows.length === 0) return print('There are no keys. Make one: sluice keys create --alias NAME')
  print(
    table([
      ['id', 'alias', 'owner', 'models', 'spent', 'state'],
      ...rows.map(row => [
        String(row['token']),
        textOf(row['key_alias']),
        [row['team_id'], row['user_id']].filter(owner => owner !== null).join(' / ') || '–',
        listOf(row['models'], 'all'),
        spendOf(row),
        stateOf(row)
      ])
    ])
  )
  const { current_page: page, total_pages: pages, total_count: total } = body
  if (Number(pages) > 1)
    print(`Page ${page} of ${pages}, ${count(Number(total), 'key')} in all; --page N shows another.`)
}

function printKey(row: Reply['body']): void {
  const lines: [string, string][] = [
    ['id', String(row['token'])],
    ['name', textOf(row['key_name'])],
    ['alias', textOf(row['key_alias'])],
    ['state', stateOf(row)],
    ['models', listOf(row['models'], 'all')],
    ['spent', spendOf(row)],
    ['team', textOf(row['team_id'])],
    ['user', textOf(row['user_id'])],
    ['tags', listOf(row['tags'], '–')],
    ['routes', listOf(row['allowed_routes'], 'all')],
    ['addresses', listOf(row['allowed_ips'], 'any')]
  ]
  for (const name of ['rpm_limit', 'rpd_limit', 'tpm_limit', 'max_parallel_requests', 'last_active'])
    lines.push([name.replaceAll('_', ' '), textOf(row[name])])
  print(table(lines))
}

function textOf(value: unknown): string {
  return value === null || value === undefined ? '–' : String(value)
}

function listOf(value: unknown, none: string): string {
  return Array.isArray(value) && value.length > 0 ? value.join(', ') : none
}

function spendOf({ spend, max_budget: most, budget_duration: per }: Reply['body']): string {
  const spent = `$${Number(spend).toFixed(4)}`
  if (typeof most !== 'number') return spent
  return `${spent} of $${most}${typeof per === 'string' ? ` per ${per}` : ''}`
}

function stateOf({ blocked, expires }: Reply['body']): string {
  if (blocked === true) return 'blocked'
  if (typeof expires !== 'string') return 'active'
  return Date.parse(expires) <= Date.now() ? `expired ${expires.slice(0, 10)}` : `active until ${expires.slice(0, 10)}`
}
