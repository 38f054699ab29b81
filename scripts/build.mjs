// Compiles src and test into dist. Runs as npm's `prepare`, so a fresh `npm ci` ends with something that starts.
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const entry = join(root, 'dist/src/cli/main.js')

let compiler
try {
  compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc')
} catch {
  // `npm ci --omit=dev` has no compiler: fine when the build is already there (an image, a published package).
  if (existsSync(entry)) process.exit(0)
  console.error(
    'sluice: the TypeScript compiler is not installed and there is no build; run `npm ci` without --omit=dev'
  )
  process.exit(1)
}

const outDir = process.argv[2]
const options = outDir === undefined ? [] : ['--outDir', outDir, '--tsBuildInfoFile', join(outDir, '.tsbuildinfo')]
const compile = words => spawnSync(process.execPath, [compiler, ...words], { cwd: root, stdio: 'inherit' }).status ?? 1
const status = compile(['-p', root, ...options])
if (existsSync(entry)) chmodSync(entry, 0o755)
// The types of what hook files import, beside its code: the only declarations that anybody outside needs.
const words = '--ignoreConfig --declaration --emitDeclarationOnly --allowImportingTsExtensions --strict --skipLibCheck'
const kind = ['--target', 'es2023', '--module', 'nodenext', '--types', 'node', '--rootDir', root]
const types = ['src/hooks/hook.ts', ...words.split(' '), ...kind, '--outDir', join(root, outDir ?? 'dist')]
process.exit(status === 0 ? compile(types) : status)
