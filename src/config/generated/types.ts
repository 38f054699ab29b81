// Generated from schemas/gateway.schema.json by scripts/generate.mjs. Do not edit: run `npm run types`.

/**
 * The name of a hook or the path of its file, alone or with its options.
 */
export type HookEntry =
  | string
  | {
      when?: HookCondition
      /**
       * `worker`: the hook runs in a thread of its own, where it may compute without holding up others and is ended when it takes too long. Absent: in the gateway's own.
       */
      isolation?: 'worker'
      /**
       * How long a phase of the hook is waited for. Absent: 2s.
       */
      timeout?: string | number
      /**
       * What a request gets when the hook fails: `fail`, an error that names it; `skip`, nothing, as if it were not listed. Absent: `fail`.
       */
      onError?: 'fail' | 'skip'
      [k: string]: unknown
    }

/**
 * What gateway.yaml may say. Every key that nothing enforces is refused, never accepted in silence.
 */
export interface GatewayConfig {
  server: ServerSettings
  /**
   * Who may call. `none` says aloud that anybody who reaches the port may.
   */
  auth: 'none' | AuthSettings
  /**
   * Keys that are declared here by their hashes. Others are made with `sluice keys create`, or POST /key/generate.
   */
  keys: DeclaredKey[]
  store: StoreSettings
  spend: SpendSettings
  limits: LimitSettings
  /**
   * Named upstreams that entries of model_list may point at.
   */
  backends: {
    [k: string]: Backend
  }
  /**
   * The backend that `backend: active` means. `sluice switch NAME` edits this line.
   */
  active_backend?: string
  /**
   * Which model names are served, and by whom.
   */
  model_list: ModelEntry[]
  /**
   * Other names for models that model_list serves.
   */
  aliases: {
    [k: string]: string
  }
  routing: RoutingSettings
  /**
   * One ordered list: preCall runs down it, postCall and onEvent back up.
   */
  hooks: HookEntry[]
  /**
   * Name → upstream that `/passthrough/{name}/*` reaches byte for byte.
   */
  passthrough: {
    [k: string]: PassthroughEntry
  }
  /**
   * Name → folder (or file) that this process serves too, below /w/NAME or with the header `x-workspace: NAME`: by its own gateway.yaml, with its own keys, limits and data. Opened when it is first asked for; where it listens is not read.
   */
  workspaces: {
    [k: string]: string
  }
  /**
   * Other files to read, relative to this one; `*` in a file's name stands for any characters. Lists are joined, maps are merged.
   */
  include: string[]
}
/**
 * Where the gateway listens and how it behaves as an HTTP server.
 */
export interface ServerSettings {
  /**
   * The address to listen on. Anything but loopback needs auth.master_key, or `auth: none` said aloud.
   */
  host: string
  /**
   * The port to listen on, or `auto`: the first free one from 4000.
   */
  port: number | 'auto'
  /**
   * The largest request body that is read; a larger one is answered with 413.
   */
  body_limit: string | number
  /**
   * How long requests in flight may take to finish once the gateway is told to stop.
   */
  drain: string | number
  /**
   * Browser origins that may call the gateway, beside pages of this machine. Empty: no others may; `*`: any may.
   */
  allowed_origins: string[]
  logs: LogSettings
  metrics: MetricsSettings
  tracing: TracingSettings
}
/**
 * What is logged. Prompts and answers never are.
 */
export interface LogSettings {
  /**
   * The least severe level that is written.
   */
  level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'
  /**
   * One JSON object a line, or coloured lines for people; `auto` is pretty on a terminal and JSON elsewhere.
   */
  format: 'auto' | 'json' | 'pretty'
  /**
   * Other levels for parts of it: `requests` (a line for each), `probes` (`/health` and `/metrics`, at `debug`: the first of its kind, each change, and one of a hundred), `config`, `hooks`, `keys`, `spend`, `tracing`; the rest is `gateway`.
   */
  rooms: {
    [k: string]: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'
  }
}
/**
 * Who may scrape `/metrics`, and where. As it is, anybody who can connect, on the gateway's own port.
 */
export interface MetricsSettings {
  /**
   * What scrapers have to send, as `Authorization: Bearer …`. Empty: nothing.
   */
  token: string
  /**
   * A port of their own at `server.host`; on the gateway's port there are none then, but those of workspaces. Absent: the gateway's port.
   */
  port?: number
}
/**
 * OpenTelemetry traces over OTLP/HTTP. They hold no word of a conversation.
 */
export interface TracingSettings {
  /**
   * A collector's address, without `/v1/traces`. Empty: nothing is traced.
   */
  endpoint: string
  /**
   * What the collector is sent with each batch, such as its key.
   */
  headers: {
    [k: string]: string
  }
  /**
   * The share of traces that begin here and are kept. Those that a client began are kept as it says.
   */
  sample: number
  /**
   * The gateway's name in the traces.
   */
  service: string
}
/**
 * Credentials of the gateway itself.
 */
export interface AuthSettings {
  /**
   * The administrator's key. Empty or absent: calls from loopback only, and key management is off.
   */
  master_key?: string
}
/**
 * One key, with what it may do.
 */
export interface DeclaredKey {
  /**
   * What it is called.
   */
  alias: string
  /**
   * SHA-256 of the key in hex: `printf %s "$KEY" | sha256sum`. The key begins with `sk-` and is long and random.
   */
  hash: string
  /**
   * Names, globs and access groups that it may use. Absent: all.
   */
  models?: string[]
  /**
   * USD that it may spend.
   */
  max_budget?: number
  /**
   * In which time. Absent: in all.
   */
  budget_duration?: string
  /**
   * Requests a minute.
   */
  rpm_limit?: number
  /**
   * Requests a day.
   */
  rpd_limit?: number
  /**
   * Tokens a minute.
   */
  tpm_limit?: number
  /**
   * Requests at once.
   */
  max_parallel_requests?: number
  /**
   * When it ends, as a day or a time of ISO 8601.
   */
  expires?: string
  /**
   * The team it belongs to, which must be there.
   */
  team_id?: string
  /**
   * The user it belongs to.
   */
  user_id?: string
  /**
   * Tags of what it asks, which may have budgets of their own.
   */
  tags?: string[]
  /**
   * Paths that it may be used on, with `*` for any characters. Absent: all.
   */
  allowed_routes?: string[]
  /**
   * Addresses and ranges that it may be used from. Absent: any.
   */
  allowed_ips?: string[]
  /**
   * Anything that is to be kept with it.
   */
  metadata?: {
    [k: string]: unknown
  }
}
/**
 * Where state is kept.
 */
export interface StoreSettings {
  /**
   * A Postgres to keep keys, spend and budgets in. Empty: embedded, under data_dir.
   */
  database_url: string
  /**
   * Where the gateway keeps its files, relative to this file. The variable SLUICE_DATA_DIR overrides it; its mode is 700.
   */
  data_dir: string
  /**
   * A Redis for what several machines share: what hooks keep, the cache for one. Empty: in memory.
   */
  redis_url: string
}
/**
 * What calls cost, and how long that is kept. Prices come from the entry's own `price`, else from the catalogue that is installed with the gateway.
 */
export interface SpendSettings {
  /**
   * What becomes of a model whose price nobody knows: it counts as nothing, callers who have a budget may not use it, or it costs `estimated_price`.
   */
  unknown_price: 'allow' | 'deny' | 'estimate'
  estimated_price: EstimatedPrice
  /**
   * How much disk may hold calls that the database has not taken yet, under store.data_dir. What does not fit is counted and logged, not kept.
   */
  journal_size: string | number
  /**
   * How long single calls are kept in the database; sums stay. 0: for ever. Keep them longer than a gateway may be away with its journal: a call that comes after its row has gone counts twice.
   */
  retention: string | number
  /**
   * Where a budget's 50, 80 and 100 % are posted to as JSON. Empty: they are logged and counted.
   */
  alert_webhook: string
}
/**
 * USD per million tokens of a model whose price nobody knows, with `unknown_price: estimate`.
 */
export interface EstimatedPrice {
  /**
   * Tokens sent.
   */
  input: number
  /**
   * Tokens answered.
   */
  output: number
}
/**
 * How limits and budgets of keys, teams and users are held.
 */
export interface LimitSettings {
  /**
   * While store.redis_url does not answer: each gateway gives away its share of every limit, by how many there were, or callers with limits are refused.
   */
  without_redis: 'share' | 'refuse'
  /**
   * Ends a stream that costs more than was set aside for it once no budget covers the rest; else the overrun of the streams under way is paid.
   */
  hard_stop: boolean
  /**
   * Model name or glob → the name that is served instead when a budget does not cover it.
   */
  downgrade: {
    [k: string]: string
  }
}
/**
 * One upstream: how to reach it and with which credential.
 */
export interface Backend {
  /**
   * A preset: it knows the URL, the key's header, the dialects and the quirks.
   */
  provider: string
  /**
   * Pins one of the provider's dialects. Absent: the client's own if the provider speaks it, else its first.
   */
  dialect?: 'openai-chat' | 'openai-responses' | 'anthropic' | 'gemini'
  /**
   * The upstream's base URL. Absent: the preset's own.
   */
  api_base?: string
  /**
   * The upstream's key. Absent or empty: none is sent.
   */
  api_key?: string
  /**
   * Headers sent upstream with every call.
   */
  headers: {
    [k: string]: string
  }
  /**
   * A note for people.
   */
  description?: string
}
/**
 * One model name or glob and the upstream that serves it. Several entries of one name share its load.
 */
export interface ModelEntry {
  /**
   * What clients ask for: an exact name, or a glob in which `*` stands for any characters.
   */
  model_name: string
  /**
   * A preset: it knows the URL, the key's header, the dialects and the quirks.
   */
  provider?: string
  /**
   * The name of a backend declared in `backends`, or `active`: the one that active_backend names.
   */
  backend?: string
  /**
   * Pins one of the provider's dialects. Absent: the client's own if the provider speaks it, else its first.
   */
  dialect?: 'openai-chat' | 'openai-responses' | 'anthropic' | 'gemini'
  /**
   * The upstream's own name of the model; `*` here is what the glob's `*` matched. Absent: the name that was asked for.
   */
  model?: string
  /**
   * The upstream's base URL. Absent: the backend's or the preset's own.
   */
  api_base?: string
  /**
   * The upstream's key. Absent: the backend's; empty: none is sent.
   */
  api_key?: string
  /**
   * A cap on the answer's tokens: a larger ask is lowered, a missing one is filled in.
   */
  max_tokens?: number
  /**
   * Names that the models of a key may say instead of this entry's.
   */
  access_groups: string[]
  /**
   * How many tokens the model can take, told to clients that list models.
   */
  context_window?: number
  /**
   * A note for people, told to clients that list models.
   */
  description?: string
  /**
   * Headers sent upstream with every call, over those of the backend.
   */
  headers: {
    [k: string]: string
  }
  /**
   * What is known to be odd about the model: `text-tools` writes calls of tools into its text, `think-tags` its thinking, `think-opened` the same with the first tag left out, `repair-arguments` breaks the JSON of arguments, `stable-prompt` is served by a cache of prompts, so what changes from request to request without a meaning leaves the beginning. Absent: all but `think-opened` for a local server's answers to clients of another dialect, none else. With a list, answers of its own dialect are read and mended too.
   */
  quirks?: ('text-tools' | 'think-tags' | 'think-opened' | 'repair-arguments' | 'stable-prompt')[]
  /**
   * What becomes of a field that the upstream's dialect cannot say: `warn` leaves it out and tells the client (`x-gateway-dropped`), the log and the metrics; `drop` leaves it out and counts it; `reject` refuses the request with the field's name.
   */
  on_unsupported: 'warn' | 'drop' | 'reject'
  /**
   * After so long a silence of the upstream a streaming client is told that somebody is there, in whatever way its kind takes for progress; again each time it lasts as long. From then on a failure can only be told within the stream. `0s`: never. Absent: 20s for a local server, never else.
   */
  keep_alive?: string | number
  /**
   * This entry's share among the entries of the same name; 0 takes it out.
   */
  weight: number
  health_check?: HealthCheckSettings
  timeouts: Timeouts
  demo: DemoOptions
  /**
   * The most requests a minute that this entry takes. Beyond it the next entry is asked, then the fallbacks.
   */
  rpm?: number
  /**
   * The most tokens a minute that this entry takes, estimated when a request goes out and corrected by what it used.
   */
  tpm?: number
  /**
   * The most calls at one time that this entry takes. When every entry of a name is full, requests wait in line (routing.queue).
   */
  max_parallel?: number
  /**
   * Entries of a lower order are asked first; those of a higher one only when none of them can be.
   */
  order: number
  price?: Price
  /**
   * Words that callers choose entries by: a request that names tags (the header x-gateway-tags, or metadata.tags) goes to entries that have all of them.
   */
  tags: string[]
  /**
   * Hooks for this entry alone, after the gateway's own.
   */
  hooks?: HookEntry[]
}
/**
 * Asks the upstream at an interval whether it is there, so that its absence and its return are known before a request meets them. Absent: only real requests tell.
 */
export interface HealthCheckSettings {
  /**
   * How often it is asked.
   */
  interval: string | number
  /**
   * What is asked for, from the address's root; any answer below 500 will do. Absent: its list of models.
   */
  path?: string
}
/**
 * The four deadlines of a call. The failure says which one passed.
 */
export interface Timeouts {
  /**
   * Until there is a connection.
   */
  connect: string | number
  /**
   * From the request until the answer's first content; comments and pings before it do not count.
   */
  first_token: string | number
  /**
   * Between two pieces of the answer.
   */
  idle: string | number
  /**
   * The whole call.
   */
  total: string | number
}
/**
 * How the built-in `demo` provider behaves for this entry: its pace, its text, and the faults it plays.
 */
export interface DemoOptions {
  /**
   * The wait between two pieces of a streamed answer.
   */
  pace: string | number
  /**
   * The wait before the answer begins.
   */
  first_byte: string | number
  /**
   * The fault to play: a status, `cut` (the connection ends mid-stream), `stall` (it goes silent mid-stream), `no-head` (it ends before any answer).
   */
  fail: 'none' | '429' | '500' | '503' | '529' | 'cut' | 'stall' | 'no-head'
  /**
   * What it answers. Absent: a sentence that names the model and says it is a demonstration.
   */
  text?: string
  /**
   * In how many pieces it streams the answer. Absent: one a word.
   */
  chunks?: number
}
/**
 * USD per million tokens.
 */
export interface Price {
  /**
   * Tokens sent.
   */
  input?: number
  /**
   * Tokens answered.
   */
  output?: number
  /**
   * Tokens read from the upstream's prompt cache.
   */
  cache_read?: number
  /**
   * Tokens written to the upstream's prompt cache.
   */
  cache_write?: number
}
/**
 * Which requests the hook is for: all that are said have to be met. Absent: all requests.
 */
export interface HookCondition {
  /**
   * Globs of model names.
   */
  models?: string[]
  /**
   * One of these tags.
   */
  tags?: string[]
  /**
   * Ids or aliases of keys.
   */
  keys?: string[]
}
/**
 * Which target is tried first, and what happens when it fails.
 */
export interface RoutingSettings {
  /**
   * How entries of one name share its load: by weight, to the one with the fewest calls under way, to the quicker of two by time to first token, or to the cheapest by `price`.
   */
  strategy: 'weighted' | 'least-busy' | 'fastest' | 'cheapest'
  /**
   * What keeps a conversation at one entry while that is healthy, so that the upstream's prompt cache serves it. `session`: the session that the client names. `prefix`: where it names none, the first 4 KB of the body. `none`: nothing.
   */
  sticky: 'session' | 'prefix' | 'none'
  queue: QueueSettings
  /**
   * How often a target that failed for a moment is tried again before the next one is: after a random wait that doubles, or after the upstream's retry-after.
   */
  retries: number
  /**
   * How long one request may wait between its tries in all. A longer retry-after is left to the next target, or told to the client.
   */
  retry_total: string | number
  cooldown: CooldownSettings
  /**
   * Model name or glob → the names to try when it fails, in order. None unless declared: a failure is told, not hidden.
   */
  fallbacks: {
    [k: string]: string[]
  }
  /**
   * Model name or glob → the names to try when the request is too long for it.
   */
  context_fallbacks: {
    [k: string]: string[]
  }
  /**
   * Model name or glob → the names to try when the upstream refuses the content.
   */
  content_policy_fallbacks: {
    [k: string]: string[]
  }
}
/**
 * The line in front of an entry at its max_parallel.
 */
export interface QueueSettings {
  /**
   * How many requests may wait; one more is refused with a 503 (529 for Anthropic's clients) and retry-after.
   */
  size: number
  /**
   * How long a request may wait in line.
   */
  wait: string | number
}
/**
 * When a target that keeps failing is left out, and for how long; then one request finds out whether it works again. A retry-after of the upstream leaves it out at once. When all targets of a name and of its fallbacks are left out, the best is tried anyway.
 */
export interface CooldownSettings {
  /**
   * How many failures it takes, if there were not more successes; 0: targets are never left out.
   */
  failures: number
  /**
   * In which time they must fall.
   */
  within: string | number
  /**
   * How long the target is then left out.
   */
  for: string | number
}
/**
 * One upstream that is reached byte for byte.
 */
export interface PassthroughEntry {
  /**
   * The upstream's base URL.
   */
  target: string
  /**
   * Headers set on every request, over the client's; the client's own credentials are taken off.
   */
  headers: {
    [k: string]: string
  }
}
