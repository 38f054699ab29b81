import { readDuration } from '../../lib/duration.ts'
import { type CheckContext, errorAtKey, errorAtValue } from './context.ts'

/** What goes into a URL, a header or a socket can be sent as it is. */
export function checkAddresses(context: CheckContext): void {
  const { config } = context
  for (const [name, backend] of Object.entries(config.backends)) {
    const path = ['backends', name]
    if (backend.api_base !== undefined) checkUrl(context, backend.api_base, [...path, 'api_base'])
    if (backend.api_key !== undefined) checkHeaderValue(context, backend.api_key, [...path, 'api_key'])
    checkHeaders(context, backend.headers, [...path, 'headers'])
  }
  for (const [index, entry] of config.model_list.entries()) {
    const path = ['model_list', index]
    if (entry.api_base !== undefined) checkUrl(context, entry.api_base, [...path, 'api_base'])
    if (entry.api_key !== undefined) checkHeaderValue(context, entry.api_key, [...path, 'api_key'])
    checkHeaders(context, entry.headers, [...path, 'headers'])
    if (entry.health_check !== undefined)
      checkTimer(context, entry.health_check.interval, [...path, 'health_check', 'interval'])
    for (const [timer, value] of Object.entries(entry.timeouts))
      checkTimer(context, value, [...path, 'timeouts', timer])
    if (entry.keep_alive !== undefined) checkTimer(context, entry.keep_alive, [...path, 'keep_alive'], true)
  }
  for (const [name, entry] of Object.entries(config.passthrough)) {
    if (!/^[\w.-]+$/.test(name))
      errorAtKey(context, ['passthrough', name], 'the name is part of a URL: letters, digits, `.`, `_` and `-`')
    checkUrl(context, entry.target, ['passthrough', name, 'target'])
    checkHeaders(context, entry.headers, ['passthrough', name, 'headers'])
  }
  checkTimer(context, config.server.drain, ['server', 'drain'], true)
  const { queue, cooldown, retry_total: retryTotal } = config.routing
  checkTimer(context, queue.wait, ['routing', 'queue', 'wait'])
  checkTimer(context, retryTotal, ['routing', 'retry_total'], true)
  checkTimer(context, cooldown.within, ['routing', 'cooldown', 'within'])
  checkTimer(context, cooldown.for, ['routing', 'cooldown', 'for'])
  checkListening(context)
  checkMetricsPort(context)
}

function checkUrl(context: CheckContext, text: string, path: (string | number)[]): void {
  const hint = 'for example http://127.0.0.1:8000/v1'
  if (!URL.canParse(text) || /\s/.test(text)) return errorAtValue(context, path, 'is not a URL', hint)
  const url = new URL(text)
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    errorAtValue(context, path, 'must begin with http:// or https://', hint)
  else if (url.username !== '' || url.password !== '') {
    errorAtValue(context, path, 'has a name or a password in it', 'put the credential into api_key or headers')
  } else if (url.search !== '' || url.hash !== '')
    errorAtValue(context, path, 'must end with its path: no `?` and no `#`', hint)
}

/** Node sends a header's text as Latin-1, without control characters. */
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
/** They say how a message is framed and where it goes: the gateway knows, the operator cannot. */
const OWN_HEADERS = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'connection',
  'upgrade',
  'keep-alive',
  'te',
  'trailer',
  'expect'
])

function checkHeaders(
  context: CheckContext,
  headers: Readonly<Record<string, string>>,
  path: (string | number)[]
): void {
  const seen = new Set<string>()
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase()
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name))
      errorAtKey(context, [...path, name], 'is not a name that a header can have')
    else if (OWN_HEADERS.has(lower)) errorAtKey(context, [...path, name], 'this header is set by the gateway itself')
    else if (seen.has(lower))
      errorAtKey(context, [...path, name], 'this header is here twice: case makes no difference')
    seen.add(lower)
    checkHeaderValue(context, value, [...path, name])
  }
}

function checkHeaderValue(context: CheckContext, value: string, path: (string | number)[]): void {
  if (HEADER_VALUE.test(value)) return
  const lineBreak = /[\r\n]/.test(value)
  const message = lineBreak
    ? 'has a line break in it, which a header cannot send'
    : 'has a character in it that a header cannot send'
  errorAtValue(context, path, message)
}

const MAX_TIMER = 2 ** 31 - 1

function checkTimer(context: CheckContext, value: string | number, path: (string | number)[], mayBeZero = false): void {
  const milliseconds = readDuration(value)
  if (milliseconds === undefined || milliseconds > MAX_TIMER)
    errorAtValue(context, path, 'must be at most 24 days', 'for example 10m')
  else if (milliseconds < 1 && !mayBeZero) errorAtValue(context, path, 'must be at least 1ms', 'for example 10m')
}

/** Beyond loopback, somebody has to be asked who they are, or it has to be said aloud that nobody is. */
function checkListening(context: CheckContext): void {
  const { server, auth } = context.config
  if (isLoopback(server.host) || auth === 'none') return
  if (auth.master_key !== undefined && auth.master_key !== '') return
  const hint = 'set auth.master_key, or say `auth: none` if everybody who reaches the port may call'
  errorAtValue(context, ['server', 'host'], 'listening beyond this machine needs a credential', hint)
}

/** Two listeners at one address. */
function checkMetricsPort(context: CheckContext): void {
  const { port, metrics } = context.config.server
  if (metrics.port === undefined || metrics.port === 0 || metrics.port !== port) return
  errorAtValue(context, ['server', 'metrics', 'port'], 'is the port of the gateway itself', 'leave it out for that one')
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)
}
