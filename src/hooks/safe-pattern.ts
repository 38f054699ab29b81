const LONGEST = 300

/**
 * A regular expression that cannot be made slow by the text it meets. Refused are those whose time may explode: a
 * repetition within a repetition, alternatives that are repeated, and references back. Throws with what is wrong.
 */
export function safePattern(source: string, flags = 'giu'): RegExp {
  if (source.length > LONGEST) throw new TypeError(`the pattern is longer than ${LONGEST} characters`)
  const problem = explodes(source)
  if (problem !== undefined)
    throw new TypeError(`the pattern ${JSON.stringify(source)} ${problem}, which may take for ever`)
  return new RegExp(source, flags)
}

interface Group {
  repeats: boolean
  alternates: boolean
}

function explodes(source: string): string | undefined {
  const open: Group[] = []
  let closed: Group | undefined
  let loops = 0
  for (let at = 0; at < source.length; at++) {
    const character = source[at] ?? ''
    const ended = closed
    closed = undefined
    if (character === '\\') {
      if (/[1-9k]/.test(source[at + 1] ?? '')) return 'refers back'
      at++
    } else if (character === '[') at = endOfClass(source, at)
    else if (character === '(') open.push({ repeats: false, alternates: false })
    else if (character === '|') note(open, 'alternates')
    else if (character === ')') {
      closed = open.pop()
      // What repeats inside repeats outside too.
      if (closed?.repeats === true) note(open, 'repeats')
      if (closed?.alternates === true) note(open, 'alternates')
    } else if (isUnbounded(source, at)) {
      if (ended?.repeats === true) return 'repeats a repetition'
      if (ended?.alternates === true) return 'repeats alternatives'
      // Two in a row over the same characters take the square of the time, three the cube.
      if (++loops > 3) return 'repeats more than three times'
      note(open, 'repeats')
    }
  }
  return undefined
}

function note(open: readonly Group[], what: keyof Group): void {
  const group = open.at(-1)
  if (group !== undefined) group[what] = true
}

function endOfClass(source: string, from: number): number {
  for (let at = from + 1; at < source.length; at++) {
    if (source[at] === '\\') at++
    else if (source[at] === ']') return at
  }
  return source.length
}

function isUnbounded(source: string, at: number): boolean {
  const character = source[at]
  if (character === '*' || character === '+') return true
  const [, least = '', comma = '', most = ''] =
    character === '{' ? (/^\{(\d+)(,?)(\d*)\}/.exec(source.slice(at)) ?? []) : []
  return least !== '' && ((comma !== '' && most === '') || Number(most === '' ? least : most) > 1000)
}
