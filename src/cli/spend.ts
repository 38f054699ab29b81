import { parseDuration } from '../lib/duration.ts'
import { type AdminFlags, administrator, linesOf } from './admin-client.ts'
import { EXIT, fail, print, printJson, table } from './output.ts'

export interface SpendFlags extends AdminFlags {
  readonly by?: string
  readonly since?: string
  readonly until?: string
  readonly key?: string
  readonly limit?: string
}

/** `sluice spend`: what was spent, by day unless something else is asked for. */
export async function spend(flags: SpendFlags): Promise<number> {
  const json = flags.json === true
  const query = queryOf(flags)
  if (typeof query === 'string') return fail([query], json, EXIT.usage)
  const administer = await administrator(flags)
  if (typeof administer !== 'function') return fail(administer.lines, json, administer.code)
  const reply = await administer('GET', `/spend/report?${query}`)
  if (typeof reply === 'string') return fail([reply], json)
  if (reply.status !== 200) return fail(linesOf(reply), json)
  if (json) {
    printJson(reply.body)
    return EXIT.done
  }
  const { data, group_by: by, start_date: from, end_date: to } = reply.body
  const rows = Array.isArray(data) ? data.map(row => ({ ...row })) : []
  const span = `from ${String(from).slice(0, 10)} to ${String(to).slice(0, 10)}`
  if (rows.length === 0) print(`Nothing was spent ${span}.`)
  else print(`${tableOf(String(by), rows)}\n\n${span}, in UTC`)
  return EXIT.done
}

/** Times as a day, or as how long ago: `7d`. */
function queryOf({ by, since, until, key, limit }: SpendFlags): URLSearchParams | string {
  const query = new URLSearchParams({ group_by: by ?? 'day' })
  for (const [name, said] of [
    ['start_date', since],
    ['end_date', until]
  ] as const) {
    if (said === undefined) continue
    if (/^\d{4}-/.test(said)) query.set(name, said)
    else if (/^\d+[hdw]$/.test(said)) {
      const ago = said.endsWith('w') ? 7 * parseDuration(`${said.slice(0, -1)}d`) : parseDuration(said)
      query.set(name, new Date(Date.now() - ago).toISOString())
    } else return `A time is a day such as 2026-11-21, or how long ago such as 7d; it is \`${said}\`.`
  }
  if (key !== undefined) query.set('api_key', key)
  if (limit !== undefined) query.set('limit', limit)
  return query
}

function tableOf(by: string, rows: readonly Readonly<Record<string, unknown>>[]): string {
  const sum = (name: string) => rows.reduce((total, row) => total + Number(row[name]), 0)
  const cells = (id: string, of: (name: string) => number) => [
    id,
    `$${of('spend').toFixed(4)}`,
    String(of('requests')),
    String(of('failures')),
    String(of('prompt_tokens')),
    String(of('completion_tokens'))
  ]
  return table([
    [by, 'spent', 'requests', 'failed', 'tokens in', 'tokens out'],
    ...rows.map(row => cells(String(row['id']), name => Number(row[name]))),
    cells('all', sum)
  ])
}
