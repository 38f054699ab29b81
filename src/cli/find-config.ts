import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LLMRC, llmrcSources } from '../config/llmrc.ts'

/** What the places are called in which a file is looked for. */
type Whence = 'flag' | 'variable' | 'folder' | 'llmrc' | 'packaged'

export interface ConfigFile {
  /** Absolute. Of `llmrc`, the folder's own, which need not be there. */
  readonly file: string
  readonly whence: Whence
  /** Whose `.sluice` is used: the packaged file's own folder may be read-only, and belongs to nobody's project. */
  readonly home: string
}

export interface Where {
  readonly config?: string | undefined
  readonly workspace?: string | undefined
}

const NAMES = ['gateway.yaml', 'gateway.yml'] as const
/** LiteLLM's name is anybody's name, so such a file counts only when it lists models. */
const FOREIGN_NAMES = ['config.yaml', 'config.yml'] as const
const PACKAGED = fileURLToPath(new URL('../../../gateway.yaml', import.meta.url))

/** The file that is run: the flag's, $SLUICE_CONFIG, the folder's own, .llmrc.json and its like, else the one in the package. A string says why none. */
export function findConfig(where: Where, env: NodeJS.ProcessEnv, cwd = process.cwd()): ConfigFile | string {
  if (where.workspace !== undefined && !existsSync(resolve(cwd, where.workspace)))
    return `The folder ${resolve(cwd, where.workspace)} does not exist.`
  const folder = resolve(cwd, where.workspace ?? '.')
  if (where.config !== undefined) return named(resolve(cwd, where.config), 'flag')
  if (env['SLUICE_CONFIG']) return named(resolve(cwd, env['SLUICE_CONFIG']), 'variable')
  for (const name of NAMES) if (existsSync(join(folder, name))) return named(join(folder, name), 'folder')
  for (const name of FOREIGN_NAMES) if (listsModels(join(folder, name))) return named(join(folder, name), 'folder')
  const llmrc = join(folder, LLMRC)
  if (llmrcSources(llmrc, env).length > 0) return { file: llmrc, whence: 'llmrc', home: folder }
  if (!existsSync(PACKAGED)) return `There is no gateway.yaml in ${folder}. Write one, or name it: --config FILE.`
  return { file: PACKAGED, whence: 'packaged', home: folder }
}

function named(path: string, whence: Whence): ConfigFile | string {
  if (!existsSync(path))
    return `The file ${path} does not exist${whence === 'variable' ? ' (SLUICE_CONFIG names it)' : ''}.`
  if (!statSync(path).isDirectory()) return { file: path, whence, home: dirname(path) }
  const inside = NAMES.map(name => join(path, name)).find(existsSync)
  if (inside === undefined) return `${path} is a folder without a gateway.yaml.`
  return { file: inside, whence, home: path }
}

function listsModels(path: string): boolean {
  try {
    return /^model_list:/m.test(readFileSync(path, 'utf8'))
  } catch {
    return false
  }
}
