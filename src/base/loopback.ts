import { BlockList, isIP } from 'node:net'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** The host to listen on: blank and `localhost` are 127.0.0.1, square brackets fall away. */
export function listenHost(listenAddress: string): string {
  const host = listenAddress.trim().replace(/^\[(.*)\]$/, '$1')
  return host === '' || host.toLowerCase() === 'localhost' ? '127.0.0.1' : host
}

/** Whether a listener there can be reached from this machine alone: 127.0.0.0/8, `::1`, `localhost`, blank. */
export function isLoopback(listenAddress: string): boolean {
  const host = listenHost(listenAddress)
  const version = isIP(host)
  return version !== 0 && loopback.check(host, version === 4 ? 'ipv4' : 'ipv6')
}
