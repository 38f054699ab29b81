// What is served, with prices and limits, as LiteLLM tells it: to each what they may use, to nobody a secret.

import type { FastifyInstance } from 'fastify'
import { Failure } from '../../chat/failure.ts'
import type { ModelEntry } from '../../config/generated/types.ts'
import type { Gateway } from '../../exchange/gateway.ts'
import { namesFor } from '../../exchange/permitted.ts'

const PATHS = ['/model/info', '/v1/model/info', '/v2/model/info']

export function modelInfoRoutes(app: FastifyInstance, gateway: Gateway): void {
  for (const path of PATHS) {
    app.get(path, ({ admitted }) => {
      const caller = admitted instanceof Failure ? undefined : admitted
      const names = new Set(namesFor(caller, gateway.runtime, true))
      const { model_list: list } = gateway.runtime.config
      return { data: list.filter(entry => names.has(entry.model_name)).map(tell) }
    })
  }
}

const MILLION = 1_000_000

function tell(entry: ModelEntry, index: number): object {
  const { model_name: name, provider, model = name, price, max_tokens: most, context_window: window } = entry
  const perToken = (dollars: number | undefined) => (dollars === undefined ? null : dollars / MILLION)
  return {
    model_name: name,
    litellm_params: { model: provider === undefined ? model : `${provider}/${model}`, rpm: entry.rpm, tpm: entry.tpm },
    model_info: {
      id: `${name}#${index}`,
      db_model: false,
      litellm_provider: provider ?? entry.backend,
      max_tokens: most ?? null,
      max_input_tokens: window ?? null,
      max_output_tokens: most ?? null,
      input_cost_per_token: perToken(price?.input),
      output_cost_per_token: perToken(price?.output),
      cache_read_input_token_cost: perToken(price?.cache_read),
      cache_creation_input_token_cost: perToken(price?.cache_write)
    }
  }
}
