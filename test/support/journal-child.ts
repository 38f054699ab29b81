// A process that writes a journal until it is killed: says each call that it has written down, once it has.
import { randomUUID } from 'node:crypto'
import { writeSync } from 'node:fs'
import { Journal } from '../../src/spend/journal.ts'

const [, , folder = ''] = process.argv
const journal = new Journal({ folder, maxBytes: 1e9, log: () => undefined, segmentBytes: 20_000 })
let count = 0

function call(costNano: bigint) {
  const at = new Date()
  return { callId: randomUUID(), settledAt: at, startedAt: at, durationMs: 1, route: '/v1/chat/completions', costNano }
}

function round(): void {
  for (let index = 0; index < 20; index++) {
    const estimated = call(7n)
    const settled = {
      ...estimated,
      costNano: BigInt(++count),
      requestedModel: 'm',
      model: 'm',
      status: 'success' as const
    }
    const sent = { ...settled, costNano: 7n, status: 'failure' as const, estimated: true }
    journal.sent(sent)
    writeSync(1, `sent ${sent.callId}\n`)
    if (count % 5 === 0) continue
    journal.settled(settled)
    writeSync(1, `settled ${settled.callId} ${settled.costNano}\n`)
  }
  setImmediate(round)
}

round()
