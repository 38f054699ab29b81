import { type ConfigWatcher, watchConfig } from '../config/watch.ts'
import { hooksFolder } from '../hooks/files.ts'
import type { Logs } from './logs.ts'
import type { Refused } from './prepare.ts'
import type { Reloader } from './reload.ts'

const POLL = 500

/** Reloads when a file that counts has changed. `watched`: which do at the moment. */
export function watchFiles(
  file: string,
  watched: () => Pick<Refused, 'files' | 'globs'>,
  reloader: Reloader,
  logs: Logs
): ConfigWatcher {
  return watchConfig({
    files: () => watched().files,
    globs: () => watched().globs,
    directories: () => [hooksFolder(file)],
    // The swap of a ConfigMap makes no event here: this is what sees it within the second that was promised.
    pollMs: POLL,
    onChange: async () => void (await reloader.reload('file')),
    onError: error =>
      logs.event('warn', 'a folder cannot be watched; its files are looked at every two seconds', {}, [String(error)])
  })
}
