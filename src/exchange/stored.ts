// Answers that a Responses client may go on from by their id, for upstreams that keep none themselves. In memory: a
// client whose answer is gone is told so, and sends the whole conversation.

import { createHash } from 'node:crypto'
import type { ChatAnswer } from '../chat/answer.ts'
import { Failure } from '../chat/failure.ts'
import type { ChatRequest, Turn } from '../chat/request.ts'
import { credentialOf } from '../keys/gate.ts'
import type { Inbound } from './inbound.ts'

const NAME = 'openai-responses'
const MAX_BYTES = 64 * 1024 * 1024
const MAX_COUNT = 10_000

interface Stored {
  readonly owner: string
  /** The whole conversation up to and with this answer. */
  readonly turns: readonly Turn[]
  readonly bytes: number
}

export class StoredResponses {
  /** In the order of their age. */
  readonly #byId = new Map<string, Stored>()
  #bytes = 0

  put(id: string, stored: Stored): void {
    if (stored.bytes > MAX_BYTES) return
    this.#byId.set(id, stored)
    this.#bytes += stored.bytes
    for (const oldest of this.#byId.keys()) {
      if (this.#bytes <= MAX_BYTES && this.#byId.size <= MAX_COUNT) return
      this.remove(oldest)
    }
  }

  /** Somebody else's is as good as none. */
  get(id: string, owner: string): readonly Turn[] | undefined {
    const stored = this.#byId.get(id)
    return stored?.owner === owner ? stored.turns : undefined
  }

  remove(id: string): void {
    this.#bytes -= this.#byId.get(id)?.bytes ?? 0
    this.#byId.delete(id)
  }
}

/** Part of the conversation that lies with OpenAI, and with nobody else. */
const ELSEWHERE = ['conversation', 'prompt'] as const

function keptElsewhere(field: string): Failure {
  const message = `${field}: this model is served by an upstream that keeps none; send the whole conversation as \`input\`.`
  return new Failure('unsupported', message, { field })
}

/** Puts before a request what it goes on from. The gateway keeps answers itself, so no upstream has to be told. */
export function continued(chat: ChatRequest, inbound: Inbound, responses: StoredResponses): ChatRequest | Failure {
  const { previous_response_id: previous, store: _, ...own } = chat.extra?.[NAME] ?? {}
  const elsewhere = ELSEWHERE.find(field => own[field] !== undefined && own[field] !== null)
  if (elsewhere !== undefined) return keptElsewhere(elsewhere)
  const { [NAME]: __, ...others } = chat.extra ?? {}
  const asked = { ...chat, extra: Object.keys(own).length > 0 ? { ...others, [NAME]: own } : others }
  if (typeof previous !== 'string') return asked
  const turns = responses.get(previous, ownerOf(inbound))
  if (turns !== undefined) return { ...asked, turns: [...turns, ...chat.turns] }
  return new Failure('invalid-request', `Previous response with id '${previous}' not found.`, {
    field: 'previous_response_id',
    code: 'previous_response_not_found',
    recommendations: ['Send the whole conversation as `input`: answers are kept in memory, and not for ever.']
  })
}

/** True unless the client says that its answer is not to be kept. */
export function isToBeKept(chat: ChatRequest, inbound: Inbound): boolean {
  return inbound.dialect === NAME && chat.extra?.[NAME]?.['store'] !== false
}

/** Keeps the answer under the id that the client is told. */
export function keeperFor(chat: ChatRequest, inbound: Inbound, responses: StoredResponses) {
  return (answer: ChatAnswer): void => {
    const said: Turn = { role: 'assistant', blocks: answer.blocks }
    // What went before is shared with the entries that hold it.
    const bytes = inbound.body.length + JSON.stringify(said).length
    responses.put(`resp_${inbound.id}`, { owner: ownerOf(inbound), turns: [...chat.turns, said], bytes })
  }
}

function ownerOf({ headers }: Inbound): string {
  const credential = credentialOf(headers, '') ?? ''
  return createHash('sha256').update(credential).digest('base64')
}
