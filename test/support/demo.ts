// Plays the demo in memory, for the tests of the demo.
import { createDemo } from '../../src/demo/demo.ts'
import type { WireControl, WireHeaders, WireReceiver } from '../../src/lib/wire.ts'

const demo = createDemo()

export interface Played {
  status: number
  headers: WireHeaders
  text: string
  ending: string
  chunks: number
}

export type Headers = Record<string, string>

export function send(
  path: string,
  body: unknown,
  receiver: WireReceiver,
  headers: Headers = {},
  method = 'POST'
): WireControl {
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  const flat = Object.entries(headers).flat()
  return demo.send({ method, path, headers: flat, body: [bytes], bodyLength: bytes.length }, receiver)
}

/** Plays a request to its end, or for as long as told. */
export function play(
  path: string,
  body: unknown,
  headers: Headers = {},
  { within = 5_000, method = 'POST' } = {}
): Promise<Played> {
  return new Promise(resolve => {
    const played: Played = { status: 0, headers: {}, text: '', ending: 'open', chunks: 0 }
    const done = (ending: string) => {
      clearTimeout(timer)
      resolve({ ...played, ending })
    }
    const timer = setTimeout(() => {
      control.abort()
      done('open')
    }, within)
    const receiver: WireReceiver = {
      onStart: () => undefined,
      onHead: (status, head) => Object.assign(played, { status, headers: head }),
      onData: chunk => {
        played.text += chunk.toString()
        played.chunks++
      },
      onEnd: () => done('end'),
      onError: error => done(error.code ?? error.message)
    }
    const control = send(path, body, receiver, headers, method)
  })
}

export const eventsOf = (text: string): string[] => [...text.matchAll(/^event: (.*)$/gm)].map(([, name]) => name ?? '')
export const dataOf = (text: string): never[] =>
  [...text.matchAll(/^data: (?!\[DONE\])(.*)$/gm)].map(([, data]) => JSON.parse(data ?? '') as never)
export const says = (content: string) => [{ role: 'user', content }]
export const PATHS = {
  'openai-chat': ['/v1/chat/completions', '/v1/chat/completions', { model: 'demo', messages: says('hello there') }],
  'openai-responses': ['/v1/responses', '/v1/responses', { model: 'demo', input: 'hello there' }],
  anthropic: ['/v1/messages', '/v1/messages', { model: 'demo', max_tokens: 999, messages: says('hello there') }],
  gemini: [
    '/v1beta/models/demo:generateContent',
    '/v1beta/models/demo:streamGenerateContent?alt=sse',
    { contents: [{ role: 'user', parts: [{ text: 'hello there' }] }] }
  ]
} as const
export const NAMES = Object.keys(PATHS) as (keyof typeof PATHS)[]

export const streamOf = (name: keyof typeof PATHS, headers: Headers = {}, options = {}) =>
  play(PATHS[name][1], { ...PATHS[name][2], ...(name !== 'gemini' && { stream: true }) }, headers, options)
