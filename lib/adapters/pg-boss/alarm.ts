/** A sleep that can be cut short, also before it begins. */
export class Alarm {
  #rung = false
  #wake: (() => void) | undefined

  async sleep (ms: number): Promise<void> {
    if (!this.#rung) {
      let timer: NodeJS.Timeout | undefined
      await new Promise<void>(resolve => {
        this.#wake = resolve
        timer = setTimeout(resolve, ms)
      })
      clearTimeout(timer)
    }
    this.#rung = false
  }

  ring (): void {
    this.#rung = true
    this.#wake?.()
  }
}
