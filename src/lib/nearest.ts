/** The candidates that look most like what was asked for, best first: for «did you mean». */
export function nearest(asked: string, candidates: Iterable<string>, most = 3): string[] {
  const limit = Math.max(2, Math.floor(asked.length / 3))
  const scored: { candidate: string; distance: number }[] = []
  const wanted = asked.slice(0, MAX_LENGTH).toLowerCase()
  for (const candidate of candidates) {
    const known = candidate.slice(0, MAX_LENGTH).toLowerCase()
    const related = wanted.length > 2 && (known.includes(wanted) || wanted.includes(known))
    const distance = related ? 1 : editDistance(wanted, known)
    if (distance <= limit) scored.push({ candidate, distance })
  }
  return scored
    .sort((a, b) => a.distance - b.distance)
    .slice(0, most)
    .map(entry => entry.candidate)
}

/** Names come from clients, and the distance costs the product of two lengths. */
const MAX_LENGTH = 100

/** How many letters have to be changed, put in or taken out. Costs the product of the lengths: bound them. */
export function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min(change, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1))
    }
    previous = row
  }
  return previous[b.length] ?? 0
}
