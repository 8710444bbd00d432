import { decodeRequest } from '../../covenant/decode.js'
import { canonicalRequest } from '../../covenant/digest.js'
import {
  applyTransition,
  type FinalTransition,
  isFinal,
  type Job,
  type JobIdentity,
  type JobProgress,
  type JobState,
  jobStates,
  type Outpoint,
  parseRequestId,
} from '../../covenant/job.js'
import { type Hex, isRoute, type Request, type Route } from '../../covenant/request.js'
import type { Intent } from '../../covenant/store.js'
import { rowDigestText } from '../row-digest.js'
import type { Row } from './connection.js'
import type { SqlValue } from './driver.js'
import { fixedCount } from './jobs-sql.js'
import { numberOf, textOf } from './wallet-rows.js'

/** A job's own row, checked; `request` and result stand in other tables. */
export type JobRow = Omit<JobIdentity, 'request'> & {
  readonly seq: bigint
  /** 64 hex digits. */
  readonly fixedDigest: string
  readonly state: JobState
  readonly detail: string
  readonly updatedAt: string
  readonly attempts: number
  readonly nextAtMs: number
  readonly held: boolean
  readonly settleSeq: bigint | undefined
}

export type MovingPart = Pick<
  JobRow,
  'state' | 'detail' | 'updatedAt' | 'attempts' | 'nextAtMs' | 'held' | 'settleSeq'
>

export type IntentRow = Intent & {
  readonly seq: bigint
  readonly jobSeq: bigint
  /** 64 hex digits. */
  readonly digest: string
  readonly releasedSeq: bigint | undefined
}

export type ResultRow = {
  readonly seq: bigint
  readonly jobSeq: bigint
  readonly transition: FinalTransition
  readonly updatedAt: string
  readonly releasedIntent: boolean
  /** 64 hex digits. */
  readonly digest: string
}

/** The values that never change, in the order of their columns. */
function fixedValues(seq: bigint, job: Omit<JobIdentity, 'request'>): readonly SqlValue[] {
  return [
    seq,
    job.requestId,
    job.route,
    job.routeRequestId,
    job.requestDigest,
    job.depositorEthAddress,
    job.outpoint,
    job.walletKey,
    job.endBlock === undefined ? null : String(job.endBlock),
    job.createdAt,
  ]
}

/** SHA-256 over the part of a job that never changes; its accept line says the same. */
export function fixedDigestOf(seq: bigint, job: Omit<JobIdentity, 'request'>): string {
  return rowDigestText('job', fixedValues(seq, job))
}

/** A job's own row. */
export function encodeJob(
  seq: bigint,
  job: Omit<JobIdentity, 'request'>,
  moving: MovingPart,
): { readonly values: readonly SqlValue[]; readonly fixedDigest: string } {
  const fixed = fixedValues(seq, job)
  const fixedDigest = rowDigestText('job', fixed)
  const values = [...fixed, fixedDigest, ...movingValues(moving)]
  return { values: [...values, rowDigestText('job', values)], fixedDigest }
}

/** Values for `sql.updateJob`. */
export function encodeUpdate(row: JobRow, moving: MovingPart): readonly SqlValue[] {
  const { values } = encodeJob(row.seq, row, moving)
  return [...values.slice(fixedCount + 1), row.seq]
}

function movingValues(moving: MovingPart): readonly SqlValue[] {
  return [
    moving.state,
    moving.detail,
    moving.updatedAt,
    BigInt(moving.attempts),
    BigInt(moving.nextAtMs),
    moving.held ? 1n : 0n,
    moving.settleSeq ?? null,
  ]
}

/** @throws RangeError when the digest does not fit or a value is not of its type; so do all decoders below. */
export function decodeJob(row: Row): JobRow {
  assertIntact('job', row)
  const [seq, id, route, key, digest, depositor, outpoint, walletKey, endBlock, createdAt] = row
  const [fixed, state, detail, updatedAt, attempts, nextAtMs, held, settleSeq] =
    row.slice(fixedCount)
  return {
    seq: seqOf(seq),
    requestId: parseRequestId(textOf(id)),
    route: routeOf(route),
    routeRequestId: textOf(key),
    requestDigest: hexOf(digest),
    depositorEthAddress: textOf(depositor),
    outpoint: textOf(outpoint) as Outpoint,
    walletKey: textOf(walletKey),
    endBlock: endBlock === null ? undefined : BigInt(textOf(endBlock)),
    createdAt: textOf(createdAt),
    fixedDigest: textOf(fixed),
    state: stateOf(state),
    detail: textOf(detail),
    updatedAt: textOf(updatedAt),
    attempts: numberOf(attempts),
    nextAtMs: numberOf(nextAtMs),
    held: held === 1n,
    settleSeq: settleSeq === null ? undefined : seqOf(settleSeq),
  }
}

export function encodeRequest(seq: bigint, request: Request): readonly SqlValue[] {
  return sealed('request', [seq, canonicalRequest(request)])
}

/** The canonical text of a job's request. */
export function decodeBody(row: Row): string {
  assertIntact('request', row)
  return textOf(row[1])
}

/** JSON of a transition, its fields always in the same order. */
export function transitionText(transition: FinalTransition): string {
  const { state, detail, reason, psbtHash, transactionHex, handoff } = transition
  return JSON.stringify({ state, detail, reason, psbtHash, transactionHex, handoff })
}

export function encodeResult(result: Omit<ResultRow, 'digest'>): readonly SqlValue[] {
  const { seq, jobSeq, transition, updatedAt, releasedIntent } = result
  const body = transitionText(transition)
  return sealed('result', [seq, jobSeq, body, updatedAt, releasedIntent ? 1n : 0n])
}

export function decodeResult(row: Row): ResultRow {
  assertIntact('result', row)
  const [seq, jobSeq, body, updatedAt, releasedIntent, digest] = row
  return {
    seq: seqOf(seq),
    jobSeq: seqOf(jobSeq),
    // The digest says that this is the text that was written.
    transition: JSON.parse(textOf(body)) as FinalTransition,
    updatedAt: textOf(updatedAt),
    releasedIntent: releasedIntent === 1n,
    digest: textOf(digest),
  }
}

export function encodeIntent(
  seq: bigint,
  jobSeq: bigint,
  intent: Intent,
  releasedSeq?: bigint,
): readonly SqlValue[] {
  const { outpoint, sighash, unsignedTransaction } = intent
  const values = [seq, jobSeq, outpoint, lowerHex(sighash), lowerHex(unsignedTransaction)]
  if (releasedSeq === undefined) return [...sealed('intent', values), null, null]
  return [...sealed('intent', values), releasedSeq, releaseDigest(seq, releasedSeq)]
}

/** Values for `sql.releaseIntent`. */
export function encodeRelease(seq: bigint, releasedSeq: bigint): readonly SqlValue[] {
  return [releasedSeq, releaseDigest(seq, releasedSeq), seq]
}

function releaseDigest(seq: bigint, releasedSeq: bigint): string {
  return rowDigestText('release', [seq, releasedSeq])
}

export function decodeIntent(row: Row): IntentRow {
  assertIntact('intent', row.slice(0, 6))
  const [seq, jobSeq, outpoint, sighash, transaction, digest, releasedSeq, releasedDigest] = row
  const released = releasedSeq === null ? undefined : seqOf(releasedSeq)
  const wanted = released === undefined ? null : releaseDigest(seqOf(seq), released)
  const fits = releasedDigest === wanted
  if (!fits) throw new RangeError('intent: its release has a digest that does not fit')
  return {
    seq: seqOf(seq),
    jobSeq: seqOf(jobSeq),
    outpoint: textOf(outpoint) as Outpoint,
    sighash: hexOf(sighash),
    unsignedTransaction: hexOf(transaction),
    digest: textOf(digest),
    releasedSeq: released,
  }
}

/** One line of the audit trail. */
export type OperateRow = {
  readonly seq: bigint
  readonly at: string
  readonly who: string
  readonly what: string
  readonly why: string
  readonly subject: string
}

export function encodeOperate({
  seq,
  at,
  who,
  what,
  why,
  subject,
}: OperateRow): readonly SqlValue[] {
  return sealed('operate', [seq, at, who, what, why, subject])
}

export function decodeOperate(row: Row): OperateRow {
  assertIntact('operate', row)
  const [seq, at, who, what, why, subject] = row
  return {
    seq: seqOf(seq),
    at: textOf(at),
    who: textOf(who),
    what: textOf(what),
    why: textOf(why),
    subject: textOf(subject),
  }
}

/** A copy of a record that is about to be taken out. */
export function encodeQuarantine(record: {
  readonly id: string
  readonly kind: string
  readonly reason: string
  readonly raw: Uint8Array
  readonly foundAtMs: number
}): readonly SqlValue[] {
  const { id, kind, reason, raw, foundAtMs } = record
  return sealed('quarantine', [id, kind, reason, raw, BigInt(foundAtMs)])
}

/** The bytes of such a copy. */
export function decodeQuarantine(row: Row): Uint8Array {
  assertIntact('quarantine', row)
  const raw = row[3]
  if (!(raw instanceof Uint8Array)) throw new RangeError('column: want bytes')
  return raw
}

export function encodeMeta(name: string, value: string): readonly SqlValue[] {
  return sealed('meta', [name, value])
}

export function decodeMeta(row: Row): string {
  assertIntact('meta', row)
  return textOf(row[1])
}

/**
 * Puts a job together; its request is decoded when it is first looked at.
 *
 * @param source canonical text of its request, or a job that has the same one
 */
export function assembleJob(
  row: JobRow,
  source: string | Pick<Job, 'request'>,
  result?: ResultRow,
): Job {
  const { fixedDigest, settleSeq, state, detail, updatedAt, attempts, nextAtMs, held, ...own } = row
  const moving: JobProgress = { state, detail, updatedAt, attempts, nextAtMs, held }
  const progress =
    result === undefined ? moving : applyTransition(moving, result.transition, result.updatedAt)
  let decoded: Request | undefined
  return {
    ...own,
    ...progress,
    get request() {
      decoded ??= typeof source === 'string' ? decodeRequest(Buffer.from(source)) : source.request
      return decoded
    },
  }
}

/** Whether row and result say the same end, or both say that there is none yet. */
export function fitsResult(row: JobRow, result: ResultRow | undefined): boolean {
  if (result === undefined) return row.settleSeq === undefined && !isFinal(row.state)
  const same = row.settleSeq === result.seq && row.state === result.transition.state
  return same && result.jobSeq === row.seq
}

/** @throws RangeError unless the text is 0x and whole bytes of hex */
function lowerHex(hex: Hex): string {
  if (!/^0x(?:[0-9a-fA-F]{2})*$/.test(hex)) throw new RangeError('hex: want 0x and whole bytes')
  return hex.toLowerCase()
}

function hexOf(value: SqlValue | undefined): Hex {
  const text = textOf(value)
  if (!text.startsWith('0x')) throw new RangeError('column: want hex with its prefix')
  return text as Hex
}

function sealed(table: string, values: readonly SqlValue[]): readonly SqlValue[] {
  return [...values, rowDigestText(table, values)]
}

function assertIntact(table: string, row: Row): void {
  if (row.at(-1) === rowDigestText(table, row.slice(0, -1))) return
  throw new RangeError(`${table}: a row has a digest that does not fit`)
}

function seqOf(value: SqlValue | undefined): bigint {
  if (typeof value !== 'bigint' || value < 1n) throw new RangeError('column: want a sequence')
  return value
}

function routeOf(value: SqlValue | undefined): Route {
  const route = textOf(value)
  if (!isRoute(route)) throw new RangeError('column: want a route')
  return route
}

function stateOf(value: SqlValue | undefined): JobState {
  const state = jobStates.find((one) => one === value)
  if (state === undefined) throw new RangeError('column: want a state')
  return state
}
