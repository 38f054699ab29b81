import type { Migration } from './index.ts'

// Money is in nano-dollars. Times have milliseconds, as JavaScript's have, so that a cursor made of one finds its place again.
const COMMON = `
  blocked boolean not null default false,
  models jsonb not null default '[]',
  limits jsonb not null default '{}',
  metadata jsonb not null default '{}',
  settings jsonb not null default '{}',
  version bigint not null default 1,
  created_at timestamptz(3) not null default now(),
  created_by text,
  updated_at timestamptz(3) not null default now(),
  updated_by text`

// A notification carries the id, and may have 8,000 bytes.
const ID = 'id text primary key check (length(id) between 1 and 512)'

export const keysAndBudgets: Migration = {
  number: 1,
  name: 'keys and budgets',
  sql: `
create table sluice.plans (${ID}, alias text, ${COMMON});
create index plans_listed on sluice.plans (created_at desc, id desc);

create table sluice.organizations (
  ${ID}, alias text, plan_id text references sluice.plans, ${COMMON}
);
create index organizations_listed on sluice.organizations (created_at desc, id desc);

create table sluice.teams (
  ${ID}, alias text,
  organization_id text references sluice.organizations,
  plan_id text references sluice.plans, ${COMMON}
);
create index teams_listed on sluice.teams (created_at desc, id desc);
create index teams_of_organization on sluice.teams (organization_id) where organization_id is not null;

create table sluice.users (
  ${ID}, alias text, email text, role text,
  organization_id text references sluice.organizations,
  plan_id text references sluice.plans, ${COMMON}
);
create unique index users_email on sluice.users (lower(email)) where email is not null;
create index users_listed on sluice.users (created_at desc, id desc);
create index users_of_organization on sluice.users (organization_id) where organization_id is not null;

create table sluice.customers (
  ${ID}, alias text, default_model text, region text,
  plan_id text references sluice.plans, ${COMMON}
);
create index customers_listed on sluice.customers (created_at desc, id desc);

create table sluice.tags (
  ${ID}, alias text, plan_id text references sluice.plans, ${COMMON}
);
create index tags_listed on sluice.tags (created_at desc, id desc);

create table sluice.members (
  team_id text not null references sluice.teams on delete cascade,
  user_id text not null check (length(user_id) between 1 and 512),
  role text not null default 'user',
  limits jsonb not null default '{}',
  settings jsonb not null default '{}',
  primary key (team_id, user_id)
);
create index members_of_user on sluice.members (user_id);

create table sluice.keys (
  ${ID},
  name text not null,
  alias text,
  hash bytea check (octet_length(hash) = 32),
  previous_hash bytea check (octet_length(previous_hash) = 32),
  previous_until timestamptz(3),
  litellm_hash text check (litellm_hash ~ '^[0-9a-f]{64}$'),
  litellm_until timestamptz(3),
  user_id text,
  team_id text references sluice.teams,
  organization_id text references sluice.organizations,
  plan_id text references sluice.plans,
  expires_at timestamptz(3),
  aliases jsonb not null default '{}',
  tags jsonb not null default '[]',
  allowed_routes jsonb not null default '[]',
  allowed_ips jsonb not null default '[]',
  hooks jsonb not null default '[]',
  rotations integer not null default 0,
  rotated_at timestamptz(3),
  last_used_at timestamptz(3),
  ${COMMON},
  constraint keys_hash check (hash is not null or litellm_hash is not null)
) with (fillfactor = 90);
create unique index keys_alias on sluice.keys (alias) where alias is not null;
create unique index keys_litellm_hash on sluice.keys (litellm_hash) where litellm_hash is not null;
create index keys_listed on sluice.keys (created_at desc, id desc);
create index keys_of_user on sluice.keys (user_id) where user_id is not null;
create index keys_of_team on sluice.keys (team_id) where team_id is not null;
create index keys_of_organization on sluice.keys (organization_id) where organization_id is not null;

create table sluice.budgets (
  ${ID},
  scope_kind text not null,
  scope_id text not null,
  model text not null default '',
  window_length text not null,
  limit_nano bigint not null check (limit_nano >= 0),
  soft_limit_nano bigint check (soft_limit_nano >= 0),
  extra_nano bigint not null default 0 check (extra_nano >= 0),
  extra_until timestamptz(3),
  forgiven_nano bigint not null default 0,
  forgiven_since timestamptz(3),
  anchor timestamptz(3) not null default now(),
  created_at timestamptz(3) not null default now(),
  constraint budgets_scope unique (scope_kind, scope_id, model, window_length)
);

create table sluice.spend_logs (
  call_id text primary key,
  settled_at timestamptz(3) not null,
  started_at timestamptz(3) not null,
  duration_ms integer not null,
  first_token_ms integer,
  key_id text, key_alias text, user_id text, team_id text, organization_id text, customer_id text,
  tags jsonb not null default '[]',
  route text not null,
  dialect text,
  requested_model text not null,
  model text not null,
  provider text,
  target text,
  status text not null,
  failure_kind text,
  http_status integer,
  attempts integer not null default 1,
  stream boolean not null default false,
  cache text,
  input_tokens bigint not null default 0,
  output_tokens bigint not null default 0,
  cache_read_tokens bigint not null default 0,
  cache_write_tokens bigint not null default 0,
  reasoning_tokens bigint not null default 0,
  cost_nano bigint not null default 0,
  saved_nano bigint not null default 0,
  estimated boolean not null default false,
  session_id text,
  ip text,
  metadata jsonb not null default '{}'
);
create index spend_logs_settled on sluice.spend_logs (settled_at desc, call_id desc);
create index spend_logs_key on sluice.spend_logs (key_id, settled_at desc) where key_id is not null;
create index spend_logs_team on sluice.spend_logs (team_id, settled_at desc) where team_id is not null;
create index spend_logs_user on sluice.spend_logs (user_id, settled_at desc) where user_id is not null;

create table sluice.spend_counters (
  scope_kind text not null,
  scope_id text not null,
  model text not null,
  grain text not null,
  since timestamptz(3) not null,
  requests bigint not null,
  failures bigint not null,
  input_tokens bigint not null,
  output_tokens bigint not null,
  cache_read_tokens bigint not null,
  cache_write_tokens bigint not null,
  cost_nano bigint not null,
  saved_nano bigint not null,
  primary key (scope_kind, scope_id, model, grain, since)
) with (fillfactor = 70);
create index spend_counters_report on sluice.spend_counters (scope_kind, grain, since);

create table sluice.audit_log (
  id bigint generated always as identity primary key,
  at timestamptz(3) not null default now(),
  actor text not null,
  action text not null,
  kind text not null,
  target text not null,
  before jsonb,
  after jsonb,
  ip text
);
create index audit_log_target on sluice.audit_log (kind, target, id desc);
`
}
