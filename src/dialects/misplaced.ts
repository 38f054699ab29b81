// Cursor's agent sends to Chat what Responses is sent, and reads what Chat answers. A tool that takes text is a function
// to it in answers all the same, with the bare text for its arguments: it reads `function.name` of every call.
import type { Block } from '../chat/block.ts'
import type { ChatEvent } from '../chat/events.ts'
import { Failure } from '../chat/failure.ts'
import type { ChatRequest, Tool, Turn } from '../chat/request.ts'
import type { ClientSide, EncodeContext, StreamEncoder } from './dialect.ts'
import { freeformInput } from './freeform.ts'
import { encodeAnswer } from './openai-chat/answer.ts'
import { encodeStream } from './openai-chat/stream-writer.ts'
import { decodeRequest } from './openai-responses/request.ts'
import { boolean, defined, fields } from './read.ts'

export const misplaced: ClientSide = {
  decodeRequest: decodeMisplaced,
  encodeAnswer: (answer, context) =>
    encodeAnswer({ ...answer, blocks: answer.blocks.map(block => asFunction(block, context.tools)) }, context),
  encodeStream: context => new FunctionEncoder(context)
}

function decodeMisplaced(input: unknown): ChatRequest | Failure {
  const { stream_options: options, ...body } = fields(input)
  const chat = decodeRequest(body)
  if (chat instanceof Failure) return chat
  const turns = chat.turns.map(turn => asCalled(turn, chat.tools))
  return { ...chat, turns, ...defined({ streamUsage: boolean(fields(options)['include_usage']) }) }
}

function takesText(name: string, tools: readonly Tool[] = []): boolean {
  return tools.some(tool => tool.freeform === true && tool.name === name)
}

/** The calls of a history as the model made them. */
function asCalled(turn: Turn, tools: readonly Tool[]): Turn {
  const isText = (block: Block) => block.type === 'tool-call' && takesText(block.name, tools)
  if (!turn.blocks.some(isText)) return turn
  return { ...turn, blocks: turn.blocks.map(block => (isText(block) ? { ...block, freeform: true } : block)) }
}

/** The bare text, though a model that knows only functions has put it into an object. */
function asFunction(block: Block, tools: readonly Tool[] | undefined): Block {
  if (block.type !== 'tool-call' || !takesText(block.name, tools)) return block
  const { freeform = false, ...call } = block
  return freeform ? call : { ...call, input: freeformInput(block.input) }
}

class FunctionEncoder implements StreamEncoder {
  readonly #chat: StreamEncoder
  readonly #tools: readonly Tool[] | undefined
  /** Of a call whose text is in an object: it is read when all of it is there. */
  #wrapped: string[] | undefined

  constructor(context: EncodeContext) {
    this.#chat = encodeStream(context)
    this.#tools = context.tools
  }

  push(event: ChatEvent): string {
    switch (event.type) {
      case 'block-start': {
        const { block } = event
        const isWrapped = block.type === 'tool-call' && block.freeform !== true && takesText(block.name, this.#tools)
        this.#wrapped = isWrapped ? [] : undefined
        return this.#chat.push({ ...event, block: isWrapped ? block : asFunction(block, this.#tools) })
      }
      case 'block-delta':
        if (this.#wrapped === undefined) return this.#chat.push(event)
        this.#wrapped.push(event.text)
        return ''
      case 'block-end': {
        const text = this.#wrapped === undefined ? '' : freeformInput(this.#wrapped.join(''))
        this.#wrapped = undefined
        const all = text === '' ? '' : this.#chat.push({ type: 'block-delta', index: event.index, text })
        return all + this.#chat.push(event)
      }
      default:
        return this.#chat.push(event)
    }
  }

  keepAlive(): string {
    return this.#chat.keepAlive()
  }

  end(): string {
    return this.#chat.end()
  }
}
