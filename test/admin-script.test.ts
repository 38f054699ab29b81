// A script as administrators of LiteLLM have it, from its public documents: it must run as it is.

import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { keyedGateway, MASTER_KEY } from './support/keys.ts'

t.setTimeout(600_000)

type Send = ReturnType<typeof sender>

function sender(url: string) {
  return async (method: string, path: string, body?: object, key = MASTER_KEY) => {
    const response = await fetch(url + path, {
      method,
      headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) })
    })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
}

t.test('create, use, update, list, delete', async t => {
  const send = sender((await keyedGateway(t)).url)

  const team = await send('POST', '/team/new', {
    team_alias: 'research',
    models: ['gpt-4o', 'gpt-4o-mini'],
    max_budget: 100,
    budget_duration: '30d',
    tpm_limit: 100_000,
    rpm_limit: 1_000,
    metadata: { cost_center: '42' }
  })
  t.equal(team.status, 200)
  const teamId = String(team.body['team_id'])
  t.match(team.body, { team_alias: 'research', max_budget: 100, spend: 0, budget_reset_at: /^\d{4}-/ })

  const user = await send('POST', '/user/new', {
    user_email: 'ada@example.com',
    user_role: 'internal_user',
    max_budget: 50
  })
  t.equal(user.status, 200)
  const userId = String(user.body['user_id'])
  t.match(user.body['key'], /^sk-/)
  const joined = await send('POST', '/team/member_add', { team_id: teamId, member: { role: 'user', user_id: userId } })
  t.equal(joined.status, 200)

  const made = await send('POST', '/key/generate', {
    models: ['gpt-4o'],
    max_budget: 10,
    budget_duration: '30d',
    rpm_limit: 60,
    tpm_limit: 10_000,
    max_parallel_requests: 5,
    duration: '7d',
    key_alias: 'svc-a',
    team_id: teamId,
    user_id: userId,
    metadata: { team: 'x', tags: ['nightly'] },
    aliases: { best: 'gpt-4o' },
    permissions: {},
    config: {},
    spend: 0,
    send_invite_email: false
  })
  t.equal(made.status, 200, JSON.stringify(made.body))
  const key = String(made.body['key'])
  const { key_name: name, expires } = made.body
  t.equal(name, `sk-...${key.slice(-4)}`)
  t.ok(Math.abs(Date.parse(String(expires)) - Date.now() - 7 * 86_400_000) < 60_000)
  t.match(made.body, { models: ['gpt-4o'], max_budget: 10, spend: 0, rpm_limit: 60, token_id: String })

  const ask = async (model: string, as = key) =>
    (await send('POST', '/chat/completions', { model, messages: [{ role: 'user', content: 'hi' }] }, as)).status
  t.same([await ask('gpt-4o'), await ask('best'), await ask('gpt-4o-mini')], [200, 200, 403])

  const info = await send('GET', `/key/info?key=${key}`)
  t.match(info.body, { key, info: { key_alias: 'svc-a', team_id: teamId, max_budget: 10, litellm_budget_table: null } })
  const own = await send('GET', '/key/info', undefined, key)
  t.match(own.body, { info: { key_alias: 'svc-a' } })

  const updated = await send('POST', '/key/update', { key, models: ['gpt-4o', 'gpt-4o-mini'], max_budget: 20 })
  t.match(updated, { status: 200, body: { models: ['gpt-4o', 'gpt-4o-mini'], max_budget: 20, rpm_limit: 60 } })
  t.equal(await ask('gpt-4o-mini'), 200)

  const listed = await send('GET', `/key/list?return_full_object=true&size=10&team_id=${teamId}`)
  t.match(listed.body, { keys: [{ key_alias: 'svc-a' }], total_count: 1, current_page: 1, total_pages: 1 })
  const hashes = (await send('GET', '/key/list')).body['keys'] as string[]
  t.ok(hashes.includes(String(made.body['token'])))

  t.match(await send('POST', '/key/block', { key }), { status: 200, body: { blocked: true } })
  t.equal(await ask('gpt-4o'), 401)
  t.match(await send('POST', '/key/unblock', { key }), { status: 200, body: { blocked: false } })
  const rotated = await send('POST', `/key/${key}/regenerate`, { grace_period: '1s' })
  const next = String(rotated.body['key'])
  t.same([await ask('gpt-4o'), await ask('gpt-4o', next)], [200, 200])
  await wait(1_100)
  t.same([await ask('gpt-4o'), await ask('gpt-4o', next)], [401, 200])

  await lookAround(t, send, { teamId, userId, next })

  t.same((await send('POST', '/key/delete', { keys: [next] })).body, { deleted_keys: [next] })
  t.equal(await ask('gpt-4o', next), 401)
  t.equal((await send('POST', '/team/delete', { team_ids: [teamId] })).status, 200)
  t.equal((await send('POST', '/user/delete', { user_ids: [userId] })).status, 200)
  t.equal(await ask('gpt-4o', String(user.body['key'])), 401)
})

async function lookAround(
  t: Test,
  send: Send,
  { teamId, userId, next }: Record<'teamId' | 'userId' | 'next', string>
): Promise<void> {
  t.match((await send('GET', `/team/info?team_id=${teamId}`)).body, {
    team_info: { team_alias: 'research' },
    keys: [{}]
  })
  t.match((await send('GET', `/user/info?user_id=${userId}`)).body, {
    keys: { length: 2 },
    teams: [{ team_id: teamId }]
  })
  t.match((await send('GET', '/model/info', undefined, next)).body, {
    data: [{ model_name: 'gpt-4o', model_info: { input_cost_per_token: 0.0000025 } }, { model_name: 'gpt-4o-mini' }]
  })
  t.match((await send('GET', '/v1/models', undefined, next)).body, { data: [{ id: 'gpt-4o' }, { id: 'gpt-4o-mini' }] })
  t.equal((await send('GET', '/spend/logs?start_date=2026-01-01&end_date=2026-01-02')).status, 200)
}
