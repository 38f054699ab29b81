import { statSync } from 'node:fs'
import type { Located } from '../located.ts'
import { type Path, type Problem, type Spot, warningAt } from '../problem.ts'

const SECRET_KEYS = new Set([
  ...[
    'api_key',
    'master_key',
    'token',
    'authorization',
    'proxy-authorization',
    'x-api-key',
    'api-key',
    'x-goog-api-key',
    'cookie'
  ],
  ...['aws_secret_access_key', 'azure_ad_token', 'redis_password', 'password']
])
const PREFIX = /^(sk[-_]|rk[-_]|pk[-_]|gsk_|csk-|xai-|hf_|pplx-|r8_|ghp_|github_pat_|AIza|AKIA|eyJ|nvapi-|fw_|tgp_)/

/** Secrets written into a file are copied with it, into repositories, images and chats. The report never repeats them. */
export function findPlainSecrets(root: Located): Problem[] {
  const problems: Problem[] = []
  walk(root, [], problems)
  const files = new Set(problems.map(problem => problem.file))
  for (const file of files) {
    const mode = readableByAll(file)
    const top: Spot = { file, line: 1, column: 1 }
    if (mode)
      problems.push(warningAt(top, [], 'the file holds secrets and everybody on this machine can read it', 'chmod 600'))
  }
  return problems
}

function walk(node: Located, path: Path, problems: Problem[]): void {
  if (node.kind === 'list') for (const [index, item] of node.items.entries()) walk(item, [...path, index], problems)
  if (node.kind === 'map') for (const [key, entry] of node.entries) walk(entry.node, [...path, key], problems)
  if (node.kind !== 'scalar' || node.substituted || typeof node.value !== 'string') return
  const named = SECRET_KEYS.has(String(path.at(-1)).toLowerCase()) && looksSecret(node.value)
  if (!named && !/^[a-z][a-z0-9+.-]*:\/\/[^/\s:@]*:[^/\s@]+@/i.test(node.value)) return
  const hint = `write \${NAME} or \${file:/path} and keep the value outside`
  problems.push(warningAt(node.spot, path, 'a secret stands in the file in plain text', hint))
}

/** The file of a cloud's credentials is named in the place of a key, and its name is none. */
const KEY_FILE = /^(~|\.{1,2})?[/\\].*\.json$|^[A-Za-z]:[/\\].*\.json$/

/** A known prefix, or a text too long and too mixed for a word. `placeholder` and `sk-1234` are neither. */
function looksSecret(text: string): boolean {
  const value = text.replace(/^(bearer|basic)\s+/i, '')
  if (KEY_FILE.test(value)) return false
  if (PREFIX.test(value) && value.length >= 16) return true
  return value.length >= 20 && /\d/.test(value) && /[a-z]/i.test(value) && !/\s/.test(value) && entropy(value) >= 3.3
}

/** Shannon's bits per character. */
function entropy(text: string): number {
  const counts = new Map<string, number>()
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1)
  let bits = 0
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length)
  return bits
}

function readableByAll(file: string): boolean {
  if (process.platform === 'win32') return false
  try {
    return (statSync(file).mode & 0o004) !== 0
  } catch {
    // A text handed in by a test, or a file just replaced.
    return false
  }
}
