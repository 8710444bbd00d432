import { resolve } from 'node:path'
import envPaths from 'env-paths'

/** Where the data directory is, and who said so. */
export type DataDirectory = {
  readonly path: string
  readonly origin: 'flag' | 'environment' | 'default'
}

/**
 * Where the data directory is: `--data-dir`, else `HOLDFAST_DATA_DIR`, else the user's data folder.
 *
 * @param flag text of `--data-dir`; an empty environment variable counts as absent
 */
export function dataDirectory(
  flag: string | undefined,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): DataDirectory {
  if (flag !== undefined) return { path: resolve(flag), origin: 'flag' }
  const named = environment.HOLDFAST_DATA_DIR
  if (named !== undefined && named !== '') return { path: resolve(named), origin: 'environment' }
  return { path: envPaths('holdfast', { suffix: '' }).data, origin: 'default' }
}
