import type { DashReader, Reading } from '../reader.js'

function offline<T>(): Promise<Reading<T>> {
  return Promise.resolve({
    kind: 'unavailable',
    source: 'dash',
    cause: new Error('dash: no network reader is configured'),
  })
}

/** The default reader: no network, every answer `unavailable`. Registration works without it. */
export const offlineDash: DashReader = {
  tipHeight: () => offline(),
  balances: () => offline(),
}
