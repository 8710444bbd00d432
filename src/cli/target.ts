import { userInfo } from 'node:os'
import { DataDirLocked } from '../base/directory-lock.js'
import { type Config, loadConfig } from '../config.js'
import { type AdminClient, connectAdmin, DaemonUnreachable } from './client.js'
import type { Context } from './usage.js'

/** What the verbs take that may go through a daemon. */
export type TargetFlags = { readonly config?: string }

/** Where a verb works: in the data directory itself, or through the daemon that holds it. */
export type Target = {
  /** Absolute path of the data directory. */
  readonly path: string
  /** The flags that a further command needs to work there too. */
  readonly flags: readonly string[]
  readonly config: () => Config
}

/** @throws ConfigMalformed, ConfigRefused for the file that `--config` names */
export function targetOf({ dataDir }: Context, { config: file }: TargetFlags): Target {
  let loaded: Config | undefined
  const config = (): Config => {
    loaded ??= loadConfig({
      file,
      flags: { dataDir: dataDir.origin === 'flag' ? dataDir.path : undefined },
    })
    return loaded
  }
  return {
    path: file === undefined ? dataDir.path : config().dataDir,
    flags: [
      ...(dataDir.origin === 'flag' ? ['--data-dir', dataDir.path] : []),
      ...(file === undefined ? [] : ['--config', file]),
    ],
    config,
  }
}

/**
 * Works in the data directory; when a daemon holds it, asks the daemon instead.
 *
 * @param here rejects with DataDirLocked before it did anything
 */
export async function reach<T>(
  target: Target,
  here: (directory: string) => Promise<T>,
  there: (client: AdminClient) => Promise<T>,
): Promise<T> {
  try {
    return await here(target.path)
  } catch (error) {
    if (!(error instanceof DataDirLocked)) throw error
    return askHolder(target, there)
  }
}

async function askHolder<T>(
  target: Target,
  there: (client: AdminClient) => Promise<T>,
): Promise<T> {
  try {
    return await there(connectAdmin(target.config()))
  } catch (error) {
    if (!(error instanceof DaemonUnreachable)) throw error
    throw new DaemonUnreachable(`${target.path} is held by a process, ${error.problem}`, error)
  }
}

/** Who types, for the audit trail. */
export function operatorName(): string {
  try {
    return userInfo().username
  } catch {
    // A user id without a name, as containers have.
    return `uid ${process.getuid?.() ?? 'unknown'}`
  }
}
