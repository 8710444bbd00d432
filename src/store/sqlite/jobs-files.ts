import { hash } from 'node:crypto'
import { unreachable } from '../../base/errors.js'
import { canonicalRequest, normalizedDigest } from '../../covenant/digest.js'
import {
  type JobIdentity,
  type JobProgress,
  outpointOf,
  parseRequestId,
  type RequestId,
  timestamp,
  walletKeyOf,
} from '../../covenant/job.js'
import { normalizeRequest } from '../../covenant/normalize.js'
import { type Hex, isRoute, type Request } from '../../covenant/request.js'
import type { QuarantineRecord, Resolution } from '../../covenant/store.js'
import { keyText } from '../job-fences.js'
import { ResolutionRefused } from '../job-refusals.js'
import { type ImportedJob, judgeImport, type RouteKey } from '../keep-core/import-target.js'
import { type ReadableFields, readableFields } from '../keep-core/readable.js'
import { signedIntents } from '../keep-core/signed-intent.js'
import type { Operation } from '../operations.js'
import { type JobCore, retiredReason } from './jobs-core.js'
import { isFence } from './jobs-find.js'
import { findAcceptedKey, findKnown, takeJob } from './jobs-import.js'
import { assertTyped, goOn, nothing, type Plan, typedFor } from './jobs-plan.js'
import { fenceFile, findRaw } from './jobs-set-aside.js'

/**
 * What a file closes once it was retired; undefined while nobody knows its own key.
 *
 * @remarks A key that only the file's bytes say is taken too: to close it is safer than to release the record, which is
 * what would be left to do.
 */
export function retiredBlocks(
  core: JobCore,
  record: QuarantineRecord,
): QuarantineRecord['blocks'] | undefined {
  const { blocks, requestId } = record
  if (!blocks.everyNewKey) return blocks
  const known = requestId === undefined ? undefined : findAcceptedKey(core, requestId)
  const key = known?.key ?? ownKey(record, readableFields(findRaw(core, record.id) ?? noBytes))
  if (key === undefined) return undefined
  const outpoints = known === undefined ? [] : [known.outpoint]
  const all = [...new Set([...blocks.outpoints, ...outpoints])]
  return { keys: [...blocks.keys, key], outpoints: all, everyNewKey: false }
}

const noBytes = new Uint8Array()

/** Puts the record of a file that was retired in the place of the open one. */
export function retireFile(core: JobCore, record: QuarantineRecord): void {
  const blocks = retiredBlocks(core, record)
  if (blocks === undefined) return
  fenceFile(core, { ...record, blocks, reason: retiredReason, state: 'retired' })
}

/** How the record of a file that was set aside is resolved. */
export function planFile(core: JobCore, record: QuarantineRecord, how: Resolution): Plan {
  const { id } = record
  const toRelease = `Release it by typing ${typedFor(record)}, then import the mended file.`
  switch (how.kind) {
    case 'restore':
      throw new ResolutionRefused(id, 'no other witness has its request', `Adopt it. ${toRelease}`)
    case 'adopt':
      return planAdopt(core, record, how.request, toRelease)
    case 'retire': {
      const blocks = retiredBlocks(core, record)
      if (blocks === undefined) {
        const problem = 'nobody knows its key, so that no key can be closed for ever'
        throw new ResolutionRefused(id, problem, `Adopt the mended request. ${toRelease}`)
      }
      return {
        operation: { kind: 'retire', recordId: id },
        changes: [
          'its keys and its outpoints stay closed for ever; other new keys are taken',
          ...blocks.keys.map(({ route, routeRequestId }) => {
            return `closed: ${keyText(route, routeRequestId)}`
          }),
          ...(record.blocks.everyNewKey
            ? ['make sure that this is the key: its bytes may lie']
            : []),
        ],
        inTransaction: nothing,
        apply: () => retireFile(core, record),
      }
    }
    case 'release':
      assertTyped(id, how.typedKey, typedFor(record))
      return {
        operation: { kind: 'release', recordId: id },
        changes: [
          record.blocks.everyNewKey
            ? 'new keys are taken again, also the one that the file had'
            : 'its keys and its outpoints can be used again',
          'the same file is not set aside a second time',
        ],
        inTransaction: nothing,
        apply: () => openFile(core, record),
      }
    default:
      return unreachable(how)
  }
}

function openFile(core: JobCore, record: QuarantineRecord): void {
  core.released.add(record.id)
  core.fences.remove(record.id)
  goOn(core, record)
}

/** Makes a job of a mended request; it waits until somebody resumes it. */
function planAdopt(
  core: JobCore,
  record: QuarantineRecord,
  request: Request,
  toRelease: string,
): Plan {
  const { id } = record
  if (record.state === 'retired') throw new ResolutionRefused(id, 'it was retired', 'Release it.')
  const readable = readableFields(findRaw(core, id) ?? noBytes)
  const identity = identityOf(core, record, readable, request, toRelease)
  const { route, routeRequestId, requestId } = identity
  const others = core.fences.closing(route, routeRequestId).filter((one) => one !== id)
  if (others.length > 0) {
    const problem = `${others.join(', ')} closes its key too`
    throw new ResolutionRefused(id, problem, 'Resolve that record first.')
  }
  const imported = adopted(core, identity, readable)
  const known = findKnown(core, imported)
  if (known !== undefined && (isFence(known) || judgeImport(known, imported) !== 'present')) {
    const name = isFence(known) ? known.recordId : known.requestId
    const problem = `the store has something else for it: ${name}`
    throw new ResolutionRefused(id, problem, `Retire it, or: ${toRelease}`)
  }
  const operation: Operation = { kind: 'adopt', recordId: id, job: undefined }
  let job: bigint | undefined
  return {
    operation,
    changes: adoptChanges(imported, known === undefined, keyText(route, routeRequestId)),
    prepare: async () => {
      const there = findKnown(core, imported)
      const held = there !== undefined && !isFence(there) && there.held ? there.seq : undefined
      job = there === undefined ? await takeJob(core, imported) : held
      return { ...operation, job }
    },
    inTransaction: nothing,
    apply: () => {
      if (job !== undefined) core.imports.adopt(job)
      core.schedule.remove(job ?? 0n)
      openFile(core, record)
      core.logger.info({ record: id, requestId }, 'job store: a file was adopted')
    },
  }
}

function adoptChanges({ intents }: ImportedJob, isNew: boolean, key: string): readonly string[] {
  if (!isNew) return ['the job that the store has stands, and its key is opened']
  return [
    `the request becomes a job under ${key}, and waits until it is resumed`,
    intents.length > 0
      ? 'its outpoint stays closed, since the file says that something was signed'
      : 'whether anything was signed is not known: look at its outpoint before it is resumed',
  ]
}

function identityOf(
  core: JobCore,
  record: QuarantineRecord,
  readable: ReadableFields,
  request: Request,
  toRelease: string,
): JobIdentity {
  const refused = (problem: string, remedy: string): ResolutionRefused =>
    new ResolutionRefused(record.id, problem, remedy)
  const mended = 'Hand in the request as it was submitted.'
  const requestId = record.requestId ?? idIn(readable)
  const key = ownKey(record, readable)
  if (requestId === undefined || key === undefined) {
    throw refused('neither its name nor its bytes say id and key', toRelease)
  }
  if (request.route !== key.route) throw refused(`its route is ${key.route}`, mended)
  if ('invalid' in request.scriptTemplate) throw refused(request.scriptTemplate.invalid, mended)
  const said = readable.requestDigest ?? ''
  const normal = normalizeRequest(request)
  const same = [request, normal].find((one) => digestsOf(one).includes(said))
  if (same === undefined && /^0x[0-9a-f]{64}$/.test(said)) {
    throw refused('the request has not the digest that the file says', mended)
  }
  return {
    ...key,
    requestId,
    requestDigest: same === undefined ? normalizedDigest(normal) : (said as Hex),
    depositorEthAddress: readable.depositorEthAddress ?? '',
    outpoint: outpointIn(request, () => refused('its outpoint is not hex', mended)),
    walletKey: walletKeyOf(request.scriptTemplate),
    endBlock: request.signerApproval?.endBlock ?? undefined,
    createdAt: readable.createdAt ?? timestamp(core.clock.nowMs()),
    request: same ?? normal,
  }
}

/** The digest of the current version, and that of the first one, which had no prefix. */
function digestsOf(request: Request): readonly string[] {
  return [normalizedDigest(request), `0x${hash('sha256', canonicalRequest(request))}`]
}

function outpointIn(request: Request, refusal: () => ResolutionRefused): JobIdentity['outpoint'] {
  try {
    return outpointOf(request.activeOutpoint)
  } catch (error) {
    if (error instanceof RangeError) throw refusal()
    throw error
  }
}

function idIn({ requestId }: ReadableFields): RequestId | undefined {
  try {
    return requestId === undefined ? undefined : parseRequestId(requestId)
  } catch {
    // What stands there is no request id.
    return undefined
  }
}

/** The key of the job that a file stands for: the one that it closes, else what its bytes say. */
function ownKey({ blocks }: QuarantineRecord, readable: ReadableFields): RouteKey | undefined {
  const [key, ...more] = blocks.keys
  if (key !== undefined) return more.length === 0 && !blocks.everyNewKey ? key : undefined
  const { route = '', routeRequestId = '' } = readable
  return isRoute(route) && routeRequestId !== '' ? { route, routeRequestId } : undefined
}

function adopted(core: JobCore, identity: JobIdentity, readable: ReadableFields): ImportedJob {
  const progress: JobProgress = {
    state: 'PENDING',
    detail: 'adopted from a file that was set aside',
    updatedAt: readable.updatedAt ?? timestamp(core.clock.nowMs()),
    attempts: 0,
    nextAtMs: 0,
    held: true,
  }
  const { state = '', transactionHex = '' } = readable
  const wasSigned = state.endsWith('_READY') || transactionHex !== ''
  const intents = wasSigned ? signedIntents(identity, { ...progress, state: 'ARTIFACT_READY' }) : []
  return { identity, progress, intents }
}
