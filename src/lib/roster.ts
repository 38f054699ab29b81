// Who is under way now. A Set would do, but each of its rehashes leaves a table that points at the next one: once an
// old table is promoted, everything that was ever listed outlives its youth, and collecting garbage took half the CPU.

export interface Member {
  /** Where it stands; -1 while it is not listed. Belongs to the roster. */
  place: number
}

/** Adds and removes in constant time and in no order. A member is in one roster at most. */
export class Roster<T extends Member> {
  readonly #members: T[] = []

  get size(): number {
    return this.#members.length
  }

  add(member: T): void {
    if (member.place >= 0) return
    member.place = this.#members.length
    this.#members.push(member)
  }

  remove(member: T): void {
    const { place } = member
    if (place < 0) return
    member.place = -1
    const last = this.#members.pop()
    if (last === undefined || last === member) return
    last.place = place
    this.#members[place] = last
  }

  /** Calls back for each; a member may be removed meanwhile. */
  each(visit: (member: T) => void): void {
    for (let index = this.#members.length - 1; index >= 0; index--) {
      const member = this.#members[index]
      if (member !== undefined) visit(member)
    }
  }

  all(): T[] {
    return [...this.#members]
  }
}
