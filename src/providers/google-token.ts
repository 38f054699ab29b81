import { Failure } from '../chat/failure.ts'
import type { Wire, WireHeaders } from '../lib/wire.ts'
import { type GoogleCredential, parseMap, tokenForm } from './google-credential.ts'

/** Milliseconds. A token is fetched again this long before it ends, while the old one still serves. */
const AHEAD = 300_000
/** Nearer to its end than this it may end on the way. */
const TOO_LATE = 10_000
/** After a refusal nobody is asked again for so long. */
const PAUSE = 5000
const PATIENCE = 10_000
const MOST_BYTES = 64 * 1024
/** Of an answer that does not say how long its token lives. */
const UNSAID_LIFE = 300_000
const LONGEST_LIFE = 86_400_000

/** One access token, kept fresh: whoever asks while it is fetched waits for the same answer. */
export class TokenSource {
  readonly #read: () => GoogleCredential | Failure
  readonly #wireTo: (origin: string) => Wire
  readonly #now: () => number
  #token = ''
  #freshUntil = 0
  #usableUntil = 0
  #failed: Failure | undefined
  #pausedUntil = 0
  #pending: Promise<string | Failure> | undefined

  /** `read` is called for each token, so that a key file may be exchanged. `now`: Unix milliseconds. */
  constructor(read: () => GoogleCredential | Failure, wireTo: (origin: string) => Wire, now: () => number) {
    this.#read = read
    this.#wireTo = wireTo
    this.#now = now
  }

  /** At once when there is one. */
  token(): string | Failure | Promise<string | Failure> {
    const now = this.#now()
    if (now < this.#freshUntil) return this.#token
    const usable = now < this.#usableUntil
    if (this.#failed !== undefined && now < this.#pausedUntil) return usable ? this.#token : this.#failed
    this.#pending ??= this.#refresh()
    return usable ? this.#token : this.#pending
  }

  async #refresh(): Promise<string | Failure> {
    const result = await this.#fetch().finally(() => {
      this.#pending = undefined
    })
    if (result instanceof Failure) {
      this.#failed = result
      this.#pausedUntil = this.#now() + PAUSE
      return result
    }
    this.#failed = undefined
    this.#token = result.token
    const endsAt = this.#now() + result.life
    this.#freshUntil = endsAt - Math.min(AHEAD, result.life / 4)
    this.#usableUntil = endsAt - Math.min(TOO_LATE, result.life / 10)
    return result.token
  }

  async #fetch(): Promise<{ token: string; life: number } | Failure> {
    const credential = this.#read()
    if (credential instanceof Failure) return credential
    const { origin, pathname, search } = new URL(credential.tokenUri)
    const form = Buffer.from(tokenForm(credential, Math.floor(this.#now() / 1000)))
    const answer = await post(this.#wireTo(origin), pathname + search, form, origin)
    return answer instanceof Failure ? answer : readAnswer(answer, origin, this.#now())
  }
}

interface Answer {
  readonly status: number
  readonly headers: WireHeaders
  readonly text: string
}

function post(wire: Wire, path: string, form: Buffer, origin: string): Promise<Answer | Failure> {
  return new Promise(resolve => {
    const chunks: Buffer[] = []
    let length = 0
    let status = 0
    let headers: WireHeaders = {}
    const done = (result: Answer | Failure) => {
      clearTimeout(late)
      resolve(result)
    }
    const late = setTimeout(() => {
      control.abort()
      done(new Failure('upstream-timed-out', `${origin} gave no access token within ${PATIENCE / 1000} s.`))
    }, PATIENCE)
    const control = wire.send(
      {
        method: 'POST',
        path,
        headers: ['content-type', 'application/x-www-form-urlencoded', 'accept', 'application/json'],
        body: [form],
        bodyLength: form.length
      },
      {
        onStart: () => undefined,
        onHead: (code, received) => {
          status = code
          headers = received
        },
        onData: chunk => {
          length += chunk.length
          if (length <= MOST_BYTES) chunks.push(chunk)
        },
        onEnd: () => done({ status, headers, text: Buffer.concat(chunks).toString('utf8') }),
        onError: error => {
          const recommendations = ['Can this machine reach it? Access tokens for Vertex AI come from there.']
          done(
            new Failure('upstream-down', `Cannot get an access token from ${origin}.`, {
              recommendations,
              cause: error
            })
          )
        }
      }
    )
  })
}

function readAnswer(
  { status, headers, text }: Answer,
  origin: string,
  now: number
): { token: string; life: number } | Failure {
  const body = parseMap(text)
  if (status !== 200) return refused(status, body, headers, origin, now)
  const token = body?.['access_token']
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token))
    return new Failure('upstream-failed', `${origin} answered without an access token.`)
  const seconds = Number(body?.['expires_in'])
  const life = Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds * 1000, LONGEST_LIFE) : UNSAID_LIFE
  return { token, life }
}

/** Beyond this a clock is to blame for a refused assertion. */
const SKEW = 60_000

/** Of what the server says only its code is told: the rest could repeat what it was sent. */
function refused(
  status: number,
  body: Record<string, unknown> | undefined,
  headers: WireHeaders,
  origin: string,
  now: number
): Failure {
  const said = body?.['error']
  const code = typeof said === 'string' && /^[a-z_]{1,40}$/.test(said) ? said : undefined
  const kind = status >= 500 || status === 429 ? 'upstream-failed' : 'upstream-refused-key'
  const told = `${origin} gave no access token (${status}${code === undefined ? '' : `, ${code}`}).`
  const skew = Date.parse(String(headers['date'])) - now
  if (Math.abs(skew) > SKEW) {
    const minutes = Math.round(Math.abs(skew) / 60_000)
    const amount = minutes === 1 ? 'a minute' : `${minutes} minutes`
    const clock = `This machine's clock is ${amount} ${skew > 0 ? 'behind' : 'ahead'}`
    return new Failure(kind, `${told} ${clock}, and what it signs is taken as out of date.`, {
      code: 'clock_skew',
      recommendations: ['Set the clock, or let it be set over the network (NTP).']
    })
  }
  const recommendations =
    code === 'invalid_grant'
      ? ['Has the key been deleted, or the account disabled? Make a new key file.']
      : ['Check the key file that vertex-ai uses.']
  return new Failure(kind, told, { ...(code !== undefined && { code }), recommendations })
}
