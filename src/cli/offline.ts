import { createDemo } from '../demo/demo.ts'
import type { Wire } from '../lib/wire.ts'
import { Metrics } from '../metrics/metrics.ts'
import { type Prepared, prepare, type Refused } from './prepare.ts'

const NO_WIRE: Wire = {
  send: () => {
    throw new Error('an offline command asks nobody')
  }
}

/** What a file says, compiled as for a start, by a process that opens no port. */
export function offline(file: string, wireTo: (origin: string) => Wire = () => NO_WIRE): Prepared | Refused {
  const environment = { generation: 0, variables: process.env, metrics: new Metrics(), wireTo, demo: createDemo() }
  return prepare(file, environment, {})
}
