import { basename, dirname } from 'node:path'
import { type FSWatcher, watch } from 'chokidar'
import { contentOf, filesOf, isEmpty, pathsOf, stampOf, type Watched } from './fingerprint.ts'
import { matchesName } from './include.ts'

export interface WatchOptions {
  /** Absolute paths; asked again after every change, for a reload may include other files. */
  readonly files: () => readonly string[]
  /** Absolute globs of `include`: files that appear and match count too. */
  readonly globs?: () => readonly string[]
  /** Folders in which every file counts: hooks. */
  readonly directories?: () => readonly string[]
  /** Called once for a burst of writes, and only when what stands in the files has changed. Never called twice at a time. */
  readonly onChange: () => void | Promise<void>
  /** Told what `onChange` throws, which is a bug, and what the system refuses to watch, which the poll makes up for. */
  readonly onError?: (error: unknown) => void
  /** Quiet time after the last event of a burst. */
  readonly debounceMs?: number
  /** How often the files are looked at, whatever the events say. */
  readonly pollMs?: number
}

export interface ConfigWatcher {
  /** Settles when events are listened to; the poll runs from the start. */
  readonly ready: Promise<void>
  close(): Promise<void>
}

/** An editor that truncates before it writes gets this long to write. */
const EMPTY_GRACE_MS = 300
/** Events that never pause do not put a reload off for longer. */
const MAX_DEBOUNCE_MS = 400

/**
 * Editors and ConfigMaps replace files, and what a watch on a replaced file hears depends on the system; so events make
 * it quick, and a poll makes it sure.
 */
export function watchConfig(options: WatchOptions): ConfigWatcher {
  return new Watcher(options)
}

class Watcher implements ConfigWatcher {
  readonly ready: Promise<void>
  readonly #options: WatchOptions
  readonly #events: FSWatcher
  readonly #poll: NodeJS.Timeout
  #debounce: NodeJS.Timeout | undefined
  #watched: Watched
  #stamp: string
  #content: string
  #empty: ReadonlySet<string>
  #emptySince: number | undefined
  #heardAt: number | undefined
  #state: 'idle' | 'busy' | 'busy-and-stale' | 'closed' = 'idle'

  constructor(options: WatchOptions) {
    this.#options = options
    this.#watched = this.#read()
    const files = filesOf(this.#watched)
    this.#stamp = stampOf(files)
    this.#content = contentOf(files)
    this.#empty = new Set(this.#watched.files.filter(isEmpty))
    this.#events = watch(pathsOf(this.#watched), {
      depth: 0,
      ignoreInitial: true,
      ignorePermissionErrors: true,
      // A file that does not count needs no watch of its own, and there may be thousands beside ours.
      ignored: (path, stats) => stats !== undefined && !this.#counts(path)
    })
    this.#events.on('all', () => this.#schedule())
    this.#events.on('error', error => options.onError?.(error))
    this.ready = new Promise(resolve => this.#events.once('ready', resolve))
    this.#poll = setInterval(() => this.#look(), options.pollMs ?? 2000)
    this.#poll.unref()
  }

  async close(): Promise<void> {
    this.#state = 'closed'
    clearInterval(this.#poll)
    clearTimeout(this.#debounce)
    await this.#events.close()
  }

  #read(): Watched {
    const { files, globs, directories } = this.#options
    return { files: [...files()], globs: [...(globs?.() ?? [])], folders: [...(directories?.() ?? [])] }
  }

  #counts(path: string): boolean {
    const { files, globs, folders } = this.#watched
    const folder = dirname(path)
    return (
      files.includes(path) ||
      folders.includes(folder) ||
      pathsOf(this.#watched).includes(path) ||
      globs.some(glob => dirname(glob) === folder && matchesName(basename(path), basename(glob)))
    )
  }

  #schedule(after = this.#options.debounceMs ?? 60): void {
    if (this.#state === 'closed') return
    this.#heardAt ??= Date.now()
    const left = Math.max(0, this.#heardAt + MAX_DEBOUNCE_MS - Date.now())
    clearTimeout(this.#debounce)
    this.#debounce = setTimeout(() => void this.#compare(), Math.min(after, left))
  }

  #look(): void {
    if (stampOf(filesOf(this.#watched)) !== this.#stamp) this.#schedule()
  }

  async #compare(): Promise<void> {
    this.#heardAt = undefined
    if (this.#state === 'closed') return
    if (this.#state !== 'idle') {
      this.#state = 'busy-and-stale'
      return
    }
    const files = filesOf(this.#watched)
    if (this.#waitsForText()) return
    this.#stamp = stampOf(files)
    const content = contentOf(files)
    if (content === this.#content) return
    this.#content = content
    this.#state = 'busy'
    try {
      await this.#options.onChange()
    } catch (error) {
      this.#options.onError?.(error)
    }
    this.#settle(files)
  }

  #waitsForText(): boolean {
    const empty = this.#watched.files.filter(isEmpty)
    const now = Date.now()
    if (empty.every(file => this.#empty.has(file))) this.#emptySince = undefined
    else this.#emptySince ??= now
    if (this.#emptySince !== undefined && now - this.#emptySince < EMPTY_GRACE_MS) {
      this.#schedule(EMPTY_GRACE_MS)
      return true
    }
    this.#empty = new Set(empty)
    this.#emptySince = undefined
    return false
  }

  /** After a reload: other files may count now, and what was written meanwhile is still to be seen. */
  #settle(read: readonly string[]): void {
    if (this.#state === 'closed') return
    const isStale = this.#state === 'busy-and-stale' || contentOf(read) !== this.#content
    this.#state = 'idle'
    const before = pathsOf(this.#watched)
    this.#watched = this.#read()
    const after = pathsOf(this.#watched)
    this.#events.add(after.filter(path => !before.includes(path)))
    this.#events.unwatch(before.filter(path => !after.includes(path)))
    const files = filesOf(this.#watched)
    if (!isStale) {
      this.#stamp = stampOf(files)
      this.#content = contentOf(files)
      return
    }
    this.#content = ''
    this.#schedule()
  }
}
