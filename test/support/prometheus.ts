import { spawn } from 'node:child_process'
import { accessSync, constants, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { parse, stringify } from 'yaml'
import { closedPort } from './port.ts'

export interface Sample {
  readonly metric: Readonly<Record<string, string>>
  readonly value: number
}

interface Series {
  readonly metric: Readonly<Record<string, string>>
  readonly values: readonly (readonly [number, number])[]
}

export interface Prometheus {
  query(expression: string): Promise<Sample[]>
  /** The last seconds, a value every `step` of them: pairs of a time and a value. */
  range(expression: string, seconds: number, step: number): Promise<Series[]>
  /** Names of the alerts that have fired. */
  fired(): Promise<string[]>
  stop(): Promise<void>
}

interface Rule {
  readonly alert?: string
  readonly for?: string
}

interface Rules {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[]
}

/** Where a program of Prometheus lies, if it is installed. */
export function findProgram(name: string): string | undefined {
  const { PATH = '' } = process.env
  return PATH.split(delimiter)
    .map(folder => join(folder, name))
    .find(path => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

/** A real Prometheus with the shipped configuration: it scrapes `address` every second, and alerts do not wait. */
export async function startPrometheus(program: string, shipped: string, address: string): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-prometheus-'))
  mkdirSync(join(folder, 'rules'))
  for (const name of ['recording.yml', 'alerts.yml']) {
    const { groups } = parse(readFileSync(join(shipped, 'rules', name), 'utf8')) as Rules
    const hasty = groups.map(group => ({
      ...group,
      rules: group.rules.map(rule => (rule.for === undefined ? rule : { ...rule, for: '0s' }))
    }))
    writeFileSync(join(folder, 'rules', name), stringify({ groups: hasty }))
  }
  const config = readFileSync(join(shipped, 'prometheus.yml'), 'utf8')
    .replaceAll('10s', '1s')
    .replace('gateway:4000', address)
  writeFileSync(join(folder, 'prometheus.yml'), config)
  const port = await closedPort()
  const child = spawn(
    program,
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=error'
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] }
  )
  const ended = new Promise(resolve => child.once('exit', resolve))
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  const url = `http://127.0.0.1:${port}`
  for (let tries = 0; !(await isReady(url)); tries++) {
    if (tries > 200 || child.exitCode !== null) throw new Error('Prometheus did not start')
    await wait(50)
  }
  const query = async (expression: string) => {
    const { status, error, data } = (await (await fetch(`${url}/api/v1/query`, asking(expression))).json()) as Answer
    if (status !== 'success') throw new Error(`${expression}: ${error}`)
    return data.result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }))
  }
  const range = async (expression: string, seconds: number, step: number) => {
    const now = Date.now() / 1000
    const asked = { query: expression, start: String(now - seconds), end: String(now), step: String(step) }
    const response = await fetch(`${url}/api/v1/query_range`, { method: 'POST', body: new URLSearchParams(asked) })
    const { status, error, data } = (await response.json()) as RangeAnswer
    if (status !== 'success') throw new Error(`${expression}: ${error}`)
    return data.result.map(({ metric, values }) => ({
      metric,
      values: values.map(([at, value]) => [at, Number(value)] as const)
    }))
  }
  return {
    query,
    range,
    fired: async () => {
      const samples = await query('max by (alertname) (max_over_time(ALERTS{alertstate="firing"}[2m]))')
      return samples.map(({ metric }) => metric['alertname'] ?? '').sort()
    },
    stop: async () => {
      child.kill('SIGTERM')
      await ended
      process.removeListener('exit', kill)
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

interface RangeAnswer {
  readonly status: string
  readonly error?: string
  readonly data: { readonly result: readonly { metric: Record<string, string>; values: [number, string][] }[] }
}

interface Answer {
  readonly status: string
  readonly error?: string
  readonly data: { readonly result: readonly { metric: Record<string, string>; value: [number, string] }[] }
}

function asking(expression: string): RequestInit {
  return { method: 'POST', body: new URLSearchParams({ query: expression }) }
}

function isReady(url: string): Promise<boolean> {
  return fetch(`${url}/-/ready`).then(
    ({ ok }) => ok,
    () => false
  )
}
