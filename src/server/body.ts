import type { IncomingMessage } from 'node:http'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { Failure } from '../chat/failure.ts'
import { type Body, WANTED_KEYS } from '../exchange/inbound.ts'
import { JsonScanner } from '../lib/json-scan.ts'

const DECODERS = { gzip: createGunzip, deflate: createInflate, br: createBrotliDecompress } as const

/** Collects a body as the chunks it comes in, scanning them on the way. Calls `done` exactly once. */
export function collectBody(request: IncomingMessage, limit: number, done: (body: Body | Failure) => void): void {
  const tooLarge = new Failure('too-large', `The request body is larger than ${limit} bytes (server.body_limit).`)
  if (Number(request.headers['content-length']) > limit) return done(tooLarge)
  const encoding = request.headers['content-encoding']
  let source: NodeJS.ReadableStream = request
  if (encoding !== undefined && encoding !== 'identity') {
    const decoder = Object.hasOwn(DECODERS, encoding) ? DECODERS[encoding as keyof typeof DECODERS] : undefined
    if (decoder === undefined)
      return done(
        new Failure('unsupported-media', 'This content-encoding is not understood; send gzip, deflate, br or none.')
      )
    source = request.pipe(decoder())
  }
  const scanner = new JsonScanner(WANTED_KEYS)
  const chunks: Buffer[] = []
  let length = 0
  let over = false
  const finish = (result: Body | Failure): void => {
    if (over) return
    over = true
    done(result)
  }
  source.on('data', (chunk: Buffer) => {
    if (over) return
    length += chunk.length
    if (length > limit) return finish(tooLarge)
    chunks.push(chunk)
    scanner.push(chunk)
  })
  source.on('end', () => {
    const fields = scanner.finish()
    if (!('problem' in fields)) return finish({ chunks, length, fields })
    finish(new Failure('invalid-request', fields.problem, fields.field === undefined ? {} : { field: fields.field }))
  })
  source.on('error', () =>
    finish(new Failure('invalid-request', 'The body could not be read: it is cut or not what content-encoding says.'))
  )
}
