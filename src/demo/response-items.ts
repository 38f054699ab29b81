import { argumentPieces } from './frames.ts'
import type { Reply } from './reply.ts'

/** An item of the output: as it is at the end, as it is when it is added, and the events in between, each a group of frames. */
export interface Item {
  readonly whole: object
  readonly added: object
  readonly events: readonly (readonly ItemEvent[])[]
}

export interface ItemEvent {
  readonly type: string
  readonly [key: string]: unknown
}

/** What the output of an answer holds, in its order. */
export function itemsOf(reply: Reply): Item[] {
  const items: Item[] = []
  if (reply.thinking !== '') items.push(reasoningItem(reply))
  if (reply.text !== '' || reply.calls.length === 0) items.push(messageItem(reply))
  return [...items, ...reply.calls.map((_, index) => callItem(reply, index))]
}

function reasoningItem({ key, thinking: text }: Reply): Item {
  const head = { id: `rs_${key}`, type: 'reasoning' }
  const where = { item_id: head.id, summary_index: 0 }
  const part = { type: 'summary_text', text }
  return {
    whole: { ...head, summary: [part] },
    added: { ...head, summary: [] },
    events: [
      [{ type: 'response.reasoning_summary_part.added', ...where, part: { ...part, text: '' } }],
      [{ type: 'response.reasoning_summary_text.delta', ...where, delta: text }],
      [
        { type: 'response.reasoning_summary_text.done', ...where, text },
        { type: 'response.reasoning_summary_part.done', ...where, part }
      ]
    ]
  }
}

function messageItem({ key, text, pieces, finish }: Reply): Item {
  const status = finish === 'length' ? 'incomplete' : 'completed'
  const head = { id: `msg_${key}`, type: 'message', role: 'assistant' }
  const where = { item_id: head.id, content_index: 0 }
  const part = { type: 'output_text', text, annotations: [], logprobs: [] }
  return {
    whole: { ...head, status, content: [part] },
    added: { ...head, status: 'in_progress', content: [] },
    events: [
      [{ type: 'response.content_part.added', ...where, part: { ...part, text: '' } }],
      ...pieces.map(delta => [{ type: 'response.output_text.delta', ...where, delta, logprobs: [] }]),
      [
        { type: 'response.output_text.done', ...where, text, logprobs: [] },
        { type: 'response.content_part.done', ...where, part }
      ]
    ]
  }
}

function callItem({ key, calls }: Reply, index: number): Item {
  const { tool, text } = calls[index] as Reply['calls'][number]
  const { name, namespace, custom = false } = tool
  const kind = custom ? 'custom_tool_call' : 'function_call'
  const argument = custom ? 'input' : 'arguments'
  const id = `${custom ? 'ctc' : 'fc'}_${key}${index}`
  const head = { id, type: kind, call_id: `call_${key}${index}`, name, ...(namespace !== undefined && { namespace }) }
  const event = custom ? 'response.custom_tool_call_input' : 'response.function_call_arguments'
  return {
    whole: { ...head, status: 'completed', [argument]: text },
    added: { ...head, status: 'in_progress', [argument]: '' },
    events: [
      ...argumentPieces(text).map(delta => [{ type: `${event}.delta`, item_id: id, delta }]),
      [{ type: `${event}.done`, item_id: id, ...(custom ? {} : { name }), [argument]: text }]
    ]
  }
}
