// For whom a client asks: the end user that it names, as LiteLLM's clients, OpenAI's and Anthropic's do.

import { metadataOf } from './ask.ts'
import type { Inbound } from './inbound.ts'

const HEADERS = ['x-litellm-customer-id', 'x-litellm-end-user-id'] as const
const FIELDS = ['user', 'safety_identifier'] as const
const LONGEST = 200
/** Agents put their session there: `{"device_id":…}`, or `user_…_session_…` in earlier versions. */
const SESSION = /^\{|_session_/
/** Claude Code's: where it stands, metadata need not be read to know that they hold a session. */
const SESSION_HEADER = 'x-claude-code-session-id'

/** Undefined where it names none, or nothing that could be a name. */
export function endUserOf(asked: Pick<Inbound, 'headers' | 'body'>): string | undefined {
  for (const name of HEADERS) {
    const value = asked.headers[name]
    if (isName(value)) return value
  }
  const { found } = asked.body.fields
  for (const name of FIELDS) {
    const value = found[name]?.value
    if (isName(value)) return value
  }
  if (asked.headers[SESSION_HEADER] !== undefined) return undefined
  const named = metadataOf(asked)?.['user_id']?.value
  return isName(named) && !SESSION.test(named) ? named : undefined
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= LONGEST
}
