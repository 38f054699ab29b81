import { createDemo } from '../demo/demo.ts'
import { Metrics } from '../metrics/metrics.ts'
import { Pools } from '../upstream/pools.ts'
import { type Prepared, prepare, type Refused } from './prepare.ts'

/** What a file says, compiled as for a start, by a process that opens no port and asks nobody. */
export function offline(file: string, pools = new Pools()): Prepared | Refused {
  const environment = {
    generation: 0,
    variables: process.env,
    metrics: new Metrics(),
    wireTo: (origin: string) => pools.wire(origin),
    demo: createDemo()
  }
  return prepare(file, environment, {})
}
