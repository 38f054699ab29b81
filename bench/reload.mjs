// From a saved gateway.yaml to the first answer that it makes possible.
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { sluiceYaml, startSluice } from './gateways.mjs'
import { untilAnswers } from './processes.mjs'
import { median } from './report.mjs'
import { ask } from './startup.mjs'
import { startMock } from './upstream.mjs'

// An editor writes in place or renames over; both are tried in turn.
const saves = {
  'in place': writeFileSync,
  'by rename': (file, text) => {
    writeFileSync(`${file}.new`, text)
    renameSync(`${file}.new`, file)
  }
}

export async function measureReload(folder, tell) {
  const mock = await startMock(folder)
  const { child, port, file } = await startSluice(join(folder, 'reload'), mock.port)
  await untilAnswers(child, () => ask(port, 'mock-chat'))
  const times = []
  for (let round = 1; round <= 6; round++) {
    const [how, save] = Object.entries(saves)[round % 2]
    const model = `reloaded-${round}`
    await wait(500)
    const began = performance.now()
    save(file, sluiceYaml(join(folder, 'reload'), mock.port, model))
    await untilAnswers(child, () => ask(port, model))
    times.push(performance.now() - began)
    tell(`reload ${round}/6, saved ${how}: ${times.at(-1).toFixed(0)} ms`)
  }
  const slowest = Math.max(...times)
  console.log(
    `Saved YAML in force < 1 s: median ${median(times).toFixed(0)} ms, slowest ${slowest.toFixed(0)} ms ${slowest < 1000 ? 'yes' : 'NO'}`
  )
}
