import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const root = join(dirname(fileURLToPath(import.meta.url)), '../..')
const floors = new Map<string, number>()
for (const [, floor, rooms] of readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8').matchAll(
  /^\| (\d) \| ([^|]+) \|/gm
)) {
  for (const room of rooms?.split(',') ?? []) floors.set(room.trim(), Number(floor))
}

t.test('every room stands in the floors table, and every row has its room', async t => {
  const rooms = readdirSync(join(root, 'src'), { withFileTypes: true }).filter(entry => entry.isDirectory())
  t.same(rooms.map(room => room.name).sort(), [...floors.keys()].sort())
})

t.test('imports go down', async t => {
  for (const path of readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (!path.endsWith('.ts')) continue
    const file = join(root, 'src', path)
    for (const [, target] of readFileSync(file, 'utf8').matchAll(/from '(\.[^']+)'/g)) {
      const [room = '', folder] = path.split('/')
      const [otherRoom = '', otherFolder] = relative(join(root, 'src'), resolve(dirname(file), target ?? '')).split('/')
      if (otherRoom === '..') continue
      const down = (floors.get(otherRoom) ?? 99) < (floors.get(room) ?? -1)
      t.ok(down || room === otherRoom, `${path} imports ${otherRoom}`)
      // One dialect never imports another: their only neighbours are the files that lie beside the folders.
      const dialectToDialect = room === 'dialects' && otherRoom === room && folder !== otherFolder
      t.notOk(dialectToDialect && folder?.includes('.') === false && otherFolder?.includes('.') === false, path)
    }
  }
})
