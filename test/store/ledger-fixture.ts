import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FaultPoints } from '../../src/base/fault-points.js'
import { type Outpoint, parseRequestId } from '../../src/covenant/job.js'
import type { Hex } from '../../src/covenant/request.js'
import type {
  AcceptEntry,
  IntendEntry,
  OperateEntry,
  SettleEntry,
} from '../../src/store/ledger-entry.js'
import type { AppendedEntry } from '../../src/store/ledger-port.js'
import { keyPrint, outpointPrint } from '../../src/store/prints.js'

export const storeId = '5f'.repeat(16)
export const clock = { nowMs: (): number => Date.UTC(2026, 10, 21, 12, 0, 0, 5) }

/** Runs a test with a directory of its own. */
export async function inDirectory<T>(work: (dir: string) => T | Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-ledger-'))
  try {
    return await work(dir)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

export function outpointNumber(n: number): Outpoint {
  return `${n.toString(16).padStart(64, '0')}:1` as Outpoint
}

export function accept(n: number): AcceptEntry {
  const outpoint = outpointNumber(n)
  return {
    kind: 'accept',
    print: keyPrint(storeId, 'qc_v1', `route-${n}`),
    outpointPrint: outpointPrint(storeId, outpoint),
    rowDigest: 'b'.repeat(64),
    route: 'qc_v1',
    routeRequestId: `route-${n}`,
    requestId: parseRequestId(`kcs_qc_${n.toString(16).padStart(16, '0')}`),
    requestDigest: `0x${'c'.repeat(64)}` as Hex,
    outpoint,
    depositorEthAddress: `0x${'d'.repeat(40)}`,
    createdAt: '2026-11-21T12:00:00.123456789Z',
  }
}

export function intend(n: number, job: bigint): IntendEntry {
  const outpoint = outpointNumber(n)
  const requestId = parseRequestId(`kcs_qc_${n.toString(16).padStart(16, '0')}`)
  return {
    ...{ kind: 'intend', job, outpointPrint: outpointPrint(storeId, outpoint), requestId },
    ...{ rowDigest: 'e'.repeat(64), outpoint },
    sighash: `0x${'1'.repeat(64)}` as Hex,
    unsignedTransaction: '0x0200000000',
  }
}

export function settle(n: number, job: bigint): SettleEntry {
  return {
    kind: 'settle',
    job,
    rowDigest: 'f'.repeat(64),
    requestId: parseRequestId(`kcs_qc_${n.toString(16).padStart(16, '0')}`),
    transition: {
      state: 'HANDOFF_READY',
      detail: 'ready "é" \u2028',
      handoff: { kind: 'bundle', items: ['0x01', '0x'], requiresDummy: true, sighashType: 1 },
    },
    updatedAt: '2026-11-21T12:00:01Z',
    releasedIntent: false,
  }
}

export const operate: OperateEntry = {
  ...{ kind: 'operate', who: 'ann', what: 'retire' },
  ...{ why: 'paper lost', subject: 'record 7' },
}

/** One line of each kind that a store appends. */
export const mixed: readonly AppendedEntry[] = [accept(1), intend(1, 2n), settle(1, 2n), operate]

/** Fault points that call a function; what it throws is the fault. */
export function faultsThat(reach: (point: string) => void): FaultPoints {
  return { reach, pause: () => Promise.resolve() }
}
