import { appendFile, mkdir } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { defineHook } from 'sluice/hook'

export default defineHook({
  name: 'log-conversations',
  description:
    'Writes every conversation to a file, a line of JSON each. Nothing is written unless this hook is listed.',
  options: {
    type: 'object',
    additionalProperties: false,
    examples: [{ file: './.sluice/conversations.jsonl' }],
    properties: {
      file: {
        type: 'string',
        minLength: 1,
        default: './.sluice/conversations.jsonl',
        description: 'Where to, relative to gateway.yaml. Its mode is 600.'
      },
      requests: { type: 'boolean', default: true, description: 'Write what was asked too, not the answer alone.' }
    }
  },
  setup: ({ file, requests }, services) => {
    const path = resolve(services.config.folder, file)
    let last: Promise<unknown> = mkdir(dirname(path), { recursive: true, mode: 0o700 })
    /** One write after the other, so that lines never mix. */
    const write = (line: string) => {
      last = last
        .then(() => appendFile(path, `${line}\n`, { mode: 0o600 }))
        .catch(error => services.log.error(`the conversation could not be written: ${String(error)}`))
    }
    return {
      postCall: (answer, call) => {
        const { id, model, caller, dialect, stream, tags } = call
        const asked = requests ? { request: call.chat } : {}
        write(
          JSON.stringify({
            at: new Date().toISOString(),
            id,
            model,
            caller: caller.id,
            dialect,
            stream,
            tags,
            ...asked,
            answer
          })
        )
      },
      dispose: () => last
    }
  }
})
