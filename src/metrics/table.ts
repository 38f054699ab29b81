// Every metric's name, help, labels and buckets. Dashboards, docs and the code that counts hold on to this table.

/** Advised by OpenTelemetry's GenAI conventions for durations; a local model's long ones are added at the end. */
const DURATION = [
  0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68
]
const FIRST_TOKEN = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 60]
const PER_TOKEN = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5]
const TOKENS = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304]
const HOOK = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const OVERHEAD = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1]

export interface MetricRow {
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels: readonly string[]
  readonly buckets?: readonly number[]
}

const CALL = ['gen_ai_operation_name', 'gen_ai_provider_name', 'gen_ai_request_model'] as const

export const METRICS = {
  gateway_requests_total: {
    type: 'counter',
    help: 'Requests answered, by the status class the client saw.',
    labels: ['model', 'provider', 'endpoint', 'status']
  },
  gateway_overhead_seconds: {
    type: 'histogram',
    help: 'Time the gateway itself takes, from the last byte of a request to its going out to the upstream.',
    labels: ['phase'],
    buckets: OVERHEAD
  },
  gateway_upstream_attempts_total: {
    type: 'counter',
    help: 'Tries at one upstream.',
    labels: ['target', 'outcome', 'reason']
  },
  gateway_fallbacks_total: {
    type: 'counter',
    help: 'Requests handed to another model name after failures.',
    labels: ['from', 'to', 'reason']
  },
  gateway_target_cooling: {
    type: 'gauge',
    help: 'Upstreams that are left out for their failures now.',
    labels: ['target']
  },
  gateway_target_queue: { type: 'gauge', help: 'Requests that wait in line for an upstream.', labels: ['target'] },
  gateway_target_inflight: { type: 'gauge', help: 'Calls that an upstream is answering now.', labels: ['target'] },
  gateway_inflight: { type: 'gauge', help: 'Requests being answered now.', labels: [] },
  gateway_stream_aborts_total: { type: 'counter', help: 'Streams that ended before their proper end.', labels: ['by'] },
  gateway_translation_dropped_total: {
    type: 'counter',
    help: 'Fields of a request that the dialect of the upstream cannot say.',
    labels: ['from', 'to', 'field']
  },
  gateway_mended_total: {
    type: 'counter',
    help: 'What models wrote in another form than they meant: calls and thinking in the text, arguments mended or not.',
    labels: ['target', 'kind']
  },
  gateway_hook_duration_seconds: {
    type: 'histogram',
    help: 'Time that a hook took in one phase of a call; all events of a stream are one.',
    labels: ['hook', 'phase'],
    buckets: HOOK
  },
  gateway_hook_errors_total: {
    type: 'counter',
    help: 'Hooks that failed or took too long, whether they were skipped or ended the call.',
    labels: ['hook']
  },
  gateway_hook_events_total: { type: 'counter', help: 'What hooks count themselves.', labels: ['hook', 'event'] },
  gateway_cache_lookups_total: {
    type: 'counter',
    help: 'Requests that came to a cache: answered from it, by the same words or by others, or together with one under way, or not.',
    labels: ['kind', 'result']
  },
  gateway_cost_usd_total: {
    type: 'counter',
    help: 'What calls cost in USD, as far as their prices are known; partly estimated where an upstream does not say what was used.',
    labels: ['model', 'provider', 'endpoint']
  },
  gateway_savings_usd_total: {
    type: 'counter',
    help: 'What calls would have cost in USD, had not a cache or this machine answered.',
    labels: ['by']
  },
  gateway_limit_decisions_total: {
    type: 'counter',
    help: 'Requests of callers who have limits: admitted, or refused by which limit of which scope.',
    labels: ['scope', 'dimension', 'decision']
  },
  gateway_budget_alerts_total: {
    type: 'counter',
    help: 'Budgets that passed 50, 80 or 100 %.',
    labels: ['scope', 'percent']
  },
  gateway_budget_remaining_ratio: {
    type: 'gauge',
    help: 'What is left of the tightest budget of a team, an organization or a tag that spent something here.',
    labels: ['scope', 'id']
  },
  gateway_journal_pending: {
    type: 'gauge',
    help: 'Calls whose cost is on this machine and not in the database yet.',
    labels: []
  },
  gateway_journal_lost_total: {
    type: 'counter',
    help: 'Calls whose cost was not written down, since the journal was full.',
    labels: []
  },
  gateway_trace_spans_total: {
    type: 'counter',
    help: 'Spans of traced requests: taken by the collector, or dropped since it took none.',
    labels: ['result']
  },
  gateway_config_reloads_total: { type: 'counter', help: 'Attempts to load the configuration.', labels: ['result'] },
  gateway_config_generation: { type: 'gauge', help: 'Number of the configuration in force.', labels: [] },
  gateway_config_rejected: {
    type: 'gauge',
    help: '1 while the configuration on disk is one that was refused, and an older one is in force.',
    labels: []
  },
  gen_ai_client_operation_duration_seconds: {
    type: 'histogram',
    help: 'Duration of a call, from the request to its last byte.',
    labels: CALL,
    buckets: DURATION
  },
  gen_ai_server_time_to_first_token_seconds: {
    type: 'histogram',
    help: 'Time from the request to the first byte of a streamed answer.',
    labels: CALL,
    buckets: FIRST_TOKEN
  },
  gen_ai_server_time_per_output_token_seconds: {
    type: 'histogram',
    help: 'Time per output token after the first one.',
    labels: CALL,
    buckets: PER_TOKEN
  },
  gen_ai_client_token_usage: {
    type: 'histogram',
    help: 'Tokens of a call as the upstream reported them.',
    labels: [...CALL, 'gen_ai_token_type'],
    buckets: TOKENS
  }
} as const satisfies Record<string, MetricRow>

export type MetricName = keyof typeof METRICS
