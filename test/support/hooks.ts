import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Log } from '../../src/hooks/hook.ts'
import { Shelf } from '../../src/hooks/shelf.ts'
import { type PartialConfig, type TestGateway, type TestOptions, testGateway } from './app.ts'

export interface HookedGateway extends TestGateway {
  readonly shelf: Shelf
  /** What hooks and the gateway about them have logged, as `level: message`. */
  readonly log: string[]
  readonly folder: string
}

/** A gateway with hooks: files by name, lying in a `hooks` folder of its own, and what a configuration lists. */
export async function hookedGateway(
  files: Readonly<Record<string, string>>,
  config: PartialConfig,
  options: TestOptions = {}
): Promise<HookedGateway> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-hooks-'))
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, 'hooks', name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }
  const log: string[] = []
  let shelf: Shelf | undefined
  const gateway = await testGateway(config, {
    ...options,
    hooks: async (whole, metrics) => {
      shelf = new Shelf({ log: collecting(log), metrics })
      const shelved = await shelf.take(whole, join(folder, 'gateway.yaml'))
      if (!('set' in shelved))
        throw new Error(shelved.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n'))
      return shelved.set
    }
  })
  if (shelf === undefined) throw new Error('no hooks were loaded')
  return {
    ...gateway,
    shelf,
    log,
    folder,
    close: async () => {
      await gateway.close()
      await shelf?.close()
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

export function collecting(lines: string[]): Log {
  const at = (level: string) => (message: string) => void lines.push(`${level}: ${message}`)
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** A hook file whose `setup` returns these phases. */
export function hookFile(name: string, phases: string): string {
  return `import { answerOf, defineHook, Failure } from 'sluice/hook'\nvoid answerOf\nvoid Failure\nexport default defineHook({ name: '${name}', setup: (options, services) => (${phases}) })\n`
}
