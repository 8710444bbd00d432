/**
 * Named places where a test may make the product fail, stop or die.
 *
 * @remarks `reach` stands inside uninterrupted blocks (transactions, publication); `pause` stands where the
 * product waits anyway, so a test can hold it there. Both do nothing in production.
 */
export interface FaultPoints {
  reach(point: string): void
  pause(point: string): Promise<void>
}

/** What production uses: every point passes. */
export const noFaults: FaultPoints = { reach: () => undefined, pause: () => Promise.resolve() }
