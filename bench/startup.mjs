// From the command to the first 200, and what Sluice holds when nothing happens.
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { startSluice } from './gateways.mjs'
import { memory, stop, untilAnswers } from './processes.mjs'
import { median } from './report.mjs'
import { startMock } from './upstream.mjs'

export const ask = (port, model) =>
  fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hi' }] })
  })

export async function measureStartup(folder, tell) {
  const mock = await startMock(folder)
  const times = []
  const held = []
  for (let round = 1; round <= 5; round++) {
    const began = performance.now()
    const { child, port } = await startSluice(join(folder, `start-${round}`), mock.port)
    await untilAnswers(child, () => ask(port, 'mock-chat'))
    times.push(performance.now() - began)
    await wait(3_000)
    held.push(memory(child.pid))
    await stop(child)
    tell(`start ${round}/5: ${times.at(-1).toFixed(0)} ms, ${held.at(-1).rss.toFixed(0)} MB`)
  }
  const time = median(times)
  const rss = median(held.map(each => each.rss))
  const pss = median(held.map(each => each.pss))
  console.log(`Start to first 200 < 1.5 s: ${(time / 1000).toFixed(2)} s ${time < 1500 ? 'yes' : 'NO'}`)
  console.log(`RSS at rest < 120 MB: ${rss.toFixed(0)} MB (PSS ${pss.toFixed(0)}) ${rss < 120 ? 'yes' : 'NO'}`)
}
