export declare function problemOf (url: string): Promise<string | undefined>
export declare const runningRedis: string | undefined
export declare const withoutRedisServer: string | false
export declare const skipWithoutRedis: string | false
export declare const skipWithoutRedisServer: string | false
