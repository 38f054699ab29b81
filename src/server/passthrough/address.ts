// A request's path and query as the upstream will see them: the client's own bytes, unless they try to go elsewhere.

import { Failure } from '../../chat/failure.ts'

export function splitUrl(url: string): { path: string; query: string } {
  const cut = url.indexOf('?')
  return cut < 0 ? { path: url, query: '' } : { path: url.slice(0, cut), query: url.slice(cut) }
}

/** The path below a base, as it came; a failure when any reader of it could end up outside of that base. */
export function pathBelow(rest: string): string | Failure {
  const refused = new Failure(
    'invalid-request',
    'This path is not passed on: it could lead out of the upstream’s base.'
  )
  if (rest === '') return rest
  if (!rest.startsWith('/') || rest.startsWith('//') || /[\\#\s\x00-\x1f\x7f]/.test(rest)) return refused
  let decoded = rest
  // A proxy behind us may decode once more, so dots that appear on the second look count too.
  for (let round = 0; round < 3; round++) {
    const next = unescaped(decoded)
    if (next === undefined) return round === 0 ? refused : rest
    // `..;` is `..` to servers that know path parameters; reply-from refuses whatever begins with two dots.
    if (next.split(/[/\\]/).some(segment => /^(\.\.|\.(;|$))/.test(segment)) || /[\x00-\x1f\x7f]/.test(next))
      return refused
    if (/^[/\\]{2}/.test(next)) return refused
    if (next === decoded) return rest
    decoded = next
  }
  return refused
}

/** The value of a parameter, if it stands there. */
export function parameterOf(query: string, name: string): string | undefined {
  return new URLSearchParams(query).get(name) ?? undefined
}

/** The query without some parameters and with others' values exchanged; the rest keeps its bytes. */
export function queryWith(query: string, changes: Readonly<Record<string, string | undefined>>): string {
  const parts = query
    .slice(1)
    .split('&')
    .flatMap(part => {
      const name = unescaped((part.split('=', 1)[0] ?? '').replaceAll('+', ' '))
      if (name === undefined || !Object.hasOwn(changes, name)) return [part]
      const value = changes[name]
      return value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`]
    })
    .filter(part => part !== '')
  return parts.length === 0 ? '' : `?${parts.join('&')}`
}

function unescaped(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
