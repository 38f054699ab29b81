import { type Ask, type Fields, fields, strings, tokensIn, wholeNumber } from './ask.ts'
import { CREATED, dataFrame, type Writer } from './frames.ts'
import { chatUsage } from './openai-chat.ts'
import type { Reply } from './reply.ts'

function readAsk(body: Fields): Ask {
  return {
    prompt: strings(body['prompt']).at(-1) ?? '',
    results: [],
    tools: [],
    toolChoice: 'none',
    parallel: false,
    schema: undefined,
    cap: wholeNumber(body['max_tokens']),
    stops: strings(body['stop']),
    input: tokensIn(body['prompt'], body['suffix'])
  }
}

function completion(reply: Reply, choices: object[]): Record<string, unknown> {
  const { key, model } = reply
  return {
    id: `cmpl-${key}`,
    object: 'text_completion',
    created: CREATED,
    model,
    system_fingerprint: 'fp_demo',
    choices
  }
}

function choice(text: string, finish_reason: string | null): object {
  return { index: 0, text, logprobs: null, finish_reason }
}

function encodeAnswer(reply: Reply): object {
  return { ...completion(reply, [choice(reply.text, reply.finish)]), usage: chatUsage(reply) }
}

function encodeStream(reply: Reply, body: Fields): string[] {
  const includeUsage = fields(body['stream_options'])['include_usage'] === true
  const usage = includeUsage ? dataFrame({ ...completion(reply, []), usage: chatUsage(reply) }) : ''
  const end = `${dataFrame(completion(reply, [choice('', reply.finish)]))}${usage}data: [DONE]\n\n`
  return [...reply.pieces.map(text => dataFrame(completion(reply, [choice(text, null)]))), end]
}

export const completions: Writer = { readAsk, encodeAnswer, encodeStream }
