// What the dashboards show. scripts/dashboards.mjs holds every expression to the table of metrics and writes Grafana's JSON.

const CALLS = 'model=~"$model", provider=~"$provider"'
const GENAI = 'gen_ai_request_model=~"$model", gen_ai_provider_name=~"$provider"'
const TARGET = 'target=~"$target"'
const REQUESTS = `gateway_requests_total{${CALLS}}`
const FAILED = `gateway_requests_total{${CALLS}, status="5xx"}`
const COST = `gateway_cost_usd_total{${CALLS}}`
const CACHE = results => `gateway_cache_lookups_total{result=~"${results}"}`
const DURATION = 'gen_ai_client_operation_duration_seconds'
const FIRST_TOKEN = 'gen_ai_server_time_to_first_token_seconds'
const PER_TOKEN = 'gen_ai_server_time_per_output_token_seconds'
const TOKENS = 'gen_ai_client_token_usage'

const rate = series => `rate(${series}[$__rate_interval])`
const MONTH = 30 * 24 * 3600
const overRange = series => `sum(rate(${series}[$__range]))`
const increase = series => `increase(${series}[$__range])`
const sum = (expression, ...by) =>
  by.length === 0 ? `sum(${expression})` : `sum by (${by.join(', ')}) (${expression})`
const quantile = (of, name, labels, ...by) =>
  `histogram_quantile(${of}, ${sum(rate(`${name}_bucket${labels === '' ? '' : `{${labels}}`}`), 'le', ...by)})`
const quantiles = (name, labels) =>
  [0.5, 0.95, 0.99].map(of => ({ expr: quantile(of, name, labels), legend: `p${of * 100}` }))
/** Zero where nothing failed, and nothing where nobody asked. */
const ratio = (part, whole, ...by) => {
  const all = sum(rate(whole), ...by)
  return `(${sum(rate(part), ...by)} or ${all} * 0) / (${all} > 0)`
}

const graph = (title, description, unit, targets, more = {}) => ({
  kind: 'timeseries',
  title,
  description,
  unit,
  targets: targets.map(target => (typeof target === 'string' ? { expr: target, legend: '' } : target)),
  ...more
})
const stat = (title, description, unit, expr, more = {}) => ({
  kind: 'stat',
  title,
  description,
  unit,
  targets: [{ expr, legend: '' }],
  ...more
})
const table = (title, description, unit, expr, more = {}) => ({
  kind: 'table',
  title,
  description,
  unit,
  targets: [{ expr, legend: '' }],
  ...more
})

const BAD_ABOVE = (warning, bad) => ({
  thresholds: [
    [null, 'green'],
    [warning, 'orange'],
    [bad, 'red']
  ]
})
const STACKED = { stacked: true }

/** What Node and the process tell of themselves, as far as a panel or a rule uses it; prom-client counts these. */
export const PROCESS_METRICS = {
  process_cpu_seconds_total: { type: 'counter', labels: [], help: 'Processor time used.' },
  process_resident_memory_bytes: { type: 'gauge', labels: [], help: 'Memory held, all kinds together.' },
  process_start_time_seconds: { type: 'gauge', labels: [], help: 'When the process began.' },
  process_open_fds: { type: 'gauge', labels: [], help: 'Open files and sockets; Linux alone tells.' },
  nodejs_eventloop_lag_mean_seconds: { type: 'gauge', labels: [], help: 'How late timers were since the last scrape.' },
  nodejs_eventloop_lag_p99_seconds: { type: 'gauge', labels: [], help: 'The same, of the worst hundredth.' },
  nodejs_gc_duration_seconds: { type: 'histogram', labels: ['kind'], help: 'Pauses for the garbage collection.' },
  nodejs_heap_size_used_bytes: { type: 'gauge', labels: [], help: 'Memory of JavaScript that is in use.' },
  nodejs_heap_size_total_bytes: { type: 'gauge', labels: [], help: 'Memory of JavaScript that is held.' },
  nodejs_external_memory_bytes: { type: 'gauge', labels: [], help: 'Memory outside the heap: bodies under way.' }
}

export const BOARDS = [
  {
    uid: 'sluice-overview',
    title: 'Sluice: overview',
    variables: ['model', 'provider'],
    rows: [
      [
        stat('Requests', 'Answered a second, whatever the answer.', 'reqps', sum(rate(REQUESTS))),
        stat(
          'Errors',
          'Share of requests that clients saw a 5xx for.',
          'percentunit',
          ratio(FAILED, REQUESTS),
          BAD_ABOVE(0.01, 0.05)
        ),
        stat('In flight', 'Requests being answered now.', 'short', 'sum(gateway_inflight)'),
        stat(
          'First token, p95',
          'Of streamed answers, as the client saw it.',
          's',
          quantile(0.95, FIRST_TOKEN, GENAI),
          BAD_ABOVE(5, 20)
        ),
        stat(
          'Output',
          'Tokens a second, as upstreams reported them.',
          'short',
          sum(rate(`${TOKENS}_sum{${GENAI}, gen_ai_token_type="output"}`))
        ),
        stat('Left out', 'Upstreams that cool after failures.', 'short', 'sum(gateway_target_cooling)', BAD_ABOVE(1, 3))
      ],
      [
        graph(
          'Requests by status',
          'Status class that the client saw.',
          'reqps',
          [{ expr: sum(rate(REQUESTS), 'status'), legend: '{{status}}' }],
          STACKED
        ),
        graph(
          'Requests by model',
          'By the name in the configuration; `other` led nowhere.',
          'reqps',
          [{ expr: sum(rate(REQUESTS), 'model'), legend: '{{model}}' }],
          STACKED
        )
      ],
      [
        graph('Duration', 'From the request to its last byte.', 's', quantiles(DURATION, GENAI)),
        graph('Time to first token', 'Of streamed answers.', 's', quantiles(FIRST_TOKEN, GENAI))
      ],
      [
        graph('Tokens', 'In and out, a second.', 'short', [
          { expr: sum(rate(`${TOKENS}_sum{${GENAI}}`), 'gen_ai_token_type'), legend: '{{gen_ai_token_type}}' }
        ]),
        graph('Errors by model', 'Share of requests that ended in a 5xx.', 'percentunit', [
          { expr: ratio(FAILED, REQUESTS, 'model'), legend: '{{model}}' }
        ])
      ]
    ]
  },
  {
    uid: 'sluice-models',
    title: 'Sluice: models and upstreams',
    variables: ['model', 'provider', 'target'],
    rows: [
      [
        graph('Duration by model, p50', 'Half of the calls are faster.', 's', [
          { expr: quantile(0.5, DURATION, GENAI, 'gen_ai_request_model'), legend: '{{gen_ai_request_model}}' }
        ]),
        graph('Duration by model, p95', 'One of twenty calls is slower.', 's', [
          { expr: quantile(0.95, DURATION, GENAI, 'gen_ai_request_model'), legend: '{{gen_ai_request_model}}' }
        ]),
        graph('Duration by model, p99', 'One of a hundred calls is slower.', 's', [
          { expr: quantile(0.99, DURATION, GENAI, 'gen_ai_request_model'), legend: '{{gen_ai_request_model}}' }
        ])
      ],
      [
        graph('First token by model, p95', 'Of streamed answers.', 's', [
          { expr: quantile(0.95, FIRST_TOKEN, GENAI, 'gen_ai_request_model'), legend: '{{gen_ai_request_model}}' }
        ]),
        graph('Errors by provider', 'Share of requests that ended in a 5xx, by who answered last.', 'percentunit', [
          { expr: ratio(FAILED, REQUESTS, 'provider'), legend: '{{provider}}' }
        ]),
        graph(
          'Requests by endpoint',
          'What clients ask for.',
          'reqps',
          [{ expr: sum(rate(REQUESTS), 'endpoint'), legend: '{{endpoint}}' }],
          STACKED
        )
      ],
      [
        graph('Attempts by upstream', 'Tries a second; one request may make several.', 'ops', [
          {
            expr: sum(rate(`gateway_upstream_attempts_total{${TARGET}}`), 'target', 'outcome'),
            legend: '{{target}} {{outcome}}'
          }
        ]),
        graph('Failed attempts by reason', 'Why tries failed, whether or not another one helped.', 'ops', [
          {
            expr: sum(rate(`gateway_upstream_attempts_total{${TARGET}, outcome="failure"}`), 'target', 'reason'),
            legend: '{{target}} {{reason}}'
          }
        ])
      ],
      [
        graph('Fallbacks', 'Requests handed on to another name.', 'ops', [
          {
            expr: sum(rate('gateway_fallbacks_total{from=~"$model"}'), 'from', 'to', 'reason'),
            legend: '{{from}} → {{to}} ({{reason}})'
          }
        ]),
        graph('Left out', 'Upstreams that cool after failures.', 'short', [
          { expr: `gateway_target_cooling{${TARGET}}`, legend: '{{target}}' }
        ]),
        graph(
          'In flight by upstream',
          'Calls under way.',
          'short',
          [{ expr: `gateway_target_inflight{${TARGET}}`, legend: '{{target}}' }],
          STACKED
        )
      ],
      [
        table(
          'Requests in this time',
          'By model, provider and status.',
          'short',
          sum(increase(REQUESTS), 'model', 'provider', 'status')
        ),
        table(
          'Tokens in this time',
          'By model and kind.',
          'short',
          sum(increase(`${TOKENS}_sum{${GENAI}}`), 'gen_ai_request_model', 'gen_ai_token_type')
        )
      ]
    ]
  },
  {
    uid: 'sluice-local',
    title: 'Sluice: local models',
    variables: ['model', 'provider', 'target'],
    rows: [
      [
        graph('Waiting in line', 'Requests that wait until an upstream with max_parallel is free.', 'short', [
          { expr: `gateway_target_queue{${TARGET}}`, legend: '{{target}}' }
        ]),
        graph('At work', 'Calls that an upstream answers now.', 'short', [
          { expr: `gateway_target_inflight{${TARGET}}`, legend: '{{target}}' }
        ])
      ],
      [
        graph('Time per output token', 'After the first one, of streamed answers.', 's', [
          { expr: quantile(0.5, PER_TOKEN, GENAI, 'gen_ai_request_model'), legend: '{{gen_ai_request_model}} p50' },
          { expr: quantile(0.95, PER_TOKEN, GENAI, 'gen_ai_request_model'), legend: '{{gen_ai_request_model}} p95' }
        ]),
        graph(
          'Output by model',
          'Tokens a second, all calls together.',
          'short',
          [
            {
              expr: sum(rate(`${TOKENS}_sum{${GENAI}, gen_ai_token_type="output"}`), 'gen_ai_request_model'),
              legend: '{{gen_ai_request_model}}'
            }
          ],
          STACKED
        )
      ],
      [
        graph('Prompt length, p95', 'Tokens of the input: what a local model reads before its first word.', 'short', [
          {
            expr: quantile(0.95, TOKENS, `${GENAI}, gen_ai_token_type="input"`, 'gen_ai_request_model'),
            legend: '{{gen_ai_request_model}}'
          }
        ]),
        graph('First token, p99', 'The longest waits of clients; Claude Code gives up after 300 s of silence.', 's', [
          { expr: quantile(0.99, FIRST_TOKEN, GENAI, 'gen_ai_request_model'), legend: '{{gen_ai_request_model}}' }
        ])
      ],
      [
        graph('Mended', 'What models wrote in another form than they meant, put right.', 'ops', [
          { expr: sum(rate(`gateway_mended_total{${TARGET}}`), 'target', 'kind'), legend: '{{target}} {{kind}}' }
        ])
      ]
    ]
  },
  {
    uid: 'sluice-spend',
    title: 'Sluice: spend and limits',
    variables: ['model', 'provider'],
    rows: [
      [
        stat('Spent', 'USD in this time, as far as prices are known.', 'currencyUSD', sum(increase(COST))),
        stat(
          'Saved',
          'USD in this time, by caches and by this machine.',
          'currencyUSD',
          `${sum(increase('gateway_savings_usd_total'))} or vector(0)`
        ),
        stat('A month like this', 'USD, at the pace of this time.', 'currencyUSD', `${MONTH} * ${overRange(COST)}`),
        stat(
          'Without savings',
          'USD a month, had neither a cache nor this machine answered anything.',
          'currencyUSD',
          `${MONTH} * (${overRange(COST)} + (${overRange('gateway_savings_usd_total')} or vector(0)))`
        ),
        stat(
          'Not in the database',
          'Calls whose cost lies on the gateways’ disks; many of them mean that the database is away.',
          'short',
          'sum(gateway_journal_pending)',
          BAD_ABOVE(1000, 100000)
        ),
        stat(
          'Lost',
          'Calls in this time whose cost was not written down, since the journal was full.',
          'short',
          sum(increase('gateway_journal_lost_total')),
          BAD_ABOVE(1, 1)
        )
      ],
      [
        graph(
          'Spend by model',
          'USD an hour.',
          'currencyUSD',
          [{ expr: `3600 * ${sum(rate(COST), 'model')}`, legend: '{{model}}' }],
          STACKED
        ),
        graph(
          'Spend by provider',
          'USD an hour.',
          'currencyUSD',
          [{ expr: `3600 * ${sum(rate(COST), 'provider')}`, legend: '{{provider}}' }],
          STACKED
        )
      ],
      [
        graph('Refused by limits', 'By whose limit, and which.', 'ops', [
          {
            expr: sum(rate('gateway_limit_decisions_total{decision="refused"}'), 'scope', 'dimension'),
            legend: '{{scope}} {{dimension}}'
          }
        ]),
        graph('What is left of budgets', 'The tightest of each team, organization and tag.', 'percentunit', [
          { expr: 'min by (scope, id) (gateway_budget_remaining_ratio)', legend: '{{scope}} {{id}}' }
        ]),
        graph('Alerts', 'How often budgets passed 50, 80 or 100 %, since the gateway began.', 'short', [
          { expr: sum('gateway_budget_alerts_total', 'scope', 'percent'), legend: '{{scope}} {{percent}} %' }
        ])
      ]
    ]
  },
  {
    uid: 'sluice-hooks',
    title: 'Sluice: hooks and translation',
    variables: [],
    rows: [
      [
        graph('Hook time, p95', 'By hook and phase; all events of an answer are one.', 's', [
          { expr: quantile(0.95, 'gateway_hook_duration_seconds', '', 'hook', 'phase'), legend: '{{hook}} {{phase}}' }
        ]),
        graph('Hook calls', 'Phases a second.', 'ops', [
          { expr: sum(rate('gateway_hook_duration_seconds_count'), 'hook', 'phase'), legend: '{{hook}} {{phase}}' }
        ]),
        graph('Hook errors', 'Mistakes, and phases that took too long.', 'ops', [
          { expr: sum(rate('gateway_hook_errors_total'), 'hook'), legend: '{{hook}}' }
        ])
      ],
      [
        graph('Cache hits', 'Share of the requests that the cache was asked for.', 'percentunit', [
          { expr: ratio(CACHE('hit'), CACHE('hit|miss|coalesced')), legend: 'hits' },
          { expr: ratio(CACHE('coalesced'), CACHE('hit|miss|coalesced')), legend: 'waited for the same request' }
        ]),
        graph('Counted by hooks', 'What hooks count themselves.', 'ops', [
          { expr: sum(rate('gateway_hook_events_total'), 'hook', 'event'), legend: '{{hook}} {{event}}' }
        ]),
        graph('Streams that ended early', 'By who ended them.', 'ops', [
          { expr: sum(rate('gateway_stream_aborts_total'), 'by'), legend: '{{by}}' }
        ])
      ],
      [
        table(
          'Dropped in translation',
          'Fields that the dialect of an upstream cannot say, in this time.',
          'short',
          `topk(20, ${sum(increase('gateway_translation_dropped_total'), 'from', 'to', 'field')})`
        )
      ]
    ]
  },
  {
    uid: 'sluice-gateway',
    title: 'Sluice: the gateway itself',
    variables: [],
    rows: [
      [
        stat('Up for', 'Since the process began.', 's', 'time() - min(process_start_time_seconds)'),
        stat('Configuration', 'Number of the one in force.', 'none', 'max(gateway_config_generation)'),
        stat('File on disk', 'Refused: an older configuration is in force.', 'none', 'max(gateway_config_rejected)', {
          ...BAD_ABOVE(1, 1),
          texts: { 0: 'in force', 1: 'refused' }
        }),
        stat('Memory', 'All kinds together.', 'bytes', 'sum(process_resident_memory_bytes)'),
        stat('Processor', 'Of one core.', 'percentunit', sum(rate('process_cpu_seconds_total')), BAD_ABOVE(0.7, 0.9)),
        stat('Open files', 'Sockets are files.', 'short', 'sum(process_open_fds)')
      ],
      [
        graph(
          'Overhead',
          'From the last byte of a request to its going out.',
          's',
          quantiles('gateway_overhead_seconds', 'phase="before_upstream"')
        ),
        graph('Event-loop lag', 'How late everything else is.', 's', [
          { expr: 'max(nodejs_eventloop_lag_p99_seconds)', legend: 'p99' },
          { expr: 'max(nodejs_eventloop_lag_mean_seconds)', legend: 'mean' }
        ])
      ],
      [
        graph('Memory', 'The heap, what lies outside it, and all that the process holds.', 'bytes', [
          { expr: 'sum(process_resident_memory_bytes)', legend: 'held' },
          { expr: 'sum(nodejs_heap_size_total_bytes)', legend: 'heap' },
          { expr: 'sum(nodejs_heap_size_used_bytes)', legend: 'heap in use' },
          { expr: 'sum(nodejs_external_memory_bytes)', legend: 'outside the heap' }
        ]),
        graph(
          'Garbage collection',
          'Share of time spent in pauses.',
          'percentunit',
          [{ expr: sum(rate('nodejs_gc_duration_seconds_sum'), 'kind'), legend: '{{kind}}' }],
          STACKED
        )
      ],
      [
        graph('Reloads', 'Attempts to load the configuration, by what became of them.', 'short', [
          { expr: sum('increase(gateway_config_reloads_total[$__rate_interval])', 'result'), legend: '{{result}}' }
        ]),
        graph('In flight', 'Requests being answered.', 'short', ['sum(gateway_inflight)']),
        graph('Spans', 'Of traced requests, taken by the collector or dropped.', 'ops', [
          { expr: sum(rate('gateway_trace_spans_total'), 'result'), legend: '{{result}}' }
        ])
      ]
    ]
  }
]
