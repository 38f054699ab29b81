import { createDemo } from '../demo/demo.ts'
import { Shelf } from '../hooks/shelf.ts'
import type { Wire } from '../lib/wire.ts'
import { Metrics } from '../metrics/metrics.ts'
import { type Prepared, prepare, type Refused } from './prepare.ts'

const NO_WIRE: Wire = {
  send: () => {
    throw new Error('an offline command asks nobody')
  }
}

const SILENT = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }

/** What a file says, compiled as for a start, by a process that opens no port. */
export async function offline(
  file: string,
  wireTo: (origin: string) => Wire = () => NO_WIRE
): Promise<Prepared | Refused> {
  const metrics = new Metrics()
  const environment = { generation: 0, variables: process.env, metrics, wireTo, demo: createDemo() }
  const shelf = new Shelf({ log: SILENT, metrics })
  const prepared = await prepare(file, environment, {}, shelf)
  // No call will come, and what runs would keep the process alive.
  await shelf.close()
  return prepared
}
