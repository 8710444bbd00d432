import type { Command } from 'commander'
import { type ConfigSources, flagKeys } from '../config.js'

/** What commander read for `addConfigFlags`: by the key of the setting, and the file. */
export type ConfigFlags = Readonly<Record<string, string | boolean | undefined>>

/** Settings of yes and no: their flags need no value. */
const switches = /\.(enable|require|bridge)[A-Z]/

/** Adds `--config` and the flags that keep-core has too. */
export function addConfigFlags(command: Command): Command {
  command.option('--config <file>', 'configuration file (TOML)')
  for (const key of flagKeys) {
    const takes = switches.test(key) ? '[true|false]' : '<value>'
    const warning = key.endsWith('Token') ? '; better in a file: this is seen in process lists' : ''
    command.option(`--${key} ${takes}`, `overrides ${key}${warning}`)
  }
  return command
}

/** The sources that the flags name. */
export function sourcesOf(
  flags: ConfigFlags,
  dataDir: { readonly path: string; readonly origin: string },
): Pick<ConfigSources, 'file' | 'flags'> {
  const named = Object.fromEntries(flagKeys.map((key) => [key, flags[key]]))
  const file = typeof flags.config === 'string' ? flags.config : undefined
  return {
    file,
    flags: { ...named, dataDir: dataDir.origin === 'flag' ? dataDir.path : undefined },
  }
}
