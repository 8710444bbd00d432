import { spawn } from 'node:child_process'

/** `nobody`: this process was started by hand, or its service asked for no messages. */
export type ServiceManagerAnswer =
  | { readonly kind: 'told' }
  | { readonly kind: 'nobody' }
  | { readonly kind: 'failed'; readonly why: string }

/** Milliseconds that a message may take. */
const notifyMs = 5000

/**
 * Tells systemd how this process stands, through systemd-notify(1).
 *
 * @param states assignments such as `READY=1` or `STATUS=...`
 * @remarks The messenger is a child process: the unit needs `NotifyAccess=all`. It gets none of our other variables.
 */
export async function notifyServiceManager(
  states: readonly string[],
): Promise<ServiceManagerAnswer> {
  const { NOTIFY_SOCKET: socket = '', PATH } = process.env
  if (socket === '') return { kind: 'nobody' }
  const env = { NOTIFY_SOCKET: socket, ...(PATH === undefined ? {} : { PATH }) }
  const child = spawn('systemd-notify', [...states], {
    env,
    stdio: 'ignore',
    timeout: notifyMs,
    killSignal: 'SIGKILL',
  })
  return new Promise((resolve) => {
    child.once('error', ({ message }) => resolve({ kind: 'failed', why: message }))
    child.once('exit', (status, signal) => {
      const why = `systemd-notify ended with ${signal ?? `status ${status}`}`
      resolve(status === 0 ? { kind: 'told' } : { kind: 'failed', why })
    })
  })
}
