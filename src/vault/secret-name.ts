import { HoldfastError } from '../base/errors.js'
import { parseWalletId } from '../base/ids.js'
import type { SecretEntry, SecretRef } from './vault.js'

/** Name of the file in the vault folder that holds the header alone. */
export const headerFileName: string = 'header'

const labelPattern = /^[a-z0-9_-][a-z0-9._-]{0,39}$/
// walletId(64 hex) . label [. (staged|previous) - tag(16 hex)]
const namePattern = /^([0-9a-f]{64})\.(.+?)(?:\.(staged|previous)-([0-9a-f]{16}))?$/

/** Whether a text may be the label of a secret. */
export function isLabel(text: string): boolean {
  return labelPattern.test(text) && !/\.(?:staged|previous)-/.test(text)
}

/**
 * The file name of one entry: the state is in the name, so that finalising is a rename.
 *
 * @param attemptTag 16 lower-case hex digits; wanted unless the state is final.
 * @throws LabelInvalid; RangeError for a malformed tag.
 */
export function secretFileName(
  ref: SecretRef,
  state: SecretEntry['state'] = 'final',
  attemptTag?: string,
): string {
  if (!isLabel(ref.label)) throw new LabelInvalid()
  const base = `${parseWalletId(ref.walletId)}.${ref.label}`
  if (state === 'final') return base
  if (attemptTag === undefined || !/^[0-9a-f]{16}$/.test(attemptTag)) {
    throw new RangeError('attempt tag: want 16 lower-case hex digits')
  }
  return `${base}.${state}-${attemptTag}`
}

/** The entry that a file name stands for; `undefined` for every name that Holdfast would not write. */
export function parseSecretFileName(name: string): SecretEntry | undefined {
  const [, walletId, label, state, tag] = namePattern.exec(name) ?? []
  if (walletId === undefined || label === undefined || !isLabel(label)) return undefined
  return {
    walletId: parseWalletId(walletId),
    label,
    state: state === 'staged' || state === 'previous' ? state : 'final',
    attemptTag: tag,
  }
}

/** How messages name an entry: like its final file, so that an operator can find it. */
export function describeSecret(ref: SecretRef): string {
  return `vault entry ${ref.walletId}.${ref.label}`
}

/** A label breaks the rules for file names. */
export class LabelInvalid extends HoldfastError {
  readonly code = 'LabelInvalid'
  constructor() {
    // The text is not repeated: a secret pasted into the wrong field would end up in a log.
    super('secret label: not allowed, want 1 to 40 of a-z 0-9 . _ - without a leading dot', {
      retry: 'after-fix',
      remedy: 'Choose a lower-case label; ".staged-" and ".previous-" are reserved.',
    })
  }
}
