import { setTimeout as wait } from 'node:timers/promises'
import { loadConfig } from '../config/load.ts'
import { readDuration } from '../lib/duration.ts'
import type { Where } from './find-config.ts'
import { colors, EXIT, fail, print, printJson } from './output.ts'
import { shorter } from './prepare.ts'
import { findRunning } from './running.ts'
import { Meanwhile, readScrape, type Sample } from './scrape.ts'
import { renderTop, summarize, type Top } from './top-view.ts'

export interface TopFlags extends Where {
  readonly json?: boolean
  readonly once?: boolean
  readonly url?: string | undefined
  readonly token?: string | undefined
  readonly interval?: string
}

const PATIENCE = 5000
const SHORTEST = 200
/** Of a terminal that does not know its own size. */
const USUAL = { columns: 100, rows: 30 }
/** Terminals' own: another page, without a cursor; and back. */
const ENTER = '\u001b[?1049h\u001b[?25l'
const LEAVE = '\u001b[?25h\u001b[?1049l'
const HOME = '\u001b[H'
const REST_OF_LINE = '\u001b[K'
const REST_OF_PAGE = '\u001b[J'

/** Shows what goes on, until a key is pressed; to programs, and where nobody looks on, once. */
export async function top(flags: TopFlags): Promise<number> {
  const json = flags.json === true
  const interval = intervalOf(flags.interval ?? '2s')
  if (interval === undefined) return fail(['--interval is a time such as 500ms or 2s.'], json, EXIT.usage)
  const place = await placeOf(flags)
  if ('problem' in place) return fail([place.problem], json, place.code)
  const { url } = place
  const first = await scrape(place)
  if (typeof first === 'string') return fail([`The gateway at ${url} does not answer: ${first}.`], json)
  const live = !json && flags.once !== true && process.stdout.isTTY === true
  if (live) return watch(place, interval, first)
  await wait(interval)
  const now = await scrape(place)
  if (typeof now === 'string') return fail([`The gateway at ${url} does not answer: ${now}.`], json)
  const seen = between(first, now)
  if (json) printJson({ url, ...seen })
  else print(renderTop(seen, url, Number.POSITIVE_INFINITY, colors))
  return EXIT.done
}

function intervalOf(said: string): number | undefined {
  const milliseconds = readDuration(said)
  return milliseconds === undefined || milliseconds < SHORTEST ? undefined : milliseconds
}

/** What is shown of a gateway, and where its metrics are. */
interface Place {
  readonly url: string
  readonly metrics: URL
  /** Empty: none is wanted. */
  readonly token: string
}

async function placeOf({
  url,
  token = '',
  ...where
}: TopFlags): Promise<Place | { readonly problem: string; readonly code: number }> {
  if (url !== undefined)
    return /^https?:/.test(url) && URL.canParse(url)
      ? { url, metrics: new URL('/metrics', url), token }
      : { problem: `${url} is no address.`, code: EXIT.usage }
  const found = await findRunning(where)
  if (typeof found === 'string') return { problem: found, code: EXIT.failed }
  const { record, dataDir } = found
  if (record !== undefined) {
    const metrics = new URL(record.metrics ?? '/metrics', record.url)
    return { url: record.url, metrics, token: token || tokenIn(record.config) }
  }
  const problem = `No gateway runs here (${shorter(dataDir)} has none). Start one: sluice start; or say where it is: --url`
  return { problem, code: EXIT.notRunning }
}

/** A file that is broken since tells none. */
function tokenIn(file: string): string {
  const result = loadConfig(file, { env: process.env })
  return result.ok ? result.loaded.config.server.metrics.token : ''
}

interface Scrape {
  readonly at: number
  readonly samples: readonly Sample[]
}

/** A string says why there is none. */
async function scrape({ metrics, token }: Place): Promise<Scrape | string> {
  try {
    const headers: Record<string, string> = token === '' ? {} : { authorization: `Bearer ${token}` }
    const response = await fetch(metrics, { headers, signal: AbortSignal.timeout(PATIENCE), redirect: 'error' })
    if (response.status === 401) return 'it wants the token of its server.metrics (--token)'
    if (!response.ok) return `it answered ${response.status}`
    return { at: performance.now(), samples: readScrape(await response.text()) }
  } catch (error) {
    if (error instanceof Error && error.name === 'TimeoutError') return `no answer within ${PATIENCE} ms`
    const cause = error instanceof Error ? (error.cause as { code?: string } | undefined) : undefined
    return cause?.code ?? 'no answer that could be read'
  }
}

function between(before: Scrape, now: Scrape): Top {
  const seconds = Math.max(0.001, (now.at - before.at) / 1000)
  return summarize(new Meanwhile(before.samples, now.samples, seconds), Date.now())
}

/** Redraws one page until q or Ctrl-C. A gateway that goes away is waited for. */
async function watch(place: Place, interval: number, first: Scrape): Promise<number> {
  const { url } = place
  const { stdin, stdout } = process
  const ended = new AbortController()
  const onKey = (key: Buffer) => {
    if (/^[q\u0003\u001b]/.test(key.toString())) ended.abort()
  }
  stdin.setRawMode?.(true)
  stdin.on('data', onKey)
  process.once('SIGINT', () => ended.abort())
  process.once('SIGTERM', () => ended.abort())
  stdout.write(ENTER)
  let before = first
  try {
    while (!ended.signal.aborted) {
      await wait(interval, undefined, { signal: ended.signal }).catch(() => undefined)
      if (ended.signal.aborted) break
      const now = await scrape(place)
      if (typeof now === 'string') {
        draw(colors.red(`The gateway at ${url} does not answer: ${now}.`))
        continue
      }
      draw(
        `${renderTop(between(before, now), url, (stdout.rows || USUAL.rows) - 2, colors)}\n\n${colors.dim('q ends')}`
      )
      before = now
    }
  } finally {
    stdout.write(LEAVE)
    stdin.off('data', onKey)
    stdin.setRawMode?.(false)
    stdin.pause()
  }
  return EXIT.done
}

/** Over what is there, line by line: to clear the page first would flicker. */
function draw(page: string): void {
  const columns = process.stdout.columns || USUAL.columns
  const lines = page.split('\n').map(line => `${cut(line, columns)}${REST_OF_LINE}`)
  process.stdout.write(`${HOME}${lines.join('\n')}${REST_OF_PAGE}`)
}

/** Colours take no room. */
function cut(line: string, columns: number): string {
  let room = columns
  return line.replace(/(\u001b\[[\d;]*m)|./gu, (character, color?: string) =>
    color !== undefined || room-- > 0 ? character : ''
  )
}
