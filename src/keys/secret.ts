// What a key looks like, and what is kept of it.

import { createHmac, hash, randomBytes, timingSafeEqual } from 'node:crypto'

/** HMAC under the server's pepper: a stolen table opens nothing, and who can only write to it cannot make a key. */
export type Digest = (secret: string) => Buffer

export interface NewSecret {
  readonly id: string
  /** The key itself: shown once, kept nowhere. */
  readonly key: string
  readonly hash: Buffer
  /** What is shown instead. */
  readonly name: string
}

const FORM = /^sk-([0-9a-z]{16})-([0-9a-z]{40,60})$/

export function digestWith(pepper: string | Buffer): Digest {
  return secret => createHmac('sha256', pepper).update(secret).digest()
}

/** The id goes into the digest too, so that one key's digest is no good in another's row. */
function digestOf(id: string, secret: string, digest: Digest): Buffer {
  return digest(`${id} ${secret}`)
}

/** A key of an id that there is, or of a new one. */
export function newSecret(digest: Digest, id = newId()): NewSecret {
  const secret = BigInt(`0x01${randomBytes(32).toString('hex')}`).toString(36)
  const key = `sk-${id}-${secret}`
  return { id, key, hash: digestOf(id, secret, digest), name: nameOf(key) }
}

export function newId(): string {
  return randomBytes(8).toString('hex')
}

/** Its ends: enough to find it again among one's own, and no help in guessing it. */
export function nameOf(key: string): string {
  return `sk-...${key.slice(-4)}`
}

/** The parts of a key of ours; undefined when it is none. */
export function partsOf(key: string): { readonly id: string; readonly secret: string } | undefined {
  const [, id, secret] = FORM.exec(key) ?? []
  return id === undefined || secret === undefined ? undefined : { id, secret }
}

/** In constant time. */
export function isSecretOf(id: string, secret: string, kept: Buffer | null, digest: Digest): boolean {
  const presented = digestOf(id, secret, digest)
  return kept !== null && kept.length === presented.length && timingSafeEqual(presented, kept)
}

/** As LiteLLM keeps a key, and as what is remembered is found: of the whole key, which a look-up tells nothing about. */
export function fingerprint(key: string): string {
  return hash('sha256', key)
}
