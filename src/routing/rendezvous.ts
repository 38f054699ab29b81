// Rendezvous hashing: every conversation ranks all targets its own way, by weight, and goes to the best that is there.
// When one goes or comes, only its own conversations move. Machines agree without asking each other.

/** 32 bits of a text (FNV-1a). */
export function hashText(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  return hash >>> 0
}

/** 32 bits of the beginning of a body that lies in chunks. */
export function hashBytes(chunks: readonly Buffer[], most: number): number {
  let hash = 0x811c9dc5
  let left = most
  for (const chunk of chunks) {
    const end = Math.min(chunk.length, left)
    for (let index = 0; index < end; index++) hash = Math.imul(hash ^ (chunk[index] ?? 0), 0x01000193)
    left -= end
    if (left === 0) break
  }
  return hash >>> 0
}

/** Where a target stands for a conversation, as 32 bits: the higher the better, where weights are equal. */
export function draw(conversation: number, seed: number): number {
  let hash = conversation ^ seed
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** The lower the better: a target has the lowest one for its share of all conversations. Weighs as an exponential race. */
export function score(drawn: number, weight: number): number {
  return -Math.log((drawn + 0.5) / 0x1_0000_0000) / weight
}

/** A draw below this cannot reach a score, at that weight: -log(x) is never below 1 - x. */
export function leastDraw(score: number, weight: number): number {
  return (1 - score * weight) * 0x1_0000_0000 - 1
}
