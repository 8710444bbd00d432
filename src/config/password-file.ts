import type { Environment } from './environment.js'
import { type ReadFile, readRegularFile } from './private-file.js'
import { ConfigRefused } from './problem.js'
import { readTokenFile } from './token-file.js'

/**
 * Reads the password of `bitcoin.sources[index]`, one line in a file of mode 0600.
 *
 * @returns its bytes, for the caller to wipe
 * @throws ConfigRefused
 */
export function readSourcePassword(
  index: number,
  path: string,
  environment: Environment = process.env,
  readFile: ReadFile = readRegularFile,
): Uint8Array {
  const key = `bitcoin.sources[${index}].passwordFile`
  const read = readTokenFile(key, path, { readFile, environment })
  if (read.kind === 'problem') throw new ConfigRefused([read.problem])
  return Buffer.from(read.token)
}
