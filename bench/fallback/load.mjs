// native/load.c in Node, for machines without a compiler: raw sockets, same arguments, same output, lower ceiling.
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'

const [, , port, file, ...settings] = process.argv
const [connections, seconds, rate, limit, streaming, ...marks] = settings.map(Number)
const request = readFileSync(file)
const now = () => Number(process.hrtime.bigint())
const samples = { latency: [], first: [], delay: [] }
const errors = { status: 0, short: 0, cut: 0, reset: 0, unanswered: 0, unsent: 0 }
let [issued, finished, events] = [0, 0, 0]
const begin = now()
const deadline = begin + seconds * 1e9
let lastFinish = begin
const all = []

class Connection {
  constructor() {
    this.state = 'idle'
    this.open()
  }

  open() {
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true })
    this.socket.on('data', bytes => this.feed(bytes))
    this.socket.on('error', () => {})
    this.socket.on('close', () => this.closed())
  }

  next() {
    const time = now()
    const due = rate ? begin + (issued * 1e9) / rate : time
    if ((limit && issued >= limit) || due > time || time >= deadline) return
    issued++
    Object.assign(this, { state: 'head', text: '', started: due, events: 0, done: false, need: 0 })
    this.socket.write(request)
  }

  feed(bytes) {
    if (this.state === 'idle') return
    let text = bytes.latin1Slice()
    if (this.state === 'head') {
      this.text += text
      const end = this.text.indexOf('\r\n\r\n')
      if (end < 0) return
      const head = this.text.slice(0, end).toLowerCase()
      text = this.text.slice(end + 4)
      this.status = Number(head.slice(9, 12))
      const length = /\r\ncontent-length: *(\d+)/.exec(head)
      this.state = length ? 'length' : head.includes('\r\ntransfer-encoding: chunked') ? 'chunked' : 'until-close'
      this.need = length ? Number(length[1]) : 0
      this.text = ''
      this.raw = ''
    }
    if (this.state === 'chunked') return this.feedChunks(text)
    this.see(text)
    this.need -= text.length
    if (this.state === 'length' && this.need <= 0) this.end()
  }

  feedChunks(text) {
    this.raw += text
    for (;;) {
      const line = this.raw.indexOf('\r\n')
      if (line < 0) return
      const size = Number.parseInt(this.raw, 16)
      if (this.raw.length < line + 4 + size) return
      if (size === 0) return this.end()
      this.see(this.raw.slice(line + 2, line + 2 + size))
      this.raw = this.raw.slice(line + 4 + size)
    }
  }

  see(text) {
    this.text += text
    if (!streaming) return
    const lines = this.text.split('\n')
    this.text = lines.pop()
    for (const line of lines) {
      if (line.includes('[DONE]')) this.done = true
      const mark = line.indexOf('"t=')
      if (mark < 0) continue
      const time = now()
      samples.delay.push(time - Number.parseInt(line.slice(mark + 3, mark + 30), 10))
      if (!this.events++) samples.first.push(time - this.started)
      events++
    }
  }

  end() {
    const broken = this.state === 'until-close'
    lastFinish = now()
    if (this.status !== 200) errors.status++
    else if (streaming && !this.done) errors.cut++
    else if (streaming ? !this.events : !this.text.includes('mock-end')) errors.short++
    samples.latency.push(lastFinish - this.started)
    finished++
    this.state = 'idle'
    if (!broken) this.next()
  }

  closed() {
    if (this.state === 'until-close') this.end()
    else if (this.state !== 'idle') {
      errors.reset++
      finished++
      this.state = 'idle'
    }
    if (errors.reset > 1000) process.exit(5)
    this.open()
    this.next()
  }
}

function percentiles(values) {
  if (values.length === 0) return null
  const sorted = Float64Array.from(values).sort()
  const at = share => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] / 1e6
  return { p50: at(0.5), p99: at(0.99), max: at(1) }
}

function report() {
  errors.unanswered = issued - finished
  if (rate) errors.unsent = Math.max(0, (limit || Math.floor(seconds * rate)) - issued)
  const cpu = process.cpuUsage()
  const result = {
    requests: finished,
    events,
    seconds: (lastFinish - begin) / 1e9,
    cpu: (cpu.user + cpu.system) / 1e6,
    errors
  }
  for (const [name, values] of Object.entries(samples)) result[name] = percentiles(values)
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit())
}

function tick() {
  const time = now()
  while (marks.length && marks[0] && time >= begin + marks[0] * 1e9) {
    marks.shift()
    console.log(JSON.stringify({ mark: events, at: (time - begin) / 1e9 }))
  }
  if (rate) for (const connection of all) if (connection.state === 'idle') connection.next()
  const over = time >= deadline || (limit && issued >= limit)
  if ((over && finished >= issued && !marks[0]) || time > deadline + 15e9) return report()
  setTimeout(tick, 1)
}

for (let i = 0; i < connections; i++) all.push(new Connection())
if (!rate) for (const connection of all) connection.next()
tick()
