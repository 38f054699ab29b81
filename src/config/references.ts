import { readFileSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

export interface ReferenceSource {
  readonly env: Readonly<Record<string, string | undefined>>
  /** The file that says it: `${file:…}` is relative to it. */
  readonly file: string
  /** Told of every file that was read, so that it can be watched. */
  readonly onFile?: (path: string) => void
}

export type Expanded =
  | { readonly ok: true; readonly text: string; readonly substituted: boolean }
  | { readonly ok: false; readonly at: string; readonly message: string; readonly hint: string }

const MAX_FILE_BYTES = 64 * 1024
/** Keeps a line of nothing but `${` from costing its length squared. */
const MAX_REFERENCE = 4096
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/
const LITELLM = 'os.environ/'

/** Puts in what `${NAME}`, `${NAME:-default}`, `${file:/path}` and `os.environ/NAME` stand for. What is put in is not read again. */
export function expandReferences(text: string, source: ReferenceSource): Expanded {
  if (text.startsWith(LITELLM)) return lookUp(text, text.slice(LITELLM.length), undefined, source)
  let result = ''
  let substituted = false
  let at = 0
  for (;;) {
    const start = text.indexOf('${', at)
    if (start < 0) return { ok: true, text: result + text.slice(at), substituted }
    if (text[start - 1] === '$') {
      // `$${` is how a literal `${` is written.
      result += `${text.slice(at, start - 1)}\${`
      at = start + 2
      continue
    }
    const end = referenceEnd(text, start)
    if (end < 0) return wrong('${', 'the reference is not closed with `}`', 'write $${ for a literal ${')
    const expanded = expandOne(text.slice(start, end + 1), source)
    if (!expanded.ok) return expanded
    result += text.slice(at, start) + expanded.text
    substituted = true
    at = end + 1
  }
}

/** The index of the brace that closes the reference at `start`, which may hold others in its default; -1 when none does. */
export function referenceEnd(text: string, start: number): number {
  let depth = 0
  const limit = Math.min(text.length, start + MAX_REFERENCE)
  for (let index = start + 1; index < limit; index++) {
    const character = text[index]
    if (character === '\n') return -1
    if (character === '{') depth++
    if (character === '}' && --depth === 0) return index
  }
  return -1
}

function expandOne(reference: string, source: ReferenceSource): Expanded {
  const inner = reference.slice(2, -1)
  const cut = inner.indexOf(':-')
  const name = cut < 0 ? inner : inner.slice(0, cut)
  const fallback = cut < 0 ? undefined : inner.slice(cut + 2)
  if (name.startsWith('file:')) return readSecret(reference, name.slice(5), fallback, source)
  return lookUp(reference, name, fallback, source)
}

function lookUp(reference: string, name: string, fallback: string | undefined, source: ReferenceSource): Expanded {
  if (!NAME.test(name)) {
    return wrong(
      reference,
      'this is not a reference that is understood',
      `write \${NAME}, \${NAME:-default} or \${file:/path}; $\${ is a literal \${`
    )
  }
  const value = Object.hasOwn(source.env, name) ? source.env[name] : undefined
  if (value !== undefined && (value !== '' || fallback === undefined))
    return { ok: true, text: value, substituted: true }
  if (fallback !== undefined) return expandFallback(fallback, source)
  return wrong(reference, `the variable ${name} is not set`, `set it, or write \${${name}:-default}`)
}

function readSecret(reference: string, path: string, fallback: string | undefined, source: ReferenceSource): Expanded {
  const file = resolve(dirname(source.file), path)
  try {
    source.onFile?.(file)
    const status = statSync(file)
    if (!status.isFile()) return wrong(reference, 'it is not a file', 'name a file with one value in it')
    if (status.size > MAX_FILE_BYTES)
      return wrong(reference, 'the file is larger than 64 kB', 'name a file with one value in it')
    return { ok: true, text: readFileSync(file, 'utf8').replace(/\r?\n$/, ''), substituted: true }
  } catch (error) {
    if (fallback !== undefined) return expandFallback(fallback, source)
    const missing = (error as { code?: string }).code === 'ENOENT'
    return wrong(
      reference,
      missing ? 'the file does not exist' : 'the file cannot be read',
      'check its path and its mode'
    )
  }
}

function expandFallback(fallback: string, source: ReferenceSource): Expanded {
  const inner = expandReferences(fallback, source)
  return inner.ok ? { ...inner, substituted: true } : inner
}

function wrong(at: string, message: string, hint: string): Expanded {
  return { ok: false, at, message, hint }
}
