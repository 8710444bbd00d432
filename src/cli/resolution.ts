import { createReadStream } from 'node:fs'
import { errnoOf } from '../base/durable-file.js'
import { unreachable } from '../base/errors.js'
import { keepCoreFileBytesMax } from '../base/limits.js'
import { canonicalRequest } from '../covenant/digest.js'
import { type Json, type JsonObject, MalformedBody } from '../covenant/field-kinds.js'
import { parseJsonBody } from '../covenant/json-body.js'
import type { Request } from '../covenant/request.js'
import { request as requestKind } from '../covenant/request-fields.js'
import type { Operator, Resolution } from '../covenant/store.js'
import type { TargetFlags } from './target.js'
import { Usage } from './usage.js'

/** Exactly one of `restore`, `adopt`, `retire` and `release` is given. */
export type ResolveFlags = TargetFlags & {
  readonly restore?: string
  readonly adopt?: string
  readonly retire?: boolean
  readonly release?: boolean
  readonly key?: string
  readonly reason?: string
  readonly yes?: boolean
}

/** What the flags ask for. @throws Usage */
export async function resolutionOf(flags: ResolveFlags): Promise<Resolution> {
  const { restore, adopt, retire, release, key } = flags
  const given = [restore, adopt, retire, release].filter((flag) => flag !== undefined)
  if (given.length !== 1) {
    throw new Usage(
      'quarantine resolve wants one of --restore, --adopt, --retire and --release',
      'Run "holdfast quarantine show" with the id: it prints the ways out of this record.',
    )
  }
  if (key !== undefined && release === undefined) throw new Usage('--key belongs to --release')
  if (restore !== undefined) {
    if (restore !== 'ledger' && restore !== 'backup') {
      throw new Usage('--restore wants ledger or backup')
    }
    return { kind: 'restore', from: restore }
  }
  if (adopt !== undefined) return { kind: 'adopt', request: await readRequest(adopt) }
  if (retire !== undefined) return { kind: 'retire' }
  // Without a key the store says which one is to be typed.
  return { kind: 'release', typedKey: key ?? '' }
}

/** The words of a command line that asks for the same. */
export function resolveWords(id: string, flags: ResolveFlags): readonly string[] {
  const { restore, adopt, retire, release, key } = flags
  return [
    ...['quarantine', 'resolve', id],
    ...(restore === undefined ? [] : ['--restore', restore]),
    ...(adopt === undefined ? [] : ['--adopt', adopt]),
    ...(retire === undefined ? [] : ['--retire']),
    ...(release === undefined ? [] : ['--release']),
    ...(key === undefined ? [] : ['--key', key]),
  ]
}

/** JSON text of the call that asks a daemon for it; a request keeps every digit. */
export function resolveBody(how: Resolution, { who, why }: Operator, dryRun: boolean): string {
  const more = { reason: why, who, dryRun }
  switch (how.kind) {
    case 'restore':
      return JSON.stringify({ how: how.kind, from: how.from, ...more })
    case 'retire':
      return JSON.stringify({ how: how.kind, ...more })
    case 'release':
      return JSON.stringify({ how: how.kind, typedKey: how.typedKey, ...more })
    case 'adopt': {
      const text = JSON.stringify({ how: how.kind, ...more })
      return `${text.slice(0, -1)},"request":${canonicalRequest(how.request)}}`
    }
    default:
      return unreachable(how)
  }
}

/** Reads a request from a file that is one, or that holds one: a body as it was sent, or a keep-core job file. */
async function readRequest(source: string): Promise<Request> {
  const bytes = await readSource(source)
  try {
    const json = parseJsonBody(bytes, keepCoreFileBytesMax)
    const inner = isObject(json) && Object.hasOwn(json, 'request') ? json.request : json
    return requestKind.decode(inner ?? null, '', {})
  } catch (error) {
    if (!(error instanceof MalformedBody)) throw error
    const remedy =
      'Name a file with the request as its client sent it, or a whole keep-core job file.'
    throw new Usage(`--adopt: the file holds no request, ${error.reason}`, remedy)
  }
}

function isObject(json: Json): json is JsonObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
}

async function readSource(source: string): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    const stream: AsyncIterable<Buffer> =
      source === '-' ? process.stdin : createReadStream(source, { end: keepCoreFileBytesMax })
    for await (const chunk of stream) {
      chunks.push(chunk)
      size += chunk.length
      if (size > keepCoreFileBytesMax) break
    }
  } catch (error) {
    const why = errnoOf(error) ?? 'unknown'
    throw new Usage(`--adopt: the file cannot be read (${why})`, 'Name another file, or "-".')
  }
  return Buffer.concat(chunks)
}
