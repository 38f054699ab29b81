// One folder of test/cases is one scenario: the conversation as the hub holds it (chat.json, answer.json, events.json),
// and a folder for each dialect with the same on the wire. Where a dialect cannot say all of it, there are
// `*.decoded.json`, what comes back, and `dropped.json`, what it declares. `request.<flavour>.json` is the request for
// that flavour. `<name>.request.json` and the like are other wire texts that mean the same: nobody writes those anew.
// `UPDATE=1` writes the rest; the diff is to be read like code. All of them are written by hand, none is a recording.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import t, { type Test } from 'tap'
import type { ChatAnswer } from '../src/chat/answer.ts'
import { Collector } from '../src/chat/collect.ts'
import type { ChatEvent } from '../src/chat/events.ts'
import { Failure } from '../src/chat/failure.ts'
import type { ChatRequest } from '../src/chat/request.ts'
import type { Flavour } from '../src/dialects/dialect.ts'
import { Dropped } from '../src/dialects/dropped.ts'
import {
  assembled,
  bare,
  bareAnswer,
  finishKept,
  gist,
  losses,
  plain,
  read,
  readIf,
  type Scenario,
  scenarios,
  undeclared,
  unpaired
} from './support/cases.ts'
import { CASES, CONTEXT, CUTS, events, NAMES, problemIn, stream, translator } from './support/translate.ts'

const UPDATE = process.env['UPDATE'] === '1'
const FLAVOURS: readonly Flavour[] = ['official', 'compatible', 'local']
const ALL = scenarios()
t.setTimeout(600_000)

const write = (path: string, value: unknown) => writeFileSync(path, `${JSON.stringify(value, undefined, 2)}\n`)

/** Compares with a file, or writes it; `hub` is what the file would repeat. */
function compareFile(t: Test, path: string, found: unknown, hub?: unknown): void {
  if (UPDATE) {
    if (isDeepStrictEqual(found, hub)) rmSync(path, { force: true })
    else write(path, found)
  }
  t.same(found, readIf(path) ?? hub, path.slice(CASES.length + 1))
}

function successful<T>(result: T | Failure): T {
  if (result instanceof Failure) throw new Error(`${result.kind}: ${result.message}`)
  return result
}

t.test('there are scenarios enough', async t => {
  t.ok(ALL.length >= 60, `${ALL.length} scenarios`)
  for (const { name, chat, answer, events: said } of ALL) t.ok(chat ?? answer ?? said, `${name} holds something`)
})

for (const scenario of ALL) {
  for (const name of NAMES) {
    const folder = join(scenario.folder, name)
    t.test(`${scenario.name}: ${name}`, async t => {
      if (UPDATE) mkdirSync(folder, { recursive: true })
      if (scenario.chat !== undefined) requestLaws(t, name, folder, scenario.chat)
      if (scenario.answer !== undefined) answerLaws(t, name, folder, scenario.answer)
      if (scenario.events !== undefined) streamLaws(t, name, folder, scenario.events)
      if (scenario.answer !== undefined && scenario.events !== undefined) {
        const whole = translator(name).decodeAnswer(read(join(folder, 'answer.json')))
        const streamed = events(translator(name), readFileSync(join(folder, 'stream.sse')))
        t.same(gist(assembled(streamed)), gist(successful(whole)), 'a stream comes to the same as an answer')
      }
      otherTexts(t, name, folder, scenario)
    })
  }
}

function requestLaws(t: Test, name: string, folder: string, chat: ChatRequest): void {
  const translate = translator(name)
  const file = (path: string) => join(folder, path)
  const { body, dropped } = successful(translate.encodeRequest(chat))
  compareFile(t, file('request.json'), plain(body))
  compareFile(t, file('dropped.json'), dropped, [])
  compareFile(t, file('request.decoded.json'), plain(translate.decodeRequest(read(file('request.json')))), chat)
  for (const flavour of FLAVOURS) {
    if (!existsSync(file(`request.${flavour}.json`))) continue
    const other = successful(translate.encodeRequest(chat, flavour))
    compareFile(t, file(`request.${flavour}.json`), plain(other.body))
    compareFile(t, file(`dropped.${flavour}.json`), other.dropped, [])
  }
}

function answerLaws(t: Test, name: string, folder: string, answer: ChatAnswer): void {
  const translate = translator(name)
  const path = join(folder, 'answer.json')
  compareFile(t, path, plain(translate.encodeAnswer(answer, CONTEXT)))
  const decoded = bareAnswer(translate.decodeAnswer(read(path)))
  compareFile(t, join(folder, 'answer.decoded.json'), decoded, answer)
}

function streamLaws(t: Test, name: string, folder: string, said: readonly ChatEvent[]): void {
  const translate = translator(name)
  const path = join(folder, 'stream.sse')
  const sse = stream(translate, said)
  if (UPDATE) writeFileSync(path, sse)
  const wire = readFileSync(path, 'utf8')
  t.equal(sse, wire, path.slice(CASES.length + 1))
  compareFile(t, join(folder, 'stream.decoded.json'), bare(events(translate, wire)), said)
  cutLaws(t, name, wire)
}

function cutLaws(t: Test, name: string, wire: string): void {
  const translate = translator(name)
  const whole = events(translate, wire)
  t.equal(problemIn(whole), undefined)
  for (const cut of CUTS) {
    t.same(events(translate, wire, cut), whole, `cut at ${cut}`)
    t.same(events(translate, wire.replaceAll('\n', '\r\n'), cut), whole, `cut at ${cut}, with CRLF`)
  }
}

/** Wire texts of others that mean the scenario, too. */
function otherTexts(t: Test, name: string, folder: string, { chat, answer, events: said }: Scenario): void {
  const translate = translator(name)
  for (const file of existsSync(folder) ? readdirSync(folder) : []) {
    const [, other, kind] = /^(.+)\.(request\.json|answer\.json|stream\.sse)$/.exec(file) ?? []
    if (other === undefined || kind === undefined) continue
    const path = join(folder, file)
    const decoded = join(folder, `${other}.${kind.replace(/\..*/, '')}.decoded.json`)
    if (kind === 'request.json') compareFile(t, decoded, plain(translate.decodeRequest(read(path))), chat)
    else if (kind === 'answer.json') compareFile(t, decoded, bareAnswer(translate.decodeAnswer(read(path))), answer)
    else {
      const wire = readFileSync(path, 'utf8')
      compareFile(t, decoded, bare(events(translate, wire)), said)
      cutLaws(t, name, wire)
    }
  }
}

// Every dialect's clients at every dialect's upstreams, by way of the hub.

for (const from of NAMES) {
  for (const to of NAMES) {
    t.test(`from ${from} to ${to} nothing is lost unsaid`, async t => {
      for (const scenario of ALL) {
        const file = (path: string) => join(scenario.folder, from, path)
        if (scenario.chat !== undefined) requestPair(t, scenario.name, file('request.json'), from, to)
        if (scenario.answer !== undefined) answerPair(t, scenario.name, file('answer.json'), from, to)
        if (scenario.events !== undefined) streamPair(t, scenario.name, file('stream.sse'), from, to)
      }
    })
  }
}

function requestPair(t: Test, scenario: string, path: string, from: string, to: string): void {
  const said = successful(translator(from).decodeRequest(read(path)))
  const { body, dropped } = successful(translator(to).encodeRequest(said))
  const arrived = successful(translator(to).decodeRequest(plain(body)))
  t.same(undeclared(losses(said, arrived), dropped), [], `${scenario}: the request`)
  t.same(unpaired(arrived), [], `${scenario}: calls and results`)
  const again = successful(translator(to).encodeRequest(arrived))
  t.same(plain(again.body), plain(body), `${scenario}: what has arrived is said again in the same words`)
}

function answerPair(t: Test, scenario: string, path: string, from: string, to: string): void {
  const said = successful(translator(from).decodeAnswer(read(path)))
  const dropped = new Dropped(to, 'answer')
  const written = translator(to).encodeAnswer(said, { ...CONTEXT, dropped })
  const arrived = successful(translator(to).decodeAnswer(plain(written)))
  compareAnswers(t, `${scenario}: the answer`, to, said, arrived)
  t.same(lostOfAnswer(said, arrived, dropped.list()), [], `${scenario}: the answer`)
}

function streamPair(t: Test, scenario: string, path: string, from: string, to: string): void {
  const said = events(translator(from), readFileSync(path))
  const dropped = new Dropped(to, 'answer')
  const arrived = events(translator(to), stream(translator(to), said, { ...CONTEXT, dropped }))
  compareAnswers(t, `${scenario}: the stream`, to, assembled(said), assembled(arrived))
  t.same(lostOfAnswer(collected(said), collected(arrived), dropped.list()), [], `${scenario}: the stream`)
}

function collected(said: readonly ChatEvent[]): ChatAnswer {
  const collector = new Collector()
  for (const event of said) collector.push(event)
  return successful(collector.answer())
}

/** What stands beside the words of an answer, has not arrived and is not declared. */
function lostOfAnswer(said: ChatAnswer, arrived: ChatAnswer, dropped: readonly string[]): string[] {
  const [before, after] = [said, arrived].map(besides)
  const isDeclared = (name: string) => dropped.some(path => path.startsWith(`answer.${name}`))
  return Object.entries(before ?? {}).flatMap(([name, things]) => {
    const kept = new Set(Object.entries(after ?? {}).find(([other]) => other === name)?.[1])
    return isDeclared(name) ? [] : things.filter(thing => !kept.has(thing)).map(thing => `${name}: ${thing}`)
  })
}

function besides({ blocks }: ChatAnswer): Record<string, string[]> {
  const texts = blocks.filter(block => block.type === 'text')
  const sources = texts.flatMap(({ citations = [] }) => citations)
  const foreign = blocks.filter(block => block.type === 'foreign')
  return {
    citations: sources.map(source => (source.type === 'page' ? source.url : JSON.stringify(source.value))),
    logprobs: texts.flatMap(({ logprobs = [] }) => logprobs.map(({ token, logprob }) => `${token} ${logprob}`)),
    ...Object.fromEntries(foreign.map(({ value }) => [String(value['type']), [JSON.stringify(value)]]))
  }
}

/** Its words may not change, but for those of its end. */
function compareAnswers(t: Test, what: string, to: string, said: ChatAnswer, arrived: ChatAnswer): void {
  const before = gist(said)
  const after = gist(arrived)
  t.same({ ...after.said, text: after.text }, { ...before.said, text: before.text }, what)
  // A dialect without refusals says them as texts.
  if (after.refusal !== before.refusal) t.equal(after.refusal, '', `${what}: no refusal is made up`)
  const { cacheWrite, ...counted } = before.usage ?? {}
  if (before.usage !== undefined) t.match(after.usage, counted, `${what}: usage`)
  // Not everybody has a word for what was written to a cache.
  if (after.usage?.cacheWrite !== cacheWrite)
    t.equal(after.usage?.cacheWrite ?? 0, 0, `${what}: nothing written is made up`)
  t.ok(finishKept(to, said, arrived), `${what}: ${said.finish} became ${arrived.finish}`)
}

t.test('a message of 200 KB arrives whole, in every dialect and at every cut', async t => {
  const text = 'Zwölf Boxkämpfer 🙂 jagen Viktor. "\\\n'.repeat(5_600).slice(0, 200_000)
  t.ok(Buffer.byteLength(text) >= 200_000)
  const chat: ChatRequest = {
    model: 'a-model',
    system: [],
    turns: [{ role: 'user', blocks: [{ type: 'text', text }] }],
    tools: [],
    maxTokens: 1024,
    stream: false
  }
  const said: ChatEvent[] = [
    { type: 'start', id: 'x1', model: 'a-model' },
    { type: 'block-start', index: 0, block: { type: 'text', text: '' } },
    { type: 'block-delta', index: 0, text },
    { type: 'block-end', index: 0 },
    { type: 'finish', reason: 'stop' }
  ]
  for (const name of NAMES) {
    const translate = translator(name)
    const { turns } = successful(translate.decodeRequest(plain(successful(translate.encodeRequest(chat)).body)))
    t.same(turns, chat.turns, name)
    const sse = stream(translate, said)
    for (const cut of [...CUTS, 4_096, 65_536])
      t.equal(gistText(events(translate, sse, cut)), gistText(said), `${name} at ${cut}`)
  }
})

const gistText = (said: readonly ChatEvent[]): string => gist(assembled(said)).text

t.test('several answers are asked only of those that give them', async t => {
  const chat: ChatRequest = {
    model: 'a-model',
    system: [],
    turns: [{ role: 'user', blocks: [{ type: 'text', text: 'Toss.' }] }],
    tools: [],
    maxTokens: 1024,
    choices: 3,
    stream: false
  }
  for (const name of NAMES) {
    const encoded = translator(name).encodeRequest(chat)
    if (encoded instanceof Failure) {
      t.match(encoded, { kind: 'unsupported', details: { field: 'n' } }, name)
      continue
    }
    t.equal(successful(translator(name).decodeRequest(plain(encoded.body))).choices, 3, name)
  }
  t.notOk(translator('openai-chat').encodeRequest(chat) instanceof Failure)
  t.ok(translator('anthropic').encodeRequest(chat) instanceof Failure)
})
