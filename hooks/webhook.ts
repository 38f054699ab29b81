import { type Call, type DoneRecord, defineHook } from 'sluice/hook'

const WAITING = 1000

export default defineHook({
  name: 'webhook',
  description:
    'Posts the account of each call to an address: what it was, what it took, how it ended. No word of the conversation.',
  options: {
    type: 'object',
    additionalProperties: false,
    examples: [{ url: 'https://hooks.example/sluice', on: ['failed'] }],
    required: ['url'],
    properties: {
      url: { type: 'string', pattern: '^https?://', description: 'Where to.' },
      headers: {
        type: 'object',
        additionalProperties: { type: 'string' },
        default: {},
        description: 'Sent along, for a key say.'
      },
      on: {
        type: 'array',
        items: { type: 'string', enum: ['done', 'failed'] },
        default: ['done', 'failed'],
        description: 'Which calls.'
      },
      timeout_seconds: { type: 'number', minimum: 0.1, default: 5, description: 'How long the address may take.' },
      retries: { type: 'integer', minimum: 0, maximum: 5, default: 2, description: 'How often it is tried again.' }
    }
  },
  setup: ({ url, headers, on, timeout_seconds: seconds, retries }, services) => {
    let waiting = 0
    let last: Promise<unknown> = Promise.resolve()
    const post = async (body: string): Promise<void> => {
      for (let attempt = 0; ; attempt++) {
        try {
          const sent = { 'content-type': 'application/json', ...headers } as Record<string, string>
          const signal = AbortSignal.timeout(seconds * 1000)
          const answer = await services.fetch(url, { method: 'POST', headers: sent, body, signal })
          await answer.arrayBuffer()
          if (answer.ok) return services.metrics.count('sent')
          throw new Error(`it answered ${answer.status}`)
        } catch (error) {
          if (attempt < retries) {
            await new Promise(resolve => setTimeout(resolve, 200 * 2 ** attempt))
            continue
          }
          services.metrics.count('lost')
          return services.log.warn(
            `the webhook could not be told: ${error instanceof Error ? error.message : String(error)}`
          )
        }
      }
    }
    return {
      onDone: (record, call) => {
        if (!on.includes(record.failure === undefined ? 'done' : 'failed')) return
        // An address that is down must not fill the memory.
        if (waiting >= WAITING) return services.metrics.count('lost')
        waiting++
        last = post(JSON.stringify(accountOf(record, call))).finally(() => waiting--)
      },
      dispose: () => last
    }
  }
})

function accountOf(record: DoneRecord, call: Call): object {
  const { id, at, endpoint, stream, model, route, provider, upstreamModel, status, usage, failure } = record
  return {
    event: failure === undefined ? 'done' : 'failed',
    id,
    at: new Date(at).toISOString(),
    endpoint,
    stream,
    model,
    route,
    provider,
    upstream_model: upstreamModel,
    status,
    usage,
    milliseconds: Math.round(record.milliseconds),
    failure,
    caller: call.caller.id,
    tags: call.tags
  }
}
