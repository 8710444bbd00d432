import { damageCases } from './wallet-store-cases/damage.js'
import { faultCases } from './wallet-store-cases/fault.js'
import { journalCases } from './wallet-store-cases/journal.js'
import { promoteCases } from './wallet-store-cases/promote.js'
import { refusalCases } from './wallet-store-cases/refusal.js'
import type { WalletStoreHarness } from './wallet-store-cases/steps.js'

export type { WalletStoreHarness } from './wallet-store-cases/steps.js'

export type ContractCase = { readonly name: string; readonly run: () => Promise<void> }

/**
 * What every `WalletStore` must do, for any test runner: run each case, in any order; it fails by rejecting.
 *
 * @param name of the adapter, put before each case's name
 * @param makeHarness a fresh, empty storage for each case
 */
export function walletStoreContract(
  name: string,
  makeHarness: () => Promise<WalletStoreHarness>,
): readonly ContractCase[] {
  const cases = [journalCases, promoteCases, faultCases, damageCases, refusalCases]
  return cases.flatMap(Object.entries).map(([title, body]: [string, CaseBody]) => ({
    name: `${name}: ${title}`,
    run: async () => {
      const harness = await makeHarness()
      try {
        await body(harness)
      } finally {
        await harness.dispose()
      }
    },
  }))
}

type CaseBody = (harness: WalletStoreHarness) => Promise<void>
