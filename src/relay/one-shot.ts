import { Failure } from '../chat/failure.ts'
import type { Usage } from '../chat/usage.ts'
import { parseJson } from '../lib/json-repair.ts'
import type { Translated, WayBack } from './way-back.ts'

interface Rewritten {
  readonly body: Readonly<Record<string, unknown>>
  readonly usage: Usage | undefined
}

/** The way back of an answer that never is a stream. */
export class OneShot implements WayBack {
  readonly #rewrite: (body: unknown) => Rewritten | Failure
  readonly streamType = 'application/json'
  usage: Usage | undefined

  constructor(rewrite: (body: unknown) => Rewritten | Failure) {
    this.#rewrite = rewrite
  }

  answer(bytes: Buffer): Buffer | Failure {
    const body = parseJson(bytes.toString('utf8'))
    if (body === undefined) return new Failure('upstream-failed', 'the answer is not JSON')
    const rewritten = this.#rewrite(body)
    if (rewritten instanceof Failure) return rewritten
    this.usage = rewritten.usage
    return Buffer.from(JSON.stringify(rewritten.body))
  }

  answerStream(): Translated {
    return { text: '', failure: noStream() }
  }

  push(): Translated {
    return { text: '', failure: noStream() }
  }

  end(): Translated {
    return { text: '', failure: noStream() }
  }

  gathered(): Failure {
    return noStream()
  }
}

function noStream(): Failure {
  return new Failure('upstream-failed', 'the answer came as a stream, though none was asked for')
}
