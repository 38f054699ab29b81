/** A token of a text, and how likely it was. */
export interface TokenProbability {
  readonly token: string
  /** The natural logarithm of it. */
  readonly logprob: number
  /** UTF-8, where the upstream says it: a token may be a part of a character. */
  readonly bytes?: readonly number[]
  /** What might have stood there instead. */
  readonly top?: readonly TokenProbability[]
}
