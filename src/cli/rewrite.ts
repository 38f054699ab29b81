import { readFileSync } from 'node:fs'
import { type Inbound, WANTED_KEYS } from '../exchange/inbound.ts'
import { scanObject } from '../lib/json-scan.ts'
import { inboundFrom } from '../server/rewrite.ts'

/** A file with the body of a request, as if a client had sent it; a string says why it cannot be used. */
export function inboundOf(file: string, endpoint?: string): Inbound | string {
  let bytes: Buffer
  try {
    bytes = readFileSync(file)
  } catch (error) {
    return `${file} cannot be read (${(error as { code?: string }).code}).`
  }
  const fields = scanObject([bytes], WANTED_KEYS)
  if ('problem' in fields) return `${file}: ${fields.problem}`
  return inboundFrom({ chunks: [bytes], length: bytes.length, fields }, endpoint, {})
}
