import { createReadStream } from 'node:fs'
import { errnoOf } from '../base/durable-file.js'
import { covenantBodyBytesMax } from '../base/limits.js'
import type { ApprovalDomain, Hex } from '../covenant/request.js'
import { type DigestKind, digestKinds, digestOf } from './digest-input.js'
import { note, printResult } from './output.js'
import { type Context, Usage } from './usage.js'

export type DigestFlags = {
  readonly kind: string
  readonly chainId?: string
  readonly salt?: string
}

/** `covenant digest`: the digest of a file, computed without looking at any data directory. */
export async function covenantDigest(
  { output }: Pick<Context, 'output'>,
  source: string,
  { kind: kindText, chainId, salt }: DigestFlags,
): Promise<void> {
  const kind = parseKind(kindText)
  if (kind !== 'approval' && (chainId !== undefined || salt !== undefined)) {
    throw new Usage('--chain-id and --salt belong to --kind approval alone')
  }
  const domain = parseDomain(chainId, salt)
  const { digest, stated = '' } = digestOf(kind, await readSource(source), domain)
  if (stated !== '' && stated.toLowerCase() !== digest) {
    note(output, `The file itself states another one: ${stated.slice(0, 80)}`)
  }
  await printResult(output, { digest }, () => digest)
}

function parseKind(text: string): DigestKind {
  const kind = digestKinds.find((known) => known === text)
  if (kind === undefined) throw new Usage(`--kind wants one of ${digestKinds.join(', ')}`)
  return kind
}

function parseDomain(chainId = '0', salt?: string): ApprovalDomain {
  if (!/^\d{1,78}$/.test(chainId) || BigInt(chainId) >= 1n << 256n) {
    throw new Usage('--chain-id wants a whole number from 0 to 2^256 - 1')
  }
  if (salt !== undefined && !/^0x[0-9a-f]{64}$/i.test(salt)) {
    throw new Usage('--salt wants 0x and 64 hex digits')
  }
  return {
    chainId: BigInt(chainId),
    ...(salt === undefined ? {} : { salt: salt.toLowerCase() as Hex }), // its form was checked
  }
}

/** Reads a file or standard input up to one byte more than is allowed, which decoding then refuses. */
async function readSource(source: string): Promise<Uint8Array> {
  const end = covenantBodyBytesMax
  const chunks: Buffer[] = []
  let size = 0
  try {
    const stream: AsyncIterable<Buffer> =
      source === '-' ? process.stdin : createReadStream(source, { end })
    for await (const chunk of stream) {
      chunks.push(chunk)
      size += chunk.length
      if (size > end) break
    }
  } catch (error) {
    throw new Usage(`the file cannot be read (${errnoOf(error) ?? 'unknown'})`, 'Name another one.')
  }
  return Buffer.concat(chunks)
}
