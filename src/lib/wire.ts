// One HTTP exchange as bytes, without sockets in its types: undici implements it for real upstreams, `demo` in memory.

export interface WireRequest {
  readonly method: string
  /** With its query string. */
  readonly path: string
  /** Flat list: name, value, name, value. Names in lower case. */
  readonly headers: readonly string[]
  /** Empty when there is no body. Never joined: a large body goes out as the chunks it came in. */
  readonly body: readonly Buffer[]
  readonly bodyLength: number
}

export type WireHeaders = Readonly<Record<string, string | string[] | undefined>>

/** Told what happens, in order: start, head, data…, end; or an error at any point, after which nothing follows. */
export interface WireReceiver {
  /** A connection is there and the request is about to be written. */
  onStart(): void
  onHead(status: number, headers: WireHeaders): void
  onData(chunk: Buffer): void
  onEnd(): void
  /** Not called after `abort()`. */
  onError(error: Error & { code?: string }): void
}

export interface WireControl {
  /** Gives up at once; the receiver hears nothing more. */
  abort(): void
  pause(): void
  resume(): void
}

/** Sends one request. Before it returns it may call the receiver's `onStart` or `onError`, nothing else. */
export interface Wire {
  send(request: WireRequest, receiver: WireReceiver): WireControl
}
