import {
  type Ask,
  type Fields,
  fields,
  list,
  promptOf,
  string,
  strings,
  type Tool,
  tokensIn,
  wholeNumber
} from './ask.ts'
import { dataFrame, type Writer } from './frames.ts'
import type { Reply } from './reply.ts'

const FINISH: Record<Reply['finish'], string> = { stop: 'STOP', length: 'MAX_TOKENS', 'tool-calls': 'STOP' }

function readAsk(body: Fields): Ask {
  const contents = readContents(body['contents'])
  const last = list(contents.at(-1)?.['parts'])
  const config = fields(body['generationConfig'])
  const calling = fields(fields(body['toolConfig'])['functionCallingConfig'])
  const asked = contents.findLast(content => content['role'] !== 'model' && promptOf(content['parts']) !== '')
  return {
    prompt: promptOf(asked?.['parts']),
    results: last.filter(part => part['functionResponse'] !== undefined).map(readResult),
    tools: list(body['tools']).flatMap(tool => list(tool['functionDeclarations']).map(readTool)),
    toolChoice: readChoice(calling),
    parallel: true,
    schema: readSchema(config),
    cap: wholeNumber(config['maxOutputTokens']),
    stops: strings(config['stopSequences']),
    input: countTokens(body)
  }
}

/** The SDK wraps what it is given; a hand-written request may have one content without a list. */
function readContents(contents: unknown): readonly Fields[] {
  return Array.isArray(contents) ? list(contents) : [fields(contents)]
}

export function countTokens(body: Fields): number {
  const whole = fields(body['generateContentRequest'] ?? body)
  return tokensIn(whole['systemInstruction'], whole['contents'], whole['tools'])
}

function readResult(part: Fields): string {
  const response = fields(fields(part['functionResponse'])['response'])
  const said = response['output'] ?? response['result'] ?? response
  return typeof said === 'string' ? said : JSON.stringify(said)
}

function readTool(declaration: Fields): Tool {
  const schema = declaration['parametersJsonSchema'] ?? declaration['parameters']
  return { name: string(declaration['name']), schema: fields(schema) }
}

function readChoice({ mode, allowedFunctionNames }: Fields): Ask['toolChoice'] {
  if (mode === 'NONE') return 'none'
  if (mode !== 'ANY') return 'auto'
  const [name, another] = strings(allowedFunctionNames)
  return name !== undefined && another === undefined ? { name } : 'required'
}

function readSchema(config: Fields): unknown {
  const schema = config['responseJsonSchema'] ?? config['responseSchema']
  if (schema !== undefined) return schema
  const answer = { type: 'string' }
  return config['responseMimeType'] === 'application/json' ? { type: 'object', properties: { answer } } : undefined
}

function usageMetadata({ usage }: Reply): object {
  return {
    promptTokenCount: usage.input,
    candidatesTokenCount: usage.output - usage.reasoning,
    totalTokenCount: usage.input + usage.output,
    ...(usage.reasoning > 0 && { thoughtsTokenCount: usage.reasoning })
  }
}

function thoughts(reply: Reply): object[] {
  return reply.thinking === '' ? [] : [{ text: reply.thinking, thought: true }]
}

/** Like most of Gemini's, the calls have no id. */
function calls(reply: Reply): object[] {
  return reply.calls.map(({ tool, input }) => ({ functionCall: { name: tool.name, args: input } }))
}

function response(reply: Reply, parts: object[], isLast: boolean): object {
  const finish = isLast ? { finishReason: FINISH[reply.finish] } : {}
  return {
    candidates: [{ content: { parts, role: 'model' }, ...finish, index: 0 }],
    usageMetadata: usageMetadata(reply),
    modelVersion: reply.model,
    responseId: reply.key
  }
}

function encodeAnswer(reply: Reply): object {
  const texts = reply.text === '' && reply.calls.length > 0 ? [] : [{ text: reply.text }]
  return response(reply, [...thoughts(reply), ...texts, ...calls(reply)], true)
}

function responses(reply: Reply): object[] {
  const texts = reply.pieces.map(text => ({ text }))
  const parts = [...thoughts(reply), ...texts, ...calls(reply)]
  return [...parts.map(part => response(reply, [part], false)), response(reply, [{ text: '' }], true)]
}

function encodeStream(reply: Reply): string[] {
  return responses(reply).map(dataFrame)
}

/** Without `alt=sse` a stream is one JSON array, sent in pieces. */
export function encodeArray(reply: Reply): string[] {
  const elements = responses(reply).map((element, index) => `${index === 0 ? '[' : ',\r\n'}${JSON.stringify(element)}`)
  return [...elements, ']']
}

export const gemini: Writer = { readAsk, encodeAnswer, encodeStream }
