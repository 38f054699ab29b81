/** Why a gateway does not start, in lines for a person. Thrown: whoever starts one has nothing else to do. */
export class CannotStart extends Error {
  readonly lines: readonly string[]

  constructor(lines: readonly string[]) {
    super(lines.join('\n'))
    this.name = 'CannotStart'
    this.lines = lines
  }
}
