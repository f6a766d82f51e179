/** A sleep that can be ended early, also before it begins. */
export class WakeUp {
  #awake = false
  #wake: (() => void) | undefined

  async sleep (ms: number): Promise<void> {
    if (!this.#awake) {
      let timer: NodeJS.Timeout | undefined
      await new Promise<void>(resolve => {
        this.#wake = resolve
        timer = setTimeout(resolve, ms)
      })
      clearTimeout(timer)
    }
    this.#awake = false
  }

  wake (): void {
    this.#awake = true
    this.#wake?.()
  }
}
