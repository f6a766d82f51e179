export class Dice {
  constructor (seed: number)
  next (): number
  below (limit: number): number
  chance (share: number): boolean
  pick<Item> (items: readonly Item[]): Item
}
