import { readFileSync, statSync } from 'node:fs'
import { errorAt, type Problem, type Spot, shownFile } from './problem.ts'

const MAX_BYTES = 4 * 1024 * 1024

/** The text of a file, or why there is none, said at the place that asks for it. */
export function readSource(file: string, askedAt: Spot): string | Problem {
  try {
    const status = statSync(file)
    if (!status.isFile()) return errorAt(askedAt, [], `${shownFile(file)} is not a file`)
    if (status.size > MAX_BYTES) return errorAt(askedAt, [], `${shownFile(file)} is larger than 4 MB`)
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file))
  } catch (error) {
    const code = (error as { code?: string }).code
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA')
      return errorAt(askedAt, [], `${shownFile(file)} is not UTF-8 text`)
    if (code === 'ENOENT') return errorAt(askedAt, [], `${shownFile(file)} does not exist`)
    return errorAt(askedAt, [], `${shownFile(file)} cannot be read (${code ?? 'unknown reason'})`)
  }
}

/** Larger than this was not read from a file and is refused as well. */
export function isTooLarge(text: string): boolean {
  return text.length > MAX_BYTES
}
