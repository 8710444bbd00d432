import { isTable } from './codec.js'
import type { Origin } from './problem.js'
import { schema } from './schema.js'

/** One setting as it may be shown. */
export type ListedSetting = {
  readonly key: string
  /** As JSON has it, large numbers as decimal text, `null` where nothing is set; a secret is masked. */
  readonly value: unknown
  readonly origin: Origin
}

/** Shown instead of a secret that is set. */
const mask = '********'

/** Every setting of a configuration in the order of the sample file; secrets are masked. */
export function listSettings(
  config: object & { readonly origins: Readonly<Record<string, Origin>> },
): readonly ListedSetting[] {
  return [...schema].map(([key, { secret }]) => {
    const value = valueAt(config, key)
    const origin = config.origins[key] ?? { kind: 'default', name: '' }
    return { key, value: secret && !isUnset(value) ? mask : shown(value), origin }
  })
}

/** Nothing is hidden where nothing is set. */
function isUnset(value: unknown): boolean {
  return value === '' || (Array.isArray(value) && value.length === 0)
}

function valueAt(config: object, key: string): unknown {
  let at: unknown = config
  for (const name of key.split('.')) at = isTable(at) ? at[name] : undefined
  return at
}

function shown(value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : (value ?? null)
}
