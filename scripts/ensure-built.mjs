// `npm start` runs dist; this builds it when it is missing or older than a source file.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

if (!existsSync(join(root, 'node_modules/fastify'))) {
  console.error('sluice: dependencies are not installed. Run: npm ci')
  process.exit(1)
}

const built = join(root, 'dist/.tsbuildinfo')
const builtAt = existsSync(built) && existsSync(join(root, 'dist/src/cli/main.js')) ? statSync(built).mtimeMs : 0
const newest = existsSync(join(root, 'src')) ? newestUnder(join(root, 'src')) : 0
if (newest > builtAt) {
  const { status } = spawnSync(process.execPath, [join(root, 'scripts/build.mjs')], { stdio: 'inherit' })
  process.exit(status ?? 1)
}

function newestUnder(folder) {
  let newestTime = 0
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    newestTime = Math.max(newestTime, entry.isDirectory() ? newestUnder(path) : statSync(path).mtimeMs)
  }
  return newestTime
}
