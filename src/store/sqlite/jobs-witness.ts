import type { Outpoint, RequestId } from '../../covenant/job.js'
import type { Route } from '../../covenant/request.js'
import type { AcceptEntry, IntendEntry, OperateEntry, SettleEntry } from '../ledger-entry.js'
import type { Ledger } from '../ledger-port.js'
import { keyPrint, outpointPrint, type Print, Prints, parsePrint } from '../prints.js'

/** What the ledger and the rows seen so far know, in a few bytes each: where to look, never what is true. */
export class JobWitness {
  readonly storeId: string
  readonly #ledger: Ledger
  /** Route keys and request ids, each to the sequence of its job. */
  readonly #keys: Prints = new Prints()
  readonly #ids: Prints = new Prints()
  /** Outpoints to the sequence of the intent that holds them. */
  readonly #outpoints: Prints = new Prints()
  /** Lines that were written again: where they stand now. */
  readonly #again = new Map<number, bigint>()

  constructor(storeId: string, ledger: Ledger) {
    this.storeId = storeId
    this.#ledger = ledger
  }

  keyPrint(route: Route, routeRequestId: string): Print {
    return keyPrint(this.storeId, route, routeRequestId)
  }

  outpointPrint(outpoint: Outpoint): Print {
    return outpointPrint(this.storeId, outpoint)
  }

  /** Jobs that may have this key. */
  jobsByKey(route: Route, routeRequestId: string): readonly bigint[] {
    return this.#keys.get(this.keyPrint(route, routeRequestId))
  }

  /** Jobs that may have this id. */
  jobsById(requestId: RequestId): readonly bigint[] {
    return this.#ids.get(idPrint(requestId))
  }

  /** Intents that may hold this outpoint. */
  intentsOn(outpoint: Outpoint): readonly bigint[] {
    return this.#outpoints.get(this.outpointPrint(outpoint))
  }

  addKey(print: Print, seq: bigint): void {
    this.#keys.add(print, seq)
  }

  addId(requestId: RequestId, seq: bigint): void {
    this.#ids.add(idPrint(requestId), seq)
  }

  addIntent(print: Print, seq: bigint): void {
    this.#outpoints.add(print, seq)
  }

  /** Forgets a key that was released; its line stays. */
  removeKey(route: Route, routeRequestId: string, seq: bigint): void {
    this.#keys.remove(this.keyPrint(route, routeRequestId), seq)
  }

  removeId(requestId: RequestId, seq: bigint): void {
    this.#ids.remove(idPrint(requestId), seq)
  }

  removeIntent(outpoint: Outpoint, seq: bigint): void {
    this.#outpoints.remove(this.outpointPrint(outpoint), seq)
  }

  movedLine(seq: bigint, place: bigint): void {
    this.#again.set(Number(seq), place)
  }

  /** What the ledger's line of this sequence says, if it can be read. */
  entry(seq: bigint): AcceptEntry | IntendEntry | SettleEntry | OperateEntry | undefined {
    const entry = this.#ledger.find(this.#again.get(Number(seq)) ?? seq)?.entry
    if (entry === undefined) return undefined
    const { kind } = entry
    return kind === 'genesis' || kind === 'segment' || kind === 'repair' ? undefined : entry
  }

  accepted(seq: bigint): AcceptEntry | undefined {
    const entry = this.entry(seq)
    return entry?.kind === 'accept' ? entry : undefined
  }
}

/** A request id is random already, so its bits are its fingerprint. */
function idPrint(requestId: RequestId): Print {
  return parsePrint(requestId.slice(-16))
}
