import { type PersistenceKind, StoreFailed } from '../../base/persistence.js'
import { classify, looksDamaged } from './classify.js'
import type { Connection } from './connection.js'
import type { Inventory } from './inventory.js'
import { commitOrSettle, type Write } from './settle.js'

/** One opening of the wallet database: how all its reads and writes are made and what their failures are called. */
export class Session {
  readonly connection: Connection
  readonly inventory: Inventory

  constructor(connection: Connection, inventory: Inventory) {
    this.connection = connection
    this.inventory = inventory
  }

  /** Runs one transaction after what earlier failures left waiting. @throws StoreFailed */
  write<T extends NonNullable<unknown>>(write: Write<T>): T {
    if (this.connection.usable) {
      this.connection.assertMayWrite()
      this.inventory.catchUp()
    }
    return commitOrSettle(this.connection, write)
  }

  /** Damage on a read counts only when a fresh handle sees it too. @throws StoreFailed */
  read<T>(what: string, read: () => T): T {
    if (!this.connection.usable) throw this.failure(what, undefined, 'persisterClosed')
    try {
      return read()
    } catch (cause) {
      if (!looksDamaged(cause)) throw this.failure(what, cause)
    }
    this.reopen(what)
    try {
      return read()
    } catch (cause) {
      throw this.failure(what, cause)
    }
  }

  /** @throws StoreFailed; the connection is then of no more use */
  reopen(what: string): void {
    try {
      this.connection.reopen()
    } catch (cause) {
      this.connection.fail()
      throw this.failure(what, cause, 'persisterClosed')
    }
  }

  failure(what: string, cause: unknown, kind: PersistenceKind = classify(cause)): StoreFailed {
    if (cause instanceof StoreFailed) return cause
    return new StoreFailed(`${this.connection.what}: ${what}`, kind, { cause })
  }

  /** The failure of a call that can never succeed as it stands. */
  refusal(what: string, problem: string): StoreFailed {
    return this.failure(what, new RangeError(`${what}: ${problem}`), 'constraint')
  }
}
