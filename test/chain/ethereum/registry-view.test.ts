import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { viewOf } from '../../../src/chain/ethereum/registry-view.js'
import type { Hex32 } from '../../../src/chain/index.js'

// Engine specification, 7.4: the key of secret 32 x 0x07.
const x: Hex32 = '0x989c0b76cb563971fdc9bef31ec06c3560f3249d6ee9e5d83c57625596e05f6f'
const y: Hex32 = '0x631f4d05b3ae518776ee08755a7703e64b2ebc32547504de0b55a142d4ecdf80'
const walletId: Hex32 = '0x704f64d16f07c8f7e50973174a62316623ad457f02cdc5d997ded67a383ec569'
const pkh = 'a3c6b1ee4a49d9f2af3b3802974744fba924164a'
const membersIdsHash: Hex32 = '0x62e243217b24f0adeab63b697d9c38d64bd4cbf540c9915772ddc377b45b411c'
const zero: Hex32 = `0x${'00'.repeat(32)}`

function flipped(word: Hex32, bit: number): Hex32 {
  const changed = BigInt(word) ^ (1n << BigInt(bit))
  return `0x${changed.toString(16).padStart(64, '0')}`
}

describe('a registry entry beside the record of the Bridge', () => {
  it('is available when key, wallet id and hash agree', () => {
    expect(viewOf({ membersIdsHash, x, y }, walletId, pkh)).toEqual({
      status: 'available',
      membersIdsHash,
      publicKey: `${x}${y.slice(2)}`,
    })
  })

  it('is absent when it is all zeros, and inconsistent when only the members are', () => {
    expect(viewOf({ membersIdsHash: zero, x: zero, y: zero }, walletId, pkh)).toEqual({
      status: 'absent',
    })
    expect(viewOf({ membersIdsHash: zero, x, y }, walletId, pkh).status).toBe('inconsistent')
    expect(viewOf({ membersIdsHash, x: zero, y: zero }, walletId, pkh).status).toBe('inconsistent')
  })

  it('is inconsistent when any bit of the key, of the id or of the hash differs', () => {
    const bit = fc.nat({ max: 255 })
    fc.assert(
      fc.property(bit, fc.constantFrom('x', 'y', 'id'), (at, which) => {
        const entry = {
          membersIdsHash,
          x: which === 'x' ? flipped(x, at) : x,
          y: which === 'y' ? flipped(y, at) : y,
        }
        const id = which === 'id' ? flipped(walletId, at) : walletId
        expect(viewOf(entry, id, pkh).status).toBe('inconsistent')
      }),
    )
    const other = `${pkh.slice(0, -1)}b`
    expect(viewOf({ membersIdsHash, x, y }, walletId, other)).toEqual({
      status: 'inconsistent',
      detail: expect.stringContaining(other),
    })
  })
})
