// Runs the compiled tests with tap and ends with one line that counts them: `N passed, N failed`.
// Arguments name test files: `npm test -- config` runs dist/test/config.test.js alone.
import { spawn, spawnSync } from 'node:child_process'
import { createReadStream, existsSync, mkdirSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const folder = join(root, 'dist/test')
const wanted = process.argv.slice(2)
const files = readdirSync(folder)
  .filter(name => name.endsWith('.test.js') && existsSync(join(root, 'test', name.replace(/\.js$/, '.ts'))))
  .filter(name => wanted.length === 0 || wanted.some(word => name.startsWith(word)))
  .map(name => join('dist/test', name))
if (files.length === 0) {
  console.error(`no test file begins with: ${wanted.join(', ')}`)
  process.exit(1)
}

mkdirSync(join(root, '.tap'), { recursive: true })
const output = join(root, '.tap/results.tap')
const tap = join(dirname(createRequire(import.meta.url).resolve('tap/package.json')), 'dist/esm/run.mjs')
// A fresh clone has no build of tap with the plugins that .taprc leaves.
if (!existsSync(join(root, '.tap/plugins'))) spawnSync(process.execPath, [tap, 'build'], { cwd: root, stdio: 'ignore' })
const child = spawn(process.execPath, [tap, 'run', `--output-file=${output}`, ...files], {
  cwd: root,
  stdio: 'inherit'
})
const status = await new Promise(resolve => child.once('close', resolve))

const { passed, failed } = await count(output)
console.log(`${passed} passed, ${failed} failed`)
process.exit(status === 0 && failed === 0 && passed > 0 ? 0 : 1)

/** Counts assertions: a result line whose own lines below it are a subtest stands for those, not for itself. */
async function count(file) {
  const counts = { passed: 0, failed: 0 }
  const deeper = []
  for await (const line of createInterface({ input: createReadStream(file) })) {
    const [, indent, not] = /^( *)(not )?ok \d+/.exec(line) ?? []
    if (indent === undefined) continue
    const depth = indent.length / 4
    const sums = deeper[depth + 1] === true
    deeper.length = depth + 1
    deeper[depth] = true
    if (sums || / # SKIP| # TODO/i.test(line)) continue
    counts[not === undefined ? 'passed' : 'failed']++
  }
  return counts
}
