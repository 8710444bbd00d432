import { randomBytes } from 'node:crypto'
import { lstatSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { equalConstantTime, wipe } from '../base/bytes.js'
import { moveNew, removeFile, replaceFile, syncFolder, writeNew } from '../base/durable-file.js'
import { HoldfastError } from '../base/errors.js'
import { type AttemptId, attemptTag } from '../base/ids.js'
import { vaultFilesMax } from '../base/limits.js'
import { assertKeyOf, readBindings } from './binding.js'
import { readEntry, sealEntry } from './entry.js'
import { type Envelope, unwrapSecret, wrapSecret } from './envelope.js'
import type { Unlocked } from './header.js'
import { kdfForEnvelope } from './kdf.js'
import { encodeHeader } from './secret-file.js'
import { describeSecret, headerFileName, secretFileName } from './secret-name.js'
import {
  type BoundSecrets,
  type FinaliseOutcome,
  type SecretEntry,
  type SecretRef,
  type Vault,
  VaultLocked,
} from './vault.js'
import { requireFolder, translateIo } from './vault-folder.js'

/** Damage that opening found and got around: the header file is gone or bad and a copy serves instead. */
export type VaultWarning = 'headerMissing' | 'headerDamaged'

/** A vault in a folder, one file per secret. */
export interface FileVault extends Vault {
  /** What was wrong at open; the next `stage`, `put` or `reprotect` writes the header again. */
  readonly warnings: readonly VaultWarning[]

  /** Files in the folder that Holdfast did not write; they are never touched. */
  countForeignFiles(): Promise<number>

  /**
   * Puts a final secret under another object password, or none, in one step.
   *
   * @throws NoEntry, and what `read` and `put` throw.
   */
  reprotect(
    ref: SecretRef,
    current: Uint8Array | undefined,
    next: Uint8Array | undefined,
  ): Promise<void>
}

/** The vault over one folder whose header was found; see `FileVault` and `Vault` for the promises. */
export class FolderVault implements FileVault {
  readonly #folder: string
  readonly #warnings: readonly VaultWarning[]
  #unlocked: Unlocked | undefined
  #headerNeedsRewrite: boolean
  /** New files until the folder is counted again. */
  #filesLeft = 0
  /** Mutations run one after the other; this is the end of the line. */
  #lastTurn: Promise<unknown> = Promise.resolve()

  constructor(folder: string, unlocked: Unlocked | undefined, warnings: readonly VaultWarning[]) {
    this.#folder = folder
    this.#unlocked = unlocked
    this.#warnings = warnings
    this.#headerNeedsRewrite = warnings.length > 0
  }

  get locked(): boolean {
    return this.#unlocked === undefined
  }

  get warnings(): readonly VaultWarning[] {
    return this.#warnings
  }

  async stage(
    ref: SecretRef,
    secret: Uint8Array,
    attempt: AttemptId,
    objectPassword?: Uint8Array,
  ): Promise<void> {
    const path = this.#path(ref, 'staged', attemptTag(attempt))
    const file = await this.#seal(ref, secret, objectPassword)
    await this.#inTurn(describeSecret(ref), () => {
      this.#prepareWrite()
      writeNew(path, file)
    })
  }

  async finalise(ref: SecretRef, tag: string): Promise<FinaliseOutcome> {
    const staged = this.#path(ref, 'staged', tag)
    return this.#inTurn(describeSecret(ref), () => this.#finaliseNow(ref, staged, tag))
  }

  async discardStaged(ref: SecretRef, tag: string): Promise<void> {
    const path = this.#path(ref, 'staged', tag)
    await this.#inTurn(describeSecret(ref), () => removeFile(path))
  }

  async read(ref: SecretRef, objectPassword?: Uint8Array): Promise<Uint8Array | undefined> {
    const path = this.#path(ref, 'final')
    const key = this.#requireKey()
    const entry = translateIo(describeSecret(ref), () => readEntry(path, ref, key.key))
    return entry && unwrapSecret(ref, entry.envelope, objectPassword)
  }

  async put(ref: SecretRef, secret: Uint8Array, objectPassword?: Uint8Array): Promise<void> {
    const path = this.#path(ref, 'final')
    const file = await this.#seal(ref, secret, objectPassword)
    await this.#inTurn(describeSecret(ref), () => {
      this.#prepareWrite()
      replaceFile(path, file)
    })
  }

  async reprotect(
    ref: SecretRef,
    current: Uint8Array | undefined,
    next: Uint8Array | undefined,
  ): Promise<void> {
    const path = this.#path(ref, 'final')
    await this.#inTurn(describeSecret(ref), async () => {
      const entry = translateIo(describeSecret(ref), () =>
        readEntry(path, ref, this.#requireKey().key),
      )
      if (entry === undefined) throw new NoEntry(ref)
      const secret = await unwrapSecret(ref, entry.envelope, current)
      try {
        const file = await this.#seal(ref, secret, next, entry.publicKey)
        translateIo(describeSecret(ref), () => {
          this.#prepareWrite()
          replaceFile(path, file)
        })
      } finally {
        wipe(secret)
      }
    })
  }

  async remove(ref: SecretRef): Promise<void> {
    const path = this.#path(ref, 'final')
    await this.#inTurn(describeSecret(ref), () => removeFile(path))
  }

  async bind(ref: SecretRef, publicKey: Uint8Array): Promise<void> {
    const path = this.#path(ref, 'final')
    await this.#inTurn(describeSecret(ref), async () => {
      const entry = readEntry(path, ref, this.#requireKey().key)
      if (entry === undefined) throw new NoEntry(ref)
      const secret = await unwrapSecret(ref, entry.envelope, undefined)
      try {
        assertKeyOf(ref, secret, publicKey)
        const file = await this.#seal(ref, secret, undefined, publicKey)
        translateIo(describeSecret(ref), () => {
          this.#prepareWrite()
          replaceFile(path, file)
        })
      } finally {
        wipe(secret)
      }
    })
  }

  async listBound(): Promise<BoundSecrets> {
    return readBindings(this.#folder)
  }

  async list(): Promise<readonly SecretEntry[]> {
    return requireFolder(this.#folder).entries
  }

  async countForeignFiles(): Promise<number> {
    return requireFolder(this.#folder).foreignCount
  }

  close(): void {
    wipe(this.#unlocked?.key)
    this.#unlocked = undefined
  }

  /** What `JSON.stringify` shows: nothing of the key. */
  toJSON(): { readonly locked: boolean; readonly warnings: readonly VaultWarning[] } {
    return { locked: this.locked, warnings: this.#warnings }
  }

  /**
   * Runs without a pause, so no reader of this process sees the moment between two renames. Each rename is
   * synced before the next one: a crash leaves a state from which the same call goes on.
   */
  #finaliseNow(ref: SecretRef, staged: string, tag: string): FinaliseOutcome {
    const final = this.#path(ref, 'final')
    const previous = this.#path(ref, 'previous', tag)
    if (!exists(staged)) {
      // An earlier call may have been stopped between its rename and its sync.
      syncFolder(this.#folder)
      return 'missing'
    }
    if (exists(final)) {
      if (this.#sameSecret(ref, staged, final)) {
        removeFile(staged)
        return 'same'
      }
      // The name is taken only when something was put at the final name after an interrupted displacement.
      const free = exists(previous)
        ? this.#path(ref, 'previous', randomBytes(8).toString('hex'))
        : previous
      moveNew(final, free)
      moveNew(staged, final)
      return 'displaced'
    }
    moveNew(staged, final)
    return exists(previous) ? 'displaced' : 'moved'
  }

  /** False also when the two cannot be compared: then both are kept, and nothing is lost. */
  #sameSecret(ref: SecretRef, staged: string, final: string): boolean {
    if (this.#unlocked === undefined) return false
    const opened: (Envelope | undefined)[] = []
    try {
      for (const path of [staged, final]) {
        opened.push(readEntry(path, ref, this.#unlocked.key)?.envelope)
      }
      const [one, other] = opened
      if (one?.scheme !== 0 || other?.scheme !== 0) return false
      return equalConstantTime(one.secret, other.secret)
    } catch {
      // Damaged or unreadable: not comparable, and the damage is reported when the entry is read.
      return false
    } finally {
      for (const envelope of opened) if (envelope?.scheme === 0) wipe(envelope.secret)
    }
  }

  async #seal(
    ref: SecretRef,
    secret: Uint8Array,
    objectPassword: Uint8Array | undefined,
    publicKey?: Uint8Array,
  ): Promise<Uint8Array> {
    const kdf = kdfForEnvelope(this.#requireKey().header.kdf)
    const envelope = await wrapSecret(ref, secret, objectPassword, kdf)
    try {
      // Asked again: the vault may have been closed, and its key wiped, while the password was derived.
      return sealEntry(this.#requireKey(), ref, envelope, publicKey)
    } finally {
      wipe(envelope)
    }
  }

  #requireKey(): Unlocked {
    if (this.#unlocked === undefined) throw new VaultLocked()
    return this.#unlocked
  }

  /** Before a new file: bounds the folder, clears leftovers of a killed process, heals the header. */
  #prepareWrite(): void {
    const { header } = this.#requireKey()
    if (this.#filesLeft === 0) this.#filesLeft = this.#countFilesLeft()
    this.#filesLeft -= 1
    if (!this.#headerNeedsRewrite) return
    replaceFile(join(this.#folder, headerFileName), encodeHeader(header))
    this.#headerNeedsRewrite = false
  }

  #countFilesLeft(): number {
    const listing = requireFolder(this.#folder)
    for (const name of listing.temporaryNames) {
      try {
        unlinkSync(join(this.#folder, name))
      } catch {
        // Ciphertext that nobody reads; the next count tries again.
      }
    }
    const left = vaultFilesMax - listing.entries.length
    if (left <= 0) throw new VaultFull()
    return left
  }

  #path(ref: SecretRef, state: SecretEntry['state'], tag?: string): string {
    return join(this.#folder, secretFileName(ref, state, tag))
  }

  #inTurn<T>(what: string, action: () => T | Promise<T>): Promise<T> {
    const turn = this.#lastTurn.then(() => translateIo(what, action))
    // The next in line does not care how this one ended; the caller holds the promise that says so.
    this.#lastTurn = turn.catch(() => undefined)
    return turn
  }
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined
}

/** The vault holds as many files as it may. */
export class VaultFull extends HoldfastError {
  readonly code = 'VaultFull'
  constructor() {
    super(`vault: full, want fewer than ${vaultFilesMax} secrets`, {
      retry: 'after-fix',
      remedy: 'Remove secrets that are no longer needed.',
    })
  }
}

/** There is no final secret under that name. */
export class NoEntry extends HoldfastError {
  readonly code = 'NoEntry'
  constructor(ref: SecretRef) {
    super(`${describeSecret(ref)}: no such entry, want an existing one`, {
      retry: 'after-fix',
      remedy: 'List the vault and check the label.',
    })
  }
}
