// A collector of traces on a real socket: takes OTLP over HTTP as JSON, and is not there when it is told so.

import { createServer } from 'node:http'
import { closeServer, listen, socketsOf } from './port.ts'

type Value = string | number | boolean

export interface CollectedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly name: string
  readonly kind: number
  readonly start: bigint
  readonly end: bigint
  readonly failed: boolean
  readonly attributes: Readonly<Record<string, Value>>
  readonly events: readonly {
    readonly name: string
    readonly at: bigint
    readonly attributes: Readonly<Record<string, Value>>
  }[]
}

export interface Collector {
  readonly url: string
  readonly spans: CollectedSpan[]
  /** Each batch as it came. */
  readonly bodies: string[]
  readonly headers: Readonly<Record<string, string | string[] | undefined>>[]
  /** Attributes of who sent the last batch. */
  resource: Readonly<Record<string, Value>>
  /** The status of its answers. */
  answers: number
  until(count: number, milliseconds?: number): Promise<void>
  close(): Promise<void>
}

interface Attribute {
  readonly key: string
  readonly value: {
    readonly stringValue?: string
    readonly intValue?: string
    readonly doubleValue?: number
    readonly boolValue?: boolean
  }
}

interface Sent {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] }
    readonly scopeSpans: readonly { readonly spans: readonly SentSpan[] }[]
  }[]
}

interface SentSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: readonly Attribute[]
  readonly events?: readonly {
    readonly timeUnixNano: string
    readonly name: string
    readonly attributes: Attribute[]
  }[]
  readonly status?: { readonly code: number }
}

function plain(attributes: readonly Attribute[]): Record<string, Value> {
  return Object.fromEntries(
    attributes.map(({ key, value: { stringValue, intValue, doubleValue, boolValue } }) => [
      key,
      stringValue ?? (intValue === undefined ? undefined : Number(intValue)) ?? doubleValue ?? boolValue ?? 'nothing'
    ])
  )
}

function read(sent: SentSpan): CollectedSpan {
  const { traceId, spanId, parentSpanId, name, kind, attributes, events = [], status } = sent
  return {
    traceId,
    spanId,
    parentSpanId,
    name,
    kind,
    start: BigInt(sent.startTimeUnixNano),
    end: BigInt(sent.endTimeUnixNano),
    failed: status?.code === 2,
    attributes: plain(attributes),
    events: events.map(event => ({
      name: event.name,
      at: BigInt(event.timeUnixNano),
      attributes: plain(event.attributes)
    }))
  }
}

export async function startCollector(): Promise<Collector> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const isTraces = request.method === 'POST' && request.url === '/v1/traces'
      const status = isTraces && request.headers['content-type'] === 'application/json' ? collector.answers : 404
      if (status === 200) take(Buffer.concat(chunks).toString('utf8'))
      collector.headers.push(request.headers)
      response.writeHead(status, { 'content-type': 'application/json' }).end('{}')
    })
  })
  const take = (body: string) => {
    collector.bodies.push(body)
    for (const { resource, scopeSpans } of (JSON.parse(body) as Sent).resourceSpans) {
      collector.resource = plain(resource.attributes)
      for (const { spans } of scopeSpans) collector.spans.push(...spans.map(read))
    }
  }
  const sockets = socketsOf(server)
  const collector: Collector = {
    url: `http://127.0.0.1:${await listen(server)}`,
    spans: [],
    bodies: [],
    headers: [],
    resource: {},
    answers: 200,
    until: async (count, milliseconds = 15_000) => {
      for (const late = performance.now() + milliseconds; collector.spans.length < count; ) {
        if (performance.now() > late) throw new Error(`${collector.spans.length} spans came instead of ${count}`)
        await new Promise(resolve => setTimeout(resolve, 10))
      }
    },
    close: () => closeServer(server, sockets)
  }
  return collector
}
