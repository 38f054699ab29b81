/** Tokens of one call. `input` includes what was read from or written to the upstream's prompt cache. */
export interface Usage {
  readonly input: number
  readonly output: number
  readonly cacheRead: number
  readonly cacheWrite: number
  readonly reasoning: number
}
