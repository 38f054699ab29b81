import { type Call, defineHook, Failure, type Services } from 'sluice/hook'

export default defineHook({
  name: 'mlx-load',
  description:
    'Makes sure that a local runtime has loaded the model before it is asked. List it on the entries it serves; a client that streams is kept patient meanwhile.',
  // A large model takes minutes to come.
  timeout: 300,
  options: {
    type: 'object',
    additionalProperties: false,
    examples: [{ url: 'http://127.0.0.1:11400', prefix: 'mlx-community/' }],
    properties: {
      url: {
        type: 'string',
        pattern: '^https?://',
        default: 'http://127.0.0.1:11400',
        description: 'The management address of the runtime or wrapper: `POST /load_model` is sent there.'
      },
      prefix: {
        type: 'string',
        default: '',
        description: 'Put before a model’s name that has no `/`: `mlx-community/`.'
      },
      fresh_seconds: {
        type: 'number',
        minimum: 0,
        default: 30,
        description: 'So long after it was loaded a model is taken to be there still.'
      }
    }
  },
  setup: ({ url, prefix, fresh_seconds: fresh }, services) => {
    const loading = new Map<string, Promise<Failure | undefined>>()
    const loadedAt = new Map<string, number>()
    return {
      preCall: call => {
        const asked = call.target?.model ?? call.model
        const model = asked.includes('/') ? asked : prefix + asked
        const since = performance.now() - (loadedAt.get(model) ?? Number.NEGATIVE_INFINITY)
        if (since < fresh * 1000) return undefined
        const running = loading.get(model)
        if (running !== undefined) return running
        // One load for all who wait for it: it goes on when the first of them leaves.
        const load = loadModel(url, model, services).then(failure => {
          loading.delete(model)
          if (failure === undefined) loadedAt.set(model, performance.now())
          return failure
        })
        loading.set(model, load)
        return load
      },
      onDone: (record, call: Call) => {
        // It may have been unloaded, or have died.
        const asked = call.target?.model ?? call.model
        if (record.failure?.startsWith('upstream-') === true)
          loadedAt.delete(asked.includes('/') ? asked : prefix + asked)
      }
    }
  }
})

async function loadModel(url: string, model: string, services: Services): Promise<Failure | undefined> {
  const began = performance.now()
  try {
    const answer = await services.fetch(`${url.replace(/\/$/, '')}/load_model`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model })
    })
    const text = await answer.text()
    const seconds = ((performance.now() - began) / 1000).toFixed(1)
    if (answer.ok) {
      services.log.info(`the model ${model} is loaded`, { seconds })
      services.metrics.count('loaded')
      return undefined
    }
    services.metrics.count('failed')
    return new Failure(
      'upstream-failed',
      `${url} could not load the model ${model} (${answer.status}): ${reasonIn(text)}`
    )
  } catch (error) {
    services.metrics.count('failed')
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error)
    return new Failure('upstream-down', `${url} could not be asked to load the model ${model}: ${cause}`, {
      recommendations: ['Start the runtime, or correct `url` of mlx-load in gateway.yaml.']
    })
  }
}

function reasonIn(text: string): string {
  try {
    const said = JSON.parse(text) as { message?: unknown; error?: unknown } | null
    const reason = said?.message ?? said?.error
    if (typeof reason === 'string') return reason.slice(0, 300)
  } catch {
    // Not JSON: its own words are told.
  }
  return text.slice(0, 300)
}
