import { request } from 'undici'

export interface Asked {
  readonly status: number
  readonly headers: Record<string, string | string[] | undefined>
  readonly text: string
  /** The body as JSON; undefined when it is none. */
  readonly json: Record<string, unknown> | undefined
}

/** Posts a body (an object as JSON, anything else as it is) and waits for the whole answer. */
export async function post(
  url: string,
  body: object | string | Buffer,
  headers: Record<string, string> = {}
): Promise<Asked> {
  const bytes = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
  return read(
    await request(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: bytes })
  )
}

export async function get(url: string, headers: Record<string, string> = {}): Promise<Asked> {
  return read(await request(url, { headers }))
}

async function read(answer: Awaited<ReturnType<typeof request>>): Promise<Asked> {
  const text = await answer.body.text()
  let json: Asked['json']
  try {
    json = JSON.parse(text) as Record<string, unknown>
  } catch {
    json = undefined
  }
  return { status: answer.statusCode, headers: answer.headers, text, json }
}

/** A smallest request of each dialect, as `[path, body]`. */
export function smallest(dialect: string, model: string, stream = false): [string, object] {
  const streaming = stream ? { stream: true } : {}
  switch (dialect) {
    case 'anthropic':
      return ['/v1/messages', { model, max_tokens: 100, messages: [{ role: 'user', content: 'hi' }], ...streaming }]
    case 'openai-responses':
      return ['/v1/responses', { model, input: 'hi', ...streaming }]
    case 'gemini':
      return [
        `/v1beta/models/${model}:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`,
        { contents: [{ role: 'user', parts: [{ text: 'hi' }] }] }
      ]
    default:
      return ['/v1/chat/completions', { model, messages: [{ role: 'user', content: 'hi' }], ...streaming }]
  }
}
