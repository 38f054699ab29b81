/** How a running gateway answered the command line. */
export interface Reply {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

/** One GET with a time limit; a string says why there is no answer. */
export async function ask(
  url: string,
  path: string,
  milliseconds: number,
  headers: Readonly<Record<string, string>> = {}
): Promise<Reply | string> {
  try {
    const signal = AbortSignal.timeout(milliseconds)
    const response = await fetch(new URL(path, url), { headers, signal, redirect: 'error' })
    const body: unknown = await response.json()
    if (typeof body !== 'object' || body === null) return 'it did not answer with a JSON object'
    return { status: response.status, body: body as Record<string, unknown> }
  } catch (error) {
    if (error instanceof Error && error.name === 'TimeoutError') return `no answer within ${milliseconds} ms`
    const cause = error instanceof Error ? (error.cause as { code?: string } | undefined) : undefined
    return cause?.code ?? 'no answer that could be read'
  }
}
