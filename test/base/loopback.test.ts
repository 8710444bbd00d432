import { describe, expect, it } from 'vitest'
import { isLoopback, listenHost } from '../../src/base/loopback.js'

describe('loopback addresses', () => {
  it('are 127.0.0.0/8, ::1, localhost and blank, also in brackets', () => {
    const near = ['', ' ', 'localhost', 'LocalHost', '127.0.0.1', '127.9.8.7', '::1', '[::1]']
    for (const address of [...near, '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1', '[127.0.0.1]']) {
      expect(isLoopback(address), address).toBe(true)
    }
  })

  it('are no others', () => {
    const far = ['0.0.0.0', '::', '[::]', '128.0.0.1', '10.0.0.1', '::2', 'example.org']
    for (const address of [...far, 'localhost.example.org', '127.0.0.1.example.org', '127.1']) {
      expect(isLoopback(address), address).toBe(false)
    }
  })

  it('are listened on as numbers', () => {
    expect(['', 'LOCALHOST', ' [::1] ', '0.0.0.0'].map(listenHost)).toEqual([
      '127.0.0.1',
      '127.0.0.1',
      '::1',
      '0.0.0.0',
    ])
  })
})
