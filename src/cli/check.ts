import type { LiteLLMReport } from '../config/litellm/report.ts'
import { isLlmrc, llmrcSources } from '../config/llmrc.ts'
import type { LoadedConfig } from '../config/load.ts'
import { findConfig, type Where } from './find-config.ts'
import { offline } from './offline.ts'
import { colors, count, EXIT, fail, print, printJson, table } from './output.ts'
import { nameOf, shorter, tell } from './prepare.ts'
import { workspaceFile } from './workspaces.ts'

/** Says all that is wrong with a file, and what it would serve. */
export async function check(file: string | undefined, flags: Where & { json?: boolean }): Promise<number> {
  const json = flags.json === true
  const source = findConfig({ ...flags, config: file ?? flags.config }, process.env)
  if (typeof source === 'string') return fail([source], json)
  const prepared = await offline(source.file)
  if (!('loaded' in prepared)) {
    const { problems } = prepared
    if (json) printJson({ ok: false, file: source.file, problems })
    else {
      for (const line of tell(problems)) print(line)
      const errors = problems.filter(problem => problem.severity === 'error').length
      print(colors.red(`${shorter(source.file)}: ${count(errors, 'error')}`))
    }
    return EXIT.failed
  }
  const { loaded, runtime } = prepared
  const warnings = [...runtime.warnings, ...prepared.warnings, ...(await checkWorkspaces(loaded))]
  const read = isLlmrc(loaded.file) ? llmrcSources(loaded.file, process.env) : undefined
  const served = runtime.routes.routes().map(route => ({ model: route.name, targets: route.targets.map(nameOf) }))
  if (json) {
    const { report } = loaded
    printJson({
      ok: true,
      file: source.file,
      files: loaded.files,
      ...(read !== undefined && { read }),
      problems: loaded.problems,
      warnings,
      ...(report !== undefined && { litellm: report }),
      serves: served,
      aliases: runtime.config.aliases
    })
    return EXIT.done
  }
  for (const line of tell(loaded.problems)) print(colors.yellow(line))
  for (const warning of warnings) print(colors.yellow(`warning ${warning}`))
  if (loaded.report !== undefined) print(reportOf(loaded.report))
  if (read !== undefined) print(`Read in this order, the first to say something wins: ${read.join(', ')}.`)
  print(colors.green(`${shorter(source.file)} is in order. It serves:`))
  print(
    table(
      served.map(row => [row.model, `→ ${row.targets.join(', ')}`]),
      '  '
    )
  )
  const aliases = Object.entries(runtime.config.aliases)
  if (aliases.length > 0)
    print(
      table(
        aliases.map(([name, meant]) => [name, `= ${meant}`]),
        '  '
      )
    )
  return EXIT.done
}

/** They are no part of the file: what is wrong with one stops that one alone. */
async function checkWorkspaces({ config, file }: LoadedConfig): Promise<string[]> {
  const told = Object.entries(config.workspaces).map(async ([name, place]) => {
    const found = workspaceFile(file, place, process.env)
    if (typeof found === 'string') return [`workspace ${name}: ${found}`]
    const prepared = await offline(found.file)
    return 'loaded' in prepared ? [] : tell(prepared.problems).map(line => `workspace ${name}: ${line}`)
  })
  return (await Promise.all(told)).flat()
}

/** How LiteLLM's file was understood. What is not supported has been told as a warning. */
function reportOf({ lines }: LiteLLMReport): string {
  const having = (fit: LiteLLMReport['lines'][number]['fit']) => lines.filter(line => line.fit === fit)
  const near = having('approximate')
  const rows = near.map(line => [`${shorter(line.file)}:${line.line}:${line.column}`, line.path, line.reason])
  const head = `LiteLLM's file: ${having('exact').length} settings taken over exactly, ${having('unsupported').length} not supported, ${near.length} approximately`
  return near.length === 0 ? `${head}.` : `${head}:\n${table(rows, '  ')}`
}
