import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

process.setMaxListeners(50)

/** tap puts a loader of its own into every process that is started: half a second each, and a compiler that does not start at all. */
const SHELL = '/bin/sh'
const PLAIN = ['-c', 'unset NODE_OPTIONS; exec "$0" "$@"']
const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Launched {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  /** What was written so far, both streams. */
  output(): string
  /** Settles when the pattern has been written; fails when the process ends before. */
  until(pattern: RegExp, milliseconds?: number): Promise<RegExpExecArray>
}

export interface RunOptions {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  /** Of Node, before the script. */
  readonly flags?: readonly string[]
}

/** The built `sluice` in a process of its own, with no key and no file of this machine in its environment. */
export function launch(args: readonly string[], options: RunOptions): Launched {
  const child = spawn(SHELL, [...PLAIN, process.execPath, ...(options.flags ?? []), MAIN, ...args], {
    cwd: options.cwd,
    env: { PATH: '/nowhere', HOME: options.cwd, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  // A test that failed midway leaves no gateway behind.
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  child.once('exit', () => process.removeListener('exit', kill))
  let stdout = ''
  let stderr = ''
  const waiting = new Set<() => void>()
  const heard = () => {
    for (const look of [...waiting]) look()
  }
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk
    heard()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk
    heard()
  })
  const output = () => stdout + stderr
  const ended = new Promise<Ended>(resolve => {
    child.on('close', code => {
      resolve({ code, stdout, stderr })
      heard()
    })
  })
  const until = (pattern: RegExp, milliseconds = 15_000) =>
    new Promise<RegExpExecArray>((resolve, reject) => {
      const settle = (error: Error | undefined, match?: RegExpExecArray) => {
        clearTimeout(late)
        waiting.delete(look)
        if (match !== undefined) resolve(match)
        else reject(error)
      }
      const look = () => {
        const match = pattern.exec(output())
        if (match !== null) settle(undefined, match)
        else if (child.exitCode !== null) settle(new Error(`it ended with ${child.exitCode}:\n${output()}`))
      }
      const late = setTimeout(() => settle(new Error(`${pattern} was not written:\n${output()}`)), milliseconds)
      waiting.add(look)
      look()
    })
  return { child, ended, output, until }
}

/** Runs a command to its end. */
export function run(args: readonly string[], options: RunOptions): Promise<Ended> {
  return launch(args, options).ended
}

/** Starts a gateway on a port that the system chooses, and waits until it answers. */
export async function start(
  args: readonly string[],
  options: RunOptions
): Promise<Launched & { readonly url: string }> {
  const launched = launch(['start', '--port', '0', ...args], options)
  const [, url = ''] = await launched.until(/"url":"(http[^"]+)".*"msg":"listening"/)
  return { ...launched, url }
}

export interface Folder {
  readonly path: string
  write(name: string, text: string): string
  remove(): void
}

export function temporaryFolder(): Folder {
  const path = mkdtempSync(join(tmpdir(), 'sluice-test-'))
  return {
    path,
    write: (name, text) => {
      writeFileSync(join(path, name), text)
      return join(path, name)
    },
    remove: () => rmSync(path, { recursive: true, force: true })
  }
}

/** What the compiler says, less its words where it is content. */
export function compile(args: readonly string[]): { readonly ok: boolean; readonly told: string } {
  const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc')
  const { status, signal, error, stdout, stderr } = spawnSync(SHELL, [...PLAIN, process.execPath, compiler, ...args], {
    encoding: 'utf8'
  })
  if (status === null || stderr !== '') throw new Error(`the compiler could not run: ${signal} ${error} ${stderr}`)
  return { ok: status === 0, told: stdout }
}
