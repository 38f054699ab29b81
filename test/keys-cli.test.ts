// `sluice keys` and `sluice spend`, in processes of their own beside a gateway that runs.

import { hash } from 'node:crypto'
import t from 'tap'
import { run, start, temporaryFolder } from './support/process.ts'

t.setTimeout(600_000)

const MASTER = 'sk-master-of-the-command-line'
const YAML = `
auth: { master_key: "\${SLUICE_MASTER_KEY:-}" }
model_list:
  - { model_name: demo, provider: demo, model: demo }
  - { model_name: other, provider: demo, model: demo }
`

t.test('keys from the command line', async t => {
  const folder = temporaryFolder()
  folder.write('gateway.yaml', YAML)
  const options = { cwd: folder.path, env: { SLUICE_MASTER_KEY: MASTER } }
  const sluice = (...args: string[]) => run(args, options)

  t.match(await sluice('keys', 'list'), { code: 3, stderr: /No gateway runs here/ })
  t.match(await sluice('keys', 'lst'), { code: 2, stderr: /Did you mean list\?/ })
  t.match(await sluice('keys', 'info'), { code: 2, stderr: /sluice keys info KEY/ })

  const gateway = await start([], options)
  t.teardown(async () => {
    gateway.child.kill('SIGTERM')
    await gateway.ended
    folder.remove()
  })
  const noKey = await run(['keys', 'list'], { cwd: folder.path })
  t.match(noKey, { code: 1, stderr: /none is set/ }, 'the key comes from where the gateway has it')
  const listedAtOnce = await sluice('keys', 'list')
  t.match(listedAtOnce, { code: 0, stdout: /There are no keys/ }, 'the database that is being made is waited for')
  t.match(gateway.output(), /keys are on/)

  const made = await sluice('keys', 'create', '--alias', 'ci', '--models', 'demo,gpt-*', '--max-budget', '10')
  t.equal(made.code, 0, made.stderr)
  const key = made.stdout.trim()
  t.match(key, /^sk-[0-9a-f]{16}-[0-9a-z]+$/, 'nothing but the key on standard output')
  t.match(made.stderr, /The key ci \([0-9a-f]{16}\) was made/)
  const ask = async (as: string, model = 'demo') =>
    (
      await fetch(`${gateway.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${as}` },
        body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hi' }] })
      })
    ).status
  t.same([await ask(key), await ask(key, 'other')], [200, 403])

  t.match(await sluice('keys', 'list'), { code: 0, stdout: /ci\s+–\s+demo, gpt-\*\s+\$0\.0000 of \$10\s+active/ })
  const listed = JSON.parse((await sluice('keys', 'list', '--json')).stdout) as { total_count: number }
  t.equal(listed.total_count, 1)
  t.match(await sluice('keys', 'info', 'ci'), { code: 0, stdout: /alias\s+ci\n/ })
  const updated = await sluice('keys', 'update', key, '--models', '', '--rpm-limit', '60', '--set', 'metadata={"a":1}')
  t.match(updated, { code: 0, stdout: /models\s+all\n/ }, updated.stderr)
  t.equal(await ask(key, 'other'), 200)
  t.match(await sluice('keys', 'update', 'ci', '--rpm-limit', 'many'), {
    code: 1,
    stderr: /rpm_limit must be a number/
  })
  t.match(await sluice('keys', 'update', 'ci', '--set', 'modles=["a"]'), { code: 1, stderr: /Did you mean `models`/ })
  t.match(await sluice('keys', 'info', 'nobody'), { code: 1, stderr: /There is no key `nobody`/ })

  t.match(await sluice('keys', 'block', 'ci'), { code: 0, stdout: /is blocked\./ })
  t.equal(await ask(key), 401)
  await sluice('keys', 'unblock', 'ci')
  const rotated = await sluice('keys', 'rotate', 'ci', '--grace', '1h')
  t.same([await ask(key), await ask(rotated.stdout.trim())], [200, 200])
  t.match(await sluice('keys', 'delete', 'ci'), { code: 0, stdout: 'Deleted.\n' })
  t.same([await ask(key), await ask(rotated.stdout.trim())], [401, 401])

  const old = `sk-${'l'.repeat(22)}`
  folder.write('keys.json', JSON.stringify([{ token: hash('sha256', old), key_alias: 'old', models: ['demo'] }]))
  t.match(await sluice('keys', 'import', 'keys.json'), { code: 0, stdout: /1 key imported/ })
  t.equal(await ask(old), 200)
  t.match(await sluice('keys', 'import', 'nowhere.json'), { code: 1, stderr: /cannot be read/ })

  t.match(await sluice('spend', '--since', '7d'), { code: 0 })
  const spent = JSON.parse((await sluice('spend', '--by', 'key', '--json')).stdout) as object
  t.match(spent, { group_by: 'key', data: Array })
  t.match(await sluice('spend', '--by', 'moon'), { code: 1, stderr: /`group_by` must be one of/ })
  t.match(await sluice('spend', '--since', 'yesterday'), { code: 2, stderr: /such as 7d/ })
  const far = { cwd: '/', env: { SLUICE_MASTER_KEY: MASTER } }
  t.match(await run(['keys', 'list', '--url', gateway.url], far), { code: 0, stdout: /old/ }, 'of a gateway elsewhere')
  t.match(await run(['keys', 'list', '--url', 'http://127.0.0.1:9'], far), { code: 1, stderr: /does not answer/ })

  const output = gateway.output()
  for (const secret of [key, rotated.stdout.trim(), old, MASTER])
    t.notMatch(output, secret.slice(19), 'no key stands in the log')
})
